"""What staff do with a tenant, as the one call of the API server that it comes to. Pure.

Words and meaning are those of `kubectl guestpost`. Whether somebody may do it is the API server's to say.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from guestpost_dashboard.backends.kinds import EXPORT, GRANT, GROUP, TENANT, Kind

Object = dict[str, Any]
PAUSED = f"{GROUP}/paused"
# As the CRD has it.
SEMANTIC = re.compile(r"(0|[1-9]\d*)[.](0|[1-9]\d*)[.](0|[1-9]\d*)(-[0-9A-Za-z.-]+)?", re.ASCII)
RECONCILE = f"{GROUP}/reconcile-requested-at"


class RefusedError(Exception):
    """The job can't be done with this tenant as it is; the message is for the person."""


@dataclass(frozen=True)
class Given:
    """What somebody filled in.

    Attributes:
        wanted: the object that the job's fields make.
        ticks: names of the boxes that are ticked.
        typed: what was typed to confirm.
        item: the one thing of the tenant that it is about, such as a grant's name.
    """

    wanted: Mapping[str, Any] = field(default_factory=dict)
    ticks: frozenset[str] = frozenset()
    typed: str = ""
    item: str = ""


@dataclass(frozen=True)
class Call:
    """One call of the API server. The body of a deletion is empty."""

    verb: Literal["create", "patch", "delete"]
    kind: Kind
    name: str
    namespace: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)


# -- what a tenant says of itself ------------------------------------------------------------------------


def name_of(tenant: Mapping[str, Any]) -> str:
    """The tenant's name."""
    return str(tenant["metadata"]["name"])


def _deletion(tenant: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = tenant.get("spec", {}).get("deletion", {})
    return found


def _erasure(tenant: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = tenant.get("status", {}).get("deletion", {})
    return found


def is_protected(tenant: Mapping[str, Any]) -> bool:
    """Whether its deletion is refused."""
    return bool(_deletion(tenant).get("protected"))


def _is_going(tenant: Mapping[str, Any]) -> bool:
    return bool(tenant["metadata"].get("deletionTimestamp") or _erasure(tenant).get("startedAt"))


def _namespace(tenant: Mapping[str, Any], without: str) -> str:
    found = tenant.get("status", {}).get("namespace", {}).get("name", "")
    if not found:
        raise RefusedError(f"tenant {name_of(tenant)} has no server yet: there is nothing to {without}")
    return str(found)


def _stays(tenant: Mapping[str, Any], what: str) -> None:
    if _is_going(tenant):
        raise RefusedError(f"tenant {name_of(tenant)} is being erased: its {what} can't be changed any more")


def _value(given: Given, *path: str) -> Any:
    value: Any = given.wanted
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _patch(tenant: Mapping[str, Any], spec: Mapping[str, Any]) -> Call:
    """A change of the spec of the very one that was looked at."""
    version = {"resourceVersion": tenant["metadata"]["resourceVersion"]}
    return Call("patch", TENANT, name_of(tenant), body={"metadata": version, "spec": spec})


# -- states ----------------------------------------------------------------------------------------------


def _state(tenant: Mapping[str, Any], state: str, reason: str | None, *, keep: bool = False) -> Call:
    _stays(tenant, "state")
    # Null removes what is there; a reason that is not given when a suspended tenant hibernates stays.
    spec: Object = {"state": state}
    if reason is not None or not keep:
        spec["suspendReason"] = reason
    return _patch(tenant, spec)


def suspend(tenant: Mapping[str, Any], given: Given, moment: dt.datetime) -> Call:
    """The CRM shows why instead of its pages (RefusedError)."""
    return _state(tenant, "Suspended", _value(given, "spec", "suspendReason"))


def resume(tenant: Mapping[str, Any], given: Given, moment: dt.datetime) -> Call:
    """Everything works again (RefusedError)."""
    call = _state(tenant, "Running", None)
    if tenant["spec"].get("state", "Running") == "Running":
        raise RefusedError(f"tenant {name_of(tenant)} is asked to run already")
    return call


def hibernate(tenant: Mapping[str, Any], given: Given, moment: dt.datetime) -> Call:
    """No pods (RefusedError)."""
    call = _state(tenant, "Hibernated", _value(given, "spec", "suspendReason"), keep=True)
    if tenant["spec"].get("state") == "Hibernated":
        raise RefusedError(f"tenant {name_of(tenant)} is asked to hibernate already")
    return call


# -- for the customer ------------------------------------------------------------------------------------


def export(tenant: Mapping[str, Any], given: Given, moment: dt.datetime) -> Call:
    """One archive of everything (RefusedError)."""
    if _is_going(tenant):
        raise RefusedError(
            f"tenant {name_of(tenant)} is being erased: its last export is made by the erasure itself"
        )
    namespace = _namespace(tenant, "export")
    name = f"staff-{moment:%Y%m%d-%H%M%S}"
    spec: Object = {"requestedBy": "Staff"}
    if (keep := _value(given, "spec", "retentionSeconds")) is not None:
        spec["retentionSeconds"] = keep
    return Call("create", EXPORT, name, namespace, _whole(EXPORT, name, namespace, spec))


def support(tenant: Mapping[str, Any], given: Given, moment: dt.datetime) -> Call:
    """Ask the customer to be let in (RefusedError)."""
    namespace = _namespace(tenant, "see")
    name = f"support-{moment:%Y%m%d-%H%M%S}"
    spec = dict(_value(given, "spec") or {})
    spec.setdefault("level", "Browse")
    return Call("create", GRANT, name, namespace, _whole(GRANT, name, namespace, spec))


def withdraw(tenant: Mapping[str, Any], given: Given, moment: dt.datetime) -> Call:
    """End a grant, or take back what was asked (RefusedError)."""
    if not given.item:
        raise RefusedError("which grant? Withdraw it from the list on the tenant's page")
    return Call("delete", GRANT, given.item, _namespace(tenant, "withdraw"))


def _whole(kind: Kind, name: str, namespace: str, spec: Object) -> Object:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


# -- the end ---------------------------------------------------------------------------------------------


def erase(tenant: Mapping[str, Any], given: Given, moment: dt.datetime) -> Call:
    """Ask for the erasure (RefusedError)."""
    name = name_of(tenant)
    if _is_going(tenant):
        raise RefusedError(f"tenant {name} is being erased already")
    if _deletion(tenant).get("requested"):
        raise RefusedError(
            f"the erasure of tenant {name} was asked for already; the grace period can be edited"
        )
    if is_protected(tenant) and "unprotect" not in given.ticks:
        raise RefusedError(
            f"tenant {name} is protected from deletion. If its server, mail and database shall really be "
            "erased, tick that it is no longer protected."
        )
    _confirmed(given, name)
    asked: Object = {"protected": False, "requested": True}
    for key in ("gracePeriodSeconds", "finalExport"):
        if (value := _value(given, "spec", "deletion", key)) is not None:
            asked[key] = value
    return _patch(tenant, {"deletion": asked})


def keep(tenant: Mapping[str, Any], given: Given, moment: dt.datetime) -> Call:
    """Take back an erasure that staff asked for (RefusedError)."""
    name = name_of(tenant)
    if _is_going(tenant):
        raise RefusedError(f"the erasure of tenant {name} has begun: it can't be taken back any more")
    if not _deletion(tenant).get("requested"):
        if _erasure(tenant).get("requestedBy") == "Customer":
            raise RefusedError(f"the owner of tenant {name} asked for it in the CRM, and takes it back there")
        raise RefusedError(f"nobody asked for the erasure of tenant {name}")
    asked: Object = {"requested": False} | ({"protected": True} if "protect" in given.ticks else {})
    return _patch(tenant, {"deletion": asked})


def abandon(tenant: Mapping[str, Any], given: Given, moment: dt.datetime) -> Call:
    """Give up the step that blocks an erasure (RefusedError)."""
    step = blocked_by(tenant)
    if not step:
        raise RefusedError(
            f"nothing blocks the erasure of tenant {name_of(tenant)}. Only what blocks is given up."
        )
    _confirmed(given, step)
    given_up = [*_deletion(tenant).get("abandon", []), {"step": step, "reason": _value(given, "reason")}]
    return _patch(tenant, {"deletion": {"abandon": given_up}})


def blocked_by(tenant: Mapping[str, Any]) -> str:
    """The step that an erasure can't go on from, "" when none is."""
    return str(_erasure(tenant).get("blockedBy") or "")


def _confirmed(given: Given, expected: str) -> None:
    if given.typed.strip() != expected:
        said = (
            f"“{given.typed.strip()[:60]}” is not “{expected}”" if given.typed.strip() else f"type {expected}"
        )
        raise RefusedError(f"nothing was done: {said}")


# -- the operator and its releases -----------------------------------------------------------------------


def _annotated(tenant: Mapping[str, Any], annotation: str, value: str | None) -> Call:
    body = {"metadata": {"annotations": {annotation: value}}}
    return Call("patch", TENANT, name_of(tenant), body=body)


def is_paused(tenant: Mapping[str, Any]) -> bool:
    """Whether the operator is kept away from it."""
    return bool(tenant["metadata"].get("annotations", {}).get(PAUSED) == "true")


def pause(tenant: Mapping[str, Any], given: Given, moment: dt.datetime) -> Call:
    """Keep the operator away (RefusedError)."""
    if is_paused(tenant):
        raise RefusedError(f"the operator is kept away from tenant {name_of(tenant)} already")
    return _annotated(tenant, PAUSED, "true")


def unpause(tenant: Mapping[str, Any], given: Given, moment: dt.datetime) -> Call:
    """Let the operator back (RefusedError)."""
    if not is_paused(tenant):
        raise RefusedError(f"the operator works on tenant {name_of(tenant)} already")
    return _annotated(tenant, PAUSED, None)


def reconcile(tenant: Mapping[str, Any], given: Given, moment: dt.datetime) -> Call:
    """Have the operator look at once (RefusedError)."""
    return _annotated(tenant, RECONCILE, moment.isoformat(timespec="seconds"))


def _channel(tenant: Mapping[str, Any]) -> str:
    return str(tenant["spec"].get("release", {}).get("channel", "Stable"))


def _released(tenant: Mapping[str, Any], channel: str, version: str | None = None) -> Call:
    _stays(tenant, "release")
    return _patch(tenant, {"release": {"channel": channel, "version": version}})


def canary(tenant: Mapping[str, Any], given: Given, moment: dt.datetime) -> Call:
    """Take releases first (RefusedError)."""
    if _channel(tenant) == "Canary":
        raise RefusedError(f"tenant {name_of(tenant)} takes releases first already")
    return _released(tenant, "Canary")


def follow(tenant: Mapping[str, Any], given: Given, moment: dt.datetime) -> Call:
    """Take releases in turn (RefusedError)."""
    if _channel(tenant) == "Stable":
        raise RefusedError(f"tenant {name_of(tenant)} follows releases already")
    return _released(tenant, "Stable")


def running_version(tenant: Mapping[str, Any]) -> str:
    """The version of the CRM that runs, "" when none does."""
    return str(tenant.get("status", {}).get("app", {}).get("version") or "")


def hold(tenant: Mapping[str, Any], given: Given, moment: dt.datetime) -> Call:
    """Stay at the version that runs (RefusedError)."""
    version = running_version(tenant)
    if not version:
        raise RefusedError(f"tenant {name_of(tenant)} runs no version yet that it could stay at")
    if not SEMANTIC.fullmatch(version):
        raise RefusedError(
            f"tenant {name_of(tenant)} runs {version}, the tag of the CRM's image, and can only stay at a"
            " semantic version such as 1.4.2"
        )
    if _channel(tenant) == "Pinned" and tenant["spec"]["release"].get("version") == version:
        raise RefusedError(f"tenant {name_of(tenant)} stays at {version} already")
    return _released(tenant, "Pinned", version)


def pin(tenant: Mapping[str, Any], given: Given, moment: dt.datetime) -> Call:
    """Go to a version and stay there (RefusedError)."""
    return _released(tenant, "Pinned", _value(given, "spec", "release", "version"))
