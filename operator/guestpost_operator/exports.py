"""Which exports run, and what their status says. Pure.

The archive, its progress and its checksum are told by the export's own pod; what the operator adds is when it
begins, why it waits, and when it ends. See docs/decisions/exports.md.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from guestpost_operator.api import export as api
from guestpost_operator.api.conditions import condition, follow
from guestpost_operator.api.export import Export
from guestpost_operator.revision import Object
from guestpost_operator.status import Step

# Volumes at the same time: what the plans' quotas leave room for.
MOST = 2
COMPLETE, FAILED = "Complete", "Failed"
# It is over for good; nothing runs any more.
OVER = "TenantErased"


@dataclass(frozen=True)
class Run:
    """An export that has a volume.

    Attributes:
        size: of the volume.
        runs: whether its pod runs; with the tenant it rests, and its volume stays.
    """

    name: str
    size: str
    runs: bool = True


@dataclass(frozen=True)
class Place:
    """What an export depends on in its tenant.

    Attributes:
        size: of the database's volume, "" when there is no database yet.
        rests: the tenant hibernates.
        erasing: the tenant is being erased, and only the last export is still made.
    """

    size: str
    rests: bool = False
    erasing: bool = False


@dataclass(frozen=True)
class Verdict:
    """What is to become of one export.

    Attributes:
        phase: as it should be; that of the pod is left alone.
        reason, message: of the condition that says how far it is.
        run: what is rendered for it, None when nothing is.
        ends: when it has to be looked at again.
    """

    export: Export
    phase: str
    reason: str
    message: str = ""
    run: Run | None = None
    ends: dt.datetime | None = None


def decide(exports: Iterable[Export], place: Place, now: dt.datetime) -> list[Verdict]:
    """Decide about all exports of a tenant, the oldest first."""
    verdicts: list[Verdict] = []
    taken = 0
    for export in sorted(exports, key=lambda each: (each.created, each.name)):
        if export.deleting:
            continue
        verdict = _decide(export, place, now, full=taken >= MOST)
        taken += verdict.run is not None
        verdicts.append(verdict)
    return verdicts


def _decide(export: Export, place: Place, now: dt.datetime, *, full: bool) -> Verdict:
    status = export.status
    ended = _ended(export, place, now)
    if ended is not None:
        return ended
    run = Run(export.name, status.volume_size, runs=not place.rests) if status.volume_size else None
    if status.phase == COMPLETE:
        return Verdict(export, COMPLETE, COMPLETE, run=run, ends=_moment(status.expires_at))
    waiting = _waiting(export, place, full=full)
    if waiting is not None:
        return replace(waiting, run=run)
    if status.phase in ("Running", FAILED):
        return Verdict(export, status.phase, status.phase, run=run)
    message = "its pod is being started"
    return Verdict(export, "Pending", "Starting", message, run=run or Run(export.name, place.size))


def _ended(export: Export, place: Place, now: dt.datetime) -> Verdict | None:
    """The verdict when nothing may run for the export any more."""
    status = export.status
    failed = status.condition(FAILED)
    if failed is not None and failed.reason == OVER:
        return Verdict(export, FAILED, OVER, failed.message)
    ends = _moment(status.expires_at) if status.phase == COMPLETE else None
    if status.phase == "Expired" or (ends is not None and ends <= now):
        return Verdict(export, "Expired", "Expired", "its time was over: archive and volume are removed")
    if place.erasing and status.phase != COMPLETE and export.spec.requested_by != api.BY_ERASURE:
        message = "the tenant is being erased; its last export is the TenantExport final-export"
        return Verdict(export, FAILED, OVER, message)
    return None


def _waiting(export: Export, place: Place, *, full: bool) -> Verdict | None:
    if not place.size:
        return Verdict(export, "Pending", "NotReady", "it waits until the tenant has been ready once")
    if place.rests:
        message = "the tenant hibernates; it goes on when spec.state is Running again"
        return Verdict(export, "Pending", "Hibernated", message)
    # An erasure does not wait for people to fetch or remove what they have asked for before.
    if full and not export.status.volume_size and export.spec.requested_by != api.BY_ERASURE:
        message = f"{MOST} exports are there already; it waits until one of them expires or is deleted"
        return Verdict(export, "Pending", "TooMany", message)
    return None


def status(verdict: Verdict, problem: Step | None, now: str) -> Object:
    """What the operator has to write into an export's status, empty when it says so already.

    Args:
        verdict: the decision.
        problem: why its pod or volume could not be made, if so.
        now: RFC 3339, for conditions whose status changed.
    """
    export = verdict.export
    new: Object = {}
    if verdict.phase != export.status.phase:
        new["phase"] = verdict.phase
    if verdict.run is not None and not export.status.volume_size:
        new["volumeSize"] = verdict.run.size
    if verdict.phase == FAILED and verdict.reason != OVER:
        # The pod has said why.
        return new
    reason, message = (problem.reason, problem.message) if problem else (verdict.reason, verdict.message)
    over = verdict.reason == OVER
    wanted = [
        condition(COMPLETE, verdict.phase == COMPLETE, reason, message),
        condition(FAILED, over, reason if over else "NotFailed", message if over else ""),
    ]
    conditions = follow(export.status.conditions, wanted, export.generation, now)
    if conditions != export.status.conditions:
        new["conditions"] = [each.model_dump(by_alias=True) for each in conditions]
    return new


def problems(failed: Mapping[str, Step]) -> dict[str, Step]:
    """Problems by export, from those by object's name."""
    return {name.removeprefix(PREFIX): step for name, step in failed.items() if name.startswith(PREFIX)}


# Of what belongs to an export.
PREFIX = "export-"


def _moment(text: str) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None
