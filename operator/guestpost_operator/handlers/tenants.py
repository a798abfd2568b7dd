"""Tenants, as kopf sees them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import kopf
import structlog

from guestpost_operator.api import names
from guestpost_operator.lifecycle.controller import Controller
from guestpost_operator.lifecycle.erasing import Erasure, NotErasedError

log = structlog.get_logger()

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
    async def erase(body: kopf.Body, name: str, **_: Any) -> None:
        structlog.contextvars.bind_contextvars(tenant=name, step="erase")
        try:
            await until_erased(erasure, dict(body))
        finally:
            structlog.contextvars.unbind_contextvars("tenant", "step")


async def until_erased(
    erasure: Erasure, body: dict[str, Any], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Try for ever: anything that ended sooner would let the finalizer go.

    kopf could try again too, but it writes down on the tenant when: if the API server does not take that, or
    is away for a minute, it says so in its log and comes back only when somebody changes the tenant.
    """
    for tries in itertools.count():
        delay = min(FIRST_DELAY * 2 ** min(tries, 8), MAX_DELAY)
        try:
            await erasure.erase(body)
        except NotErasedError as left:
            log.warning("not erased yet", why=str(left), again_in=delay)
        except Exception:
            # A bug must not end it either.
            log.exception("erasure broke", again_in=delay)
        else:
            return
        await sleep(delay)
