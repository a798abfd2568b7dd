"""Exports over time: what runs for them is rendered with the tenant; here is what their status says."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping

import structlog
from pydantic import ValidationError

from guestpost_operator import exports
from guestpost_operator.api import export as api
from guestpost_operator.api.export import Export
from guestpost_operator.api.part import problems
from guestpost_operator.api.tenant import Tenant
from guestpost_operator.asked import Asked
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.kinds import EXPORT, PERSISTENT_VOLUME, VOLUME_CLAIM
from guestpost_operator.exports import Place, Run, Verdict
from guestpost_operator.lifecycle import answers
from guestpost_operator.lifecycle.memory import Memory
from guestpost_operator.revision import Object
from guestpost_operator.status import Step

log = structlog.get_logger()

# What could not be made for an export is tried again so soon.
RETRY_SECONDS = 30.0


class Exports:
    """Decides about the exports of tenants, and writes it down.

    Args:
        cluster: where their status is.
        asked: what the watch knows of them.
        now: the time.
    """

    def __init__(self, cluster: Cluster, asked: Asked, now: Callable[[], dt.datetime]) -> None:
        self._cluster = cluster
        self._asked = asked
        self._now = now

    def wanted(self, tenant: Tenant) -> tuple[Run, ...]:
        """What is rendered for exports: those whose volume is written down in their status."""
        return tuple(
            verdict.run
            for verdict in self._verdicts(tenant)
            if verdict.run is not None and verdict.export.status.volume_size
        )

    def final(self, tenant: Tenant) -> Export | None:
        """The last export of a tenant that is being erased, as the watch knows it."""
        return next((each for each in self._of(tenant) if each.name == api.FINAL), None)

    def made(self, body: Object) -> None:
        """Take note of an export that was just made, before the watch tells."""
        self._asked.observe({**body, "kind": EXPORT.name})

    async def settle(self, tenant: Tenant, failed: Mapping[str, Step], memory: Memory) -> float | None:
        """Bring the statuses up to date.

        Args:
            tenant: whose exports.
            failed: why objects could not be made, by object's name.
            memory: of the tenant.

        Returns:
            Seconds until they have to be looked at again, None when a change will tell.

        Raises:
            BackendError: when a status could not be written.
        """
        troubles = exports.problems(failed)
        again: list[float] = [RETRY_SECONDS] if troubles else []
        for verdict in self._verdicts(tenant):
            if await self._tell(verdict, troubles.get(verdict.export.name)):
                again.append(0.0)
            await self._release_volume(verdict, memory)
            if verdict.ends is not None:
                again.append(max(0.0, (verdict.ends - self._now()).total_seconds()))
        return min(again, default=None)

    def _of(self, tenant: Tenant) -> list[Export]:
        found = []
        for body in self._asked.of(EXPORT.name, tenant.namespace):
            try:
                found.append(api.parse(body))
            except ValidationError as error:
                log.warning("export cannot be read", export=body["metadata"]["name"], error=problems(error))
        return found

    def _verdicts(self, tenant: Tenant) -> list[Verdict]:
        place = Place(
            size=str(tenant.status.database.get("size", "")),
            rests=tenant.spec.state == "Hibernated" and not tenant.deleting,
            erasing=tenant.deleting,
        )
        return exports.decide(self._of(tenant), place, self._now())

    async def _tell(self, verdict: Verdict, problem: Step | None) -> bool:
        """Whether another pass has to follow: the export, or what is rendered for it, is another now."""
        export = verdict.export
        now = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
        changes = exports.status(verdict, problem, now)
        if not changes:
            return False
        more = await answers.write(self._cluster, self._asked, EXPORT, export, changes)
        if more is None:
            return False
        log.info("export", export=export.name, phase=verdict.phase, reason=verdict.reason)
        # Its time may have run out since this pass was rendered; of what we wrote ourselves nobody tells us.
        return more or "volumeSize" in changes or ("phase" in changes and verdict.run is None)

    async def _release_volume(self, verdict: Verdict, memory: Memory) -> None:
        """Have the archive's volume go with its claim, also where the storage class retains volumes."""
        export = verdict.export
        if export.status.phase not in ("Running", "Complete") or export.uid in memory.export_volumes:
            return
        name = f"archive-{exports.PREFIX}{export.name}-0"
        for claim in await self._cluster.find(VOLUME_CLAIM, export.namespace):
            volume = claim["spec"].get("volumeName")
            if claim["metadata"]["name"] == name and volume:
                patch = {"spec": {"persistentVolumeReclaimPolicy": "Delete"}}
                await self._cluster.merge(PERSISTENT_VOLUME, volume, None, patch)
                memory.export_volumes.add(export.uid)
