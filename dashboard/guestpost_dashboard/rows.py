"""What the fleet's page knows of a tenant: little, for there are ten thousand of them. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from sys import intern
from typing import Any

BLOCKS = ("Stalled", "UpgradeBlocked", "DeletionBlocked", "Paused")
PARTS = ("NamespaceReady", "DatabaseReady", "MessagingReady", "ApplicationReady")
# Words that tenants share are kept once; what belongs to one tenant alone is not.
_ONCE = intern


@dataclass(frozen=True, slots=True)
class Row:
    """One tenant in the fleet.

    Attributes:
        ready: status of the condition Ready: True, False or Unknown.
        reason: of the condition that is nearest to the cause, or of Ready.
        version: of the CRM that runs; empty while none does.
        blocks: which of Stalled, UpgradeBlocked, DeletionBlocked, Paused are True.
        moving: whether web and sync are on their way to another revision.
        owner: name of the person or company.
        created: seconds since 1970.
        ready_since: since when Ready is True, in seconds since 1970; 0 when it is not.
        text: what is searched, in lower case.
        generation: of the spec.
        seen: resource version.
    """

    name: str
    uid: str
    phase: str
    ready: str
    reason: str
    plan: str
    region: str
    project: str
    state: str
    channel: str
    version: str
    revision: str
    blocks: tuple[str, ...]
    moving: bool
    owner: str
    host: str
    created: float
    ready_since: float
    text: str
    generation: int
    seen: str


def row(tenant: Mapping[str, Any]) -> Row:
    """The row of a GuestPostTenant; nothing of it is taken for granted but metadata."""
    metadata, spec, status = tenant["metadata"], tenant.get("spec") or {}, tenant.get("status") or {}
    truths = conditions(tenant)
    cause = trouble(truths)
    ready = truths.get("Ready", {})
    app, owner = status.get("app") or {}, spec.get("owner") or {}
    host = str(app.get("url") or spec.get("hostname") or "").removeprefix("https://").removeprefix("http://")
    name = str(metadata["name"])
    blocks = _blocks(tuple(kind for kind in BLOCKS if truths.get(kind, {}).get("status") == "True"))
    is_ready = str(ready.get("status", "Unknown"))
    said = (
        name, host, owner.get("name", ""), owner.get("email", ""), spec.get("region", ""),
        spec.get("googleProject", ""), cause.get("reason", ""), app.get("version", ""), *blocks,
    )  # fmt: skip
    return Row(
        name=name,
        uid=str(metadata.get("uid", "")),
        phase=_ONCE(str(status.get("phase") or "Pending")),
        ready=_ONCE(is_ready),
        reason=_ONCE(str(cause.get("reason", ""))),
        plan=_ONCE(str(spec.get("plan", ""))),
        region=_ONCE(str(spec.get("region", ""))),
        project=_ONCE(str(spec.get("googleProject", ""))),
        state=_ONCE(str(spec.get("state", ""))),
        channel=_ONCE(str((spec.get("release") or {}).get("channel", ""))),
        version=_ONCE(str(app.get("version", ""))),
        revision=_ONCE(str(status.get("revision", ""))),
        blocks=blocks,
        moving=_is_moving(status),
        owner=str(owner.get("name", "")),
        host=host,
        created=seconds(metadata.get("creationTimestamp")),
        ready_since=seconds(ready.get("lastTransitionTime")) if is_ready == "True" else 0,
        text="\n".join(map(str, said)).lower(),
        generation=int(metadata.get("generation") or 0),
        seen=str(metadata.get("resourceVersion", "")),
    )


def conditions(tenant: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Conditions by type."""
    found = (tenant.get("status") or {}).get("conditions") or ()
    return {str(each["type"]): each for each in found}


def trouble(truths: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """The condition that is nearest to the cause when a tenant is not as asked; else Ready, or nothing."""
    for kind in BLOCKS:
        if truths.get(kind, {}).get("status") == "True":
            return truths[kind]
    ready = truths.get("Ready", {})
    if ready.get("status") == "True":
        return ready
    return next((truths[kind] for kind in PARTS if truths.get(kind, {}).get("status") == "False"), ready)


def seconds(stamp: object) -> float:
    """A time of Kubernetes (RFC 3339) in seconds since 1970; 0 when there is none."""
    if not isinstance(stamp, str) or not stamp:
        return 0
    try:
        return dt.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0


def _is_moving(status: Mapping[str, Any]) -> bool:
    release, app = status.get("release") or {}, status.get("app") or {}
    waits = bool(release.get("movedAt")) and seconds(release.get("arrivedAt")) < seconds(release["movedAt"])
    return waits or bool(app.get("revision") and app["revision"] != status.get("revision"))


@lru_cache(maxsize=64)
def _blocks(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """The same few tuples, kept once."""
    return kinds
