"""Erasure over time: step after step until everything is gone, and a status that says what holds it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from guestpost_operator import VERSION, metrics, receipts, status
from guestpost_operator.api.tenant import InvalidTenantError, Tenant, parse
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.errors import BackendError, InvalidError, RefusedError
from guestpost_operator.backends.kinds import TENANT
from guestpost_operator.lifecycle import finalizer
from guestpost_operator.lifecycle.controller import Controller, now
from guestpost_operator.lifecycle.entry import Entry, status_of
from guestpost_operator.lifecycle.erase import STEPS, Eraser, Progress
from guestpost_operator.lifecycle.memory import BlockedError
from guestpost_operator.lifecycle.receipts import Receipts
from guestpost_operator.lifecycle.reporter import Reporter
from guestpost_operator.lifecycle.requests import Requests
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
        requests: Requests,
        receipts: Receipts,
        reporter: Reporter,
        cluster: Cluster,
        patience: float = 60,
    ) -> None:
        self._controller = controller
        self._eraser = eraser
        self._requests = requests
        self._receipts = receipts
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
        while True:
            metadata = entry.body["metadata"]
            live = await self._cluster.get(TENANT, metadata["name"])
            if live is None or live["metadata"]["uid"] != metadata["uid"]:
                self._controller.gone(metadata["uid"])
                return
            entry.body = live
            tenant = parse(live)
            await self._requests.answer(tenant, tenant.status.deletion)
            overdue = time.monotonic() >= deadline
            progress = await self._eraser.attempt(tenant, entry.memory, overdue=overdue)
            if progress.done:
                progress = await self._release(live, tenant, progress)
            if progress.done:
                log.info("tenant erased", completed=progress.record.completed)
                return
            await self._report(entry, progress, overdue=overdue and not progress.advanced)
            if progress.advanced:
                pause, deadline = POLL_SECONDS[0], time.monotonic() + self._patience
                continue
            if progress.blocked or overdue:
                why = progress.blocked.message if progress.blocked else f"waiting for {progress.waiting}"
                raise NotErasedError(f"{progress.step}: {why}")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, most)

    async def _release(self, body: Object, tenant: Tenant, progress: Progress) -> Progress:
        """Write the receipt and let the tenant go.

        kopf would take the finalizer away after us, and would keep quiet if that was refused.
        """
        try:
            if await self._receipts.written(tenant.uid) is None:
                stated = receipts.statement(tenant, progress.record, STEPS, now(), VERSION)
                await self._receipts.write(stated)
        except BlockedError as problem:
            return replace(progress, step="Receipt", blocked=problem.step())
        except BackendError as error:
            message = f"everything is erased, but the receipt is not written: {error}; it is tried again"
            blocked = Step(done=False, reason="ReceiptNotWritten", message=message)
            return replace(progress, step="Receipt", blocked=blocked)
        try:
            await finalizer.remove(self._cluster, body)
        except (RefusedError, InvalidError) as error:
            message = f"everything is erased, but the API server does not let the finalizer go: {error}"
            blocked = Step(done=False, reason="FinalizerRefused", message=message, stalled=True)
            return replace(progress, step="Finalizer", blocked=blocked)
        return progress

    async def _report(self, entry: Entry, progress: Progress, *, overdue: bool) -> None:
        blocked = progress.blocked
        if blocked is None and overdue and not progress.patient:
            message = f"still waiting for {progress.waiting}"
            blocked = Step(done=False, reason=f"{progress.step}Remains", message=message)
        current = f"waiting for {progress.waiting}" if progress.waiting else ""
        old = status_of(entry)
        new = status.deleting(
            parse(entry.body),
            old,
            now(),
            progress.record,
            (progress.step, blocked) if blocked else None,
            current=current,
        )
        changes = status.patch(old, new)
        if changes:
            entry.answered(await self._reporter.write(entry.body, changes, new))
