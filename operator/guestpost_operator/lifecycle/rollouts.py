"""Plans from time to time who moves to another revision, and tells each pass its tenant's turn."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from guestpost_operator import metrics, rollout, windows
from guestpost_operator.api import names
from guestpost_operator.api.conditions import Type
from guestpost_operator.api.tenant import Tenant
from guestpost_operator.backends.errors import BackendError
from guestpost_operator.lifecycle.pausing import Pausing
from guestpost_operator.lifecycle.revisions import Revisions
from guestpost_operator.render import UnsatisfiableError
from guestpost_operator.rollout import Member, Plan, Releases, Stage
from guestpost_operator.settings import Rollout, Strategy

log = structlog.get_logger()

EVERY_SECONDS = 5.0
# Looks at the stored revisions after so many plans: a person may have restored one; one may be of no use.
TIDY_AFTER = 60


@dataclass(frozen=True)
class Turn:
    """What is decided about one tenant.

    Attributes:
        revision: that it gets now.
        blocked: reason and message of its condition UpgradeBlocked, if so.
        moving: it moved lately, and is not well yet.
    """

    revision: str
    blocked: tuple[str, str] | None = None
    moving: bool = False


class Rollouts:
    """Keeps a plan for all tenants.

    Args:
        revisions: what there is to move to.
        policy: how to go about it.
        pausing: whether people have paused it.
        bodies: all tenants, as last read.
        look: has a pass over a tenant of which something was decided.
        now: the time.
    """

    def __init__(
        self,
        revisions: Revisions,
        policy: Rollout,
        pausing: Pausing,
        bodies: Callable[[], Iterable[Mapping[str, Any]]],
        look: Callable[[str], None],
        now: Callable[[], datetime],
    ) -> None:
        self._revisions, self._policy, self._pausing = revisions, policy, pausing
        self._bodies, self._look, self._now = bodies, look, now
        self._plan = Plan(stage=Stage.DONE, usual=revisions.current.id)
        # Of each tenant that there is: its version, and what was read of it.
        self._members: dict[str, tuple[str, Member]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Plan now, and from time to time, in a task of the running loop."""
        self.evaluate()
        self._task = asyncio.create_task(self._keep(), name="rollouts")

    async def stop(self) -> None:
        """End planning."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def turn(self, tenant: Tenant) -> Turn:
        """Which revision a tenant gets now.

        Raises:
            UnsatisfiableError: when a new tenant asks for a version that there is not.
        """
        moving = tenant.uid in self._plan.moving
        if tenant.status.revision:
            revision = self._plan.moves.get(tenant.uid, tenant.status.revision)
            return Turn(revision, self._plan.blocked.get(tenant.uid), moving)
        release, releases = tenant.spec.release, self._releases()
        if release.channel == "Pinned" and release.version != releases.version:
            if release.version not in releases.newest:
                message = rollout.unknown_version(release.version, releases)
                raise UnsatisfiableError("UnknownVersion", message)
            return Turn(releases.newest[release.version])
        proven = release.channel != "Stable" or self._policy.strategy is not Strategy.WAVES
        return Turn(releases.current if proven else self._plan.usual)

    def evaluate(self) -> None:
        """Plan anew; tenants of which something else is decided than before are looked at."""
        now = self._now()
        before = self._plan
        self._members = {body["metadata"]["uid"]: self._member(body) for body in self._bodies()}
        self._plan = rollout.plan(
            [known for _, known in self._members.values()],
            self._releases(),
            self._policy,
            now,
            functools.cache(lambda region: windows.is_open(self._policy.windows, region, now)),
            paused=self._pausing.pause.on,
        )
        self._tell(before)
        for uid in _changed(before.moves, self._plan.moves) | _changed(before.blocked, self._plan.blocked):
            self._look(uid)
        for uid in before.moving ^ self._plan.moving:
            self._look(uid)

    async def _keep(self) -> None:
        plans = 0
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            plans += 1
            try:
                await self._learn()
                if plans % TIDY_AFTER == 0:
                    await self._revisions.tidy(self._bodies(), self._policy.keep_revisions, self._now())
                self.evaluate()
            except BackendError as error:
                log.warning("stored revisions not looked at", error=str(error))
            except Exception:
                # A bug here must stop no pass: tenants keep what they have.
                log.exception("planning broke")

    async def _learn(self) -> None:
        """Whether people have paused it; a look that fails lets nobody go on."""
        try:
            await self._pausing.read()
        except BackendError as error:
            log.warning("pause not read, taken to be as before", error=str(error))

    def _releases(self) -> Releases:
        current = self._revisions.current
        return Releases(current=current.id, version=current.version, newest=self._revisions.newest())

    def _tell(self, before: Plan) -> None:
        plan = self._plan
        if (plan.stage, plan.failed) != (before.stage, before.failed):
            log.info(
                "rollout", stage=plan.stage.value, revision=self._revisions.current.id,
                behind=plan.behind, failed=list(plan.failed),
            )  # fmt: skip
        for stage in Stage:
            metrics.ROLLOUT_STAGE.labels(stage.value).set(stage is plan.stage)
        metrics.ROLLOUT_TENANTS.labels("behind").set(plan.behind)
        metrics.ROLLOUT_TENANTS.labels("moving").set(len(plan.moving))
        metrics.ROLLOUT_TENANTS.labels("failed").set(len(plan.failed))

    def _member(self, body: Mapping[str, Any]) -> tuple[str, Member]:
        metadata = body["metadata"]
        version = metadata.get("resourceVersion", "")
        known = self._members.get(metadata["uid"])
        if known is None or known[0] != version:
            known = (version, member(body, self._revisions.version))
        return known


def member(body: Mapping[str, Any], version: Callable[[str], str]) -> Member:
    """A tenant as the plan sees it.

    Args:
        body: as the API server gives it.
        version: of the CRM in a revision.
    """
    metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    release, revision = spec.get("release") or {}, status.get("revision", "")
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    ready = conditions.get(Type.READY, {})
    paused = (metadata.get("annotations") or {}).get(names.ANNOTATION_PAUSED, "false").lower() != "false"
    moved = status.get("release") or {}
    return Member(
        uid=metadata["uid"],
        name=metadata["name"],
        region=spec.get("region", ""),
        canary=release.get("channel") == "Canary",
        pinned=release.get("version", "") if release.get("channel") == "Pinned" else "",
        version=version(revision),
        revision=revision,
        previous=moved.get("previousRevision", ""),
        moved=_time(moved.get("movedAt")),
        arrived=_time(moved.get("arrivedAt")),
        rests=spec.get("state") == "Hibernated",
        ready=ready.get("status") == "True",
        since=_time(ready.get("lastTransitionTime")),
        stalled=conditions.get(Type.STALLED, {}).get("status") == "True",
        why=ready.get("message", ""),
        # What is not made yet gets its first revision by its first pass.
        held=paused or "deletionTimestamp" in metadata or not revision,
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _changed(before: Mapping[str, object], now: Mapping[str, object]) -> set[str]:
    return {uid for uid in before.keys() | now.keys() if before.get(uid) != now.get(uid)}
