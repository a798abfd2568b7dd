"""Erasure over time: attempts until everything is gone, and a status that says what holds it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from guestpost_operator import metrics, status
from guestpost_operator.api.tenant import InvalidTenantError, parse
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.errors import BackendError, InvalidError, RefusedError
from guestpost_operator.backends.kinds import TENANT
from guestpost_operator.lifecycle import finalizer
from guestpost_operator.lifecycle.controller import Controller, Entry, now, status_of
from guestpost_operator.lifecycle.erase import Eraser, Progress
from guestpost_operator.lifecycle.reporter import Reporter
from guestpost_operator.revision import Object
from guestpost_operator.status import Step

log = structlog.get_logger()

POLL_SECONDS = (0.2, 2.0)


class NotErasedError(Exception):
    """Something is still there; the message says what, and the status too."""


class Erasure:
    """Erases a tenant as far as it goes within a while; called again for ever until it is through.

    Args:
        patience: seconds that one call waits for what is being removed before it says so.
    """

    def __init__(
        self,
        *,
        controller: Controller,
        eraser: Eraser,
        reporter: Reporter,
        cluster: Cluster,
        patience: float = 60,
    ) -> None:
        self._controller = controller
        self._eraser = eraser
        self._reporter = reporter
        self._cluster = cluster
        self._patience = patience

    async def erase(self, body: Mapping[str, Any]) -> None:
        """Remove everything of a tenant whose deletion was asked for.

        Raises:
            NotErasedError: when something is left. Never anything that means giving up.
        """
        result = "blocked"
        try:
            async with self._controller.taken(body) as entry:
                await self._until_done(entry)
            result = "done"
        except (BackendError, InvalidTenantError) as error:
            raise NotErasedError(str(error)) from error
        finally:
            metrics.ERASURES.labels(result).inc()

    async def _until_done(self, entry: Entry) -> None:
        deadline = time.monotonic() + self._patience
        pause, most = POLL_SECONDS
        completed: list[str] = []
        while True:
            metadata = entry.body["metadata"]
            live = await self._cluster.get(TENANT, metadata["name"])
            if live is None or live["metadata"]["uid"] != metadata["uid"]:
                return
            entry.body = live
            tenant = parse(live)
            progress = await self._eraser.attempt(tenant, completed)
            if len(progress.completed) > len(completed):
                pause = POLL_SECONDS[0]
            completed = progress.completed
            if progress.done:
                progress = await self._release(live, progress)
            if progress.done:
                log.info("tenant erased", completed=completed)
                return
            overdue = time.monotonic() >= deadline
            await self._report(entry, progress, overdue=overdue)
            if progress.blocked or overdue:
                why = progress.blocked.message if progress.blocked else f"waiting for {progress.waiting}"
                raise NotErasedError(f"{progress.step}: {why}")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, most)

    async def _release(self, body: Object, progress: Progress) -> Progress:
        """Let the tenant go. kopf would do it after us, and would keep quiet if that was refused."""
        try:
            await finalizer.remove(self._cluster, body)
        except (RefusedError, InvalidError) as error:
            message = f"everything is erased, but the API server does not let the finalizer go: {error}"
            blocked = Step(done=False, reason="FinalizerRefused", message=message, stalled=True)
            return replace(progress, step="Finalizer", blocked=blocked)
        return progress

    async def _report(self, entry: Entry, progress: Progress, *, overdue: bool) -> None:
        blocked = progress.blocked
        if blocked is None and overdue:
            message = f"still waiting for {progress.waiting}"
            blocked = Step(done=False, reason=f"{progress.step}Remains", message=message)
        current = f"waiting for {progress.waiting}" if progress.waiting else ""
        old = status_of(entry)
        new = status.deleting(
            parse(entry.body),
            old,
            now(),
            progress.completed,
            (progress.step, blocked) if blocked else None,
            current=current,
        )
        if (
            blocked is None
            and (old.get("deletion") or {}).get("completed") == progress.completed
            and old.get("phase") == "Deleting"
        ):
            return
        changes = status.patch(old, new)
        if changes:
            entry.body = await self._reporter.write(entry.body, changes, new)
