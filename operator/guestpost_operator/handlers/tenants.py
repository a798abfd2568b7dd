"""Tenants, as kopf sees them."""

from __future__ import annotations

from typing import Any

import kopf
import structlog

from guestpost_operator.api import names
from guestpost_operator.lifecycle.controller import Controller
from guestpost_operator.lifecycle.erasing import Erasure, NotErasedError

FIRST_DELAY, MAX_DELAY = 2.0, 60.0


def register(registry: kopf.OperatorRegistry, controller: Controller, erasure: Erasure) -> None:
    """Have kopf tell the controller about every tenant, and hold deletion until it is erased.

    No filters: one that stopped matching would take the finalizer away.
    """

    @kopf.on.event(names.GROUP, names.VERSION, names.TENANTS, registry=registry)
    async def seen(event: kopf.RawEvent, **_: Any) -> None:
        body = event["object"]
        if event["type"] == "DELETED":
            controller.gone(body["metadata"]["uid"])
        else:
            controller.saw(body)

    @kopf.on.delete(
        names.GROUP,
        names.VERSION,
        names.TENANTS,
        id="erase",
        registry=registry,
        errors=kopf.ErrorsMode.TEMPORARY,
        backoff=FIRST_DELAY,
        timeout=None,
        retries=None,
    )
    async def erase(body: kopf.Body, name: str, retry: int, **_: Any) -> None:
        structlog.contextvars.bind_contextvars(tenant=name, step="erase")
        try:
            await erasure.erase(dict(body))
        except NotErasedError as left:
            # Temporary for ever: anything else would let the finalizer go.
            raise kopf.TemporaryError(
                str(left), delay=min(FIRST_DELAY * 2 ** min(retry, 8), MAX_DELAY)
            ) from None
        finally:
            structlog.contextvars.unbind_contextvars("tenant", "step")
