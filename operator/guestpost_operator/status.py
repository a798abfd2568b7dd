"""From facts to status: one pure function. What it gives is what people read, so it must not lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from guestpost_operator.api.conditions import Condition, Truth, Type, condition, follow
from guestpost_operator.api.request import Contact
from guestpost_operator.api.tenant import DeletionStatus, Keys, Tenant

Object = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """How far one part is.

    Attributes:
        done: it is as wanted.
        reason: CamelCase.
        message: for people: what is waited for, or what to do.
        stalled: it cannot go on without a person.
        failed: something was tried and did not work: try again, and not only when something changes.
    """

    done: bool
    reason: str
    message: str = ""
    stalled: bool = False
    failed: bool = False


WAITING = Step(done=False, reason="Waiting", message="waiting for the steps before it")
_RESTING = frozenset({"Suspended", "Suspending", "Hibernated", "Hibernating", "Resuming"})


def done(reason: str = "Ready") -> Step:
    """A part that is as wanted."""
    return Step(done=True, reason=reason)


@dataclass(frozen=True)
class Facts:
    """What one reconcile found out about a tenant; the parts in the order in which they come up.

    Attributes:
        problem: why nothing can be done at all, if so.
        app_revision: what web and sync are rendered from.
        upgrade_blocked: reason and message, when a release is not taken that should be.
        upgrading: it has been given another revision, and is not well with it yet.
        database: what status.database says, empty until the database was ready once.
        volumes: what status.volumes says; None leaves it as it is.
        asked: why objects of exports and Shells could not be made, by object's name.
        keys: how far the exchange of keys is; None leaves it as it was.
        again: seconds until time alone asks for another look, None when it does not.
        deletion: the erasure that is asked for, None when none is.
        contact: whom the service writes to, if the owner said so.
    """

    revision: str = ""
    url: str = ""
    version: str = ""
    app_revision: str = ""
    upgrade_blocked: tuple[str, str] | None = None
    upgrading: bool = False
    namespace_uid: str = ""
    topic: str = ""
    subscription: str = ""
    namespace: Step = WAITING
    messaging: Step = WAITING
    database: Step = WAITING
    application: Step = WAITING
    problem: Step | None = None
    database_facts: Mapping[str, str] = field(default_factory=dict)
    volumes: list[Object] | None = None
    asked: Mapping[str, Step] = field(default_factory=dict)
    keys: Keys | None = None
    again: float | None = None
    deletion: DeletionStatus | None = None
    contact: Contact | None = None

    def parts(self) -> tuple[tuple[Type, Step], ...]:
        """The parts by their condition."""
        return (
            (Type.NAMESPACE, self.namespace),
            (Type.DATABASE, self.database),
            (Type.MESSAGING, self.messaging),
            (Type.APPLICATION, self.application),
        )


def of(tenant: Tenant, facts: Facts, old: Mapping[str, Any], now: str) -> Object:
    """The whole status of a tenant that is not being deleted.

    Args:
        tenant: what is wanted.
        facts: what was found.
        old: the status so far; what facts do not speak about is kept.
        now: RFC 3339, for conditions whose status changed.
    """
    new = {**_known(tenant, facts, old, now), "observedGeneration": tenant.generation}
    conditions = follow(tenant.status.conditions, _conditions(tenant, facts), tenant.generation, now)
    new["conditions"] = [each.model_dump(by_alias=True) for each in conditions]
    new["phase"] = _phase(tenant, facts, conditions, str(old.get("phase", "")))
    return new


def announced(tenant: Tenant, facts: Facts, old: Mapping[str, Any], now: str) -> Object:
    """The status before a pass goes on: what it relies on is in it; what is not known yet is as it was."""
    if not old.get("conditions"):
        return of(tenant, facts, old, now)
    known = _known(tenant, replace(facts, url="") if old.get("app") else facts, old, now)
    new = {**old, **known}
    if new.get("revision") != old.get("revision"):
        upgrading = condition(Type.RECONCILING, Truth.TRUE, "Upgrading", f"to revision {facts.revision}")
        new = {**_with(tenant, new, now, upgrading), "observedGeneration": old.get("observedGeneration", 0)}
    return new


def _known(tenant: Tenant, facts: Facts, old: Mapping[str, Any], now: str) -> Object:
    """All of the status but its conditions and what is made of them."""
    new = {key: value for key, value in old.items() if key not in {"conditions", "phase", "deletion"}}
    if facts.revision:
        new |= _revision(facts, old, now)
    if facts.namespace_uid:
        new["namespace"] = {"name": tenant.namespace, "uid": facts.namespace_uid}
    if facts.topic:
        new["messaging"] = {"topic": facts.topic, "subscription": facts.subscription}
    if facts.url:
        app = {"url": facts.url, "version": facts.version, "revision": facts.app_revision}
        new["app"] = {key: value for key, value in app.items() if value}
    if facts.keys:
        new["keys"] = facts.keys.model_dump(by_alias=True, exclude_defaults=True)
    if facts.deletion:
        new["deletion"] = facts.deletion.model_dump(by_alias=True, exclude_defaults=True)
    if facts.contact:
        new["contact"] = facts.contact.model_dump(by_alias=True)
    if facts.database_facts:
        new["database"] = dict(facts.database_facts)
    if facts.volumes:
        # Volumes of an earlier database stay on the list: they may be retained, and hold data.
        new["volumes"] = list(
            {each["name"]: each for each in (*old.get("volumes", ()), *facts.volumes)}.values()
        )
    return new


def _revision(facts: Facts, old: Mapping[str, Any], now: str) -> Object:
    """The revision in force, and how the tenant came to it, unless it was made with it."""
    before, release = old.get("revision"), dict(old.get("release") or {})
    if before and before != facts.revision:
        release = {"previousRevision": before, "movedAt": now}
    if release and facts.url and facts.app_revision == facts.revision:
        release.setdefault("arrivedAt", now)
    return {"revision": facts.revision} | ({"release": release} if release else {})


def _conditions(tenant: Tenant, facts: Facts) -> list[Condition]:
    ready = _ready(tenant, facts)
    stalled = facts.problem or next((step for _, step in facts.parts() if step.stalled), None)
    if stalled is not None:
        reconciling = condition(
            Type.RECONCILING, Truth.FALSE, "Stalled", "nothing more can be done without help"
        )
    elif ready.status == Truth.TRUE and facts.upgrading:
        message = f"web and sync go over to revision {facts.revision}"
        reconciling = condition(Type.RECONCILING, Truth.TRUE, "Upgrading", message)
    elif ready.status == Truth.TRUE:
        reconciling = condition(Type.RECONCILING, Truth.FALSE, "Settled")
    else:
        reconciling = condition(Type.RECONCILING, Truth.TRUE, "Progressing", ready.message)
    return [
        ready,
        reconciling,
        condition(Type.STALLED, Truth.TRUE, stalled.reason, stalled.message)
        if stalled
        else condition(Type.STALLED, Truth.FALSE, "NotStalled"),
        *(condition(kind, _truth(step), step.reason, step.message) for kind, step in facts.parts()),
        condition(Type.ISOLATED, Truth.UNKNOWN, "NotChecked", "no packet check has run in this cluster yet"),
        condition(Type.UPGRADE_BLOCKED, Truth.TRUE, *facts.upgrade_blocked)
        if facts.upgrade_blocked
        else condition(Type.UPGRADE_BLOCKED, Truth.FALSE, "NotBlocked"),
        _asked_for(tenant, facts),
        condition(Type.PAUSED, Truth.FALSE, "NotPaused"),
    ]


def _asked_for(tenant: Tenant, facts: Facts) -> Condition:
    """How it stands with an erasure that is asked for and has not begun."""
    if facts.deletion is None:
        return condition(Type.DELETION_BLOCKED, Truth.FALSE, "NotDeleting")
    asked = (
        f"{facts.deletion.requested_by.lower()} asked for the erasure, due after {facts.deletion.erase_after}"
    )
    if tenant.spec.deletion.protected:
        message = f"{asked}; spec.deletion.protected keeps it from beginning: set it to false to let it"
        return condition(Type.DELETION_BLOCKED, Truth.TRUE, "Protected", message)
    return condition(
        Type.DELETION_BLOCKED, Truth.FALSE, "GracePeriod", f"{asked}; it can be taken back until then"
    )


def _truth(step: Step) -> Truth:
    # Not looked at is not the same as not there: a part may run well while a step before it has a problem.
    return Truth.UNKNOWN if step is WAITING else Truth(str(step.done))


def _ready(tenant: Tenant, facts: Facts) -> Condition:
    if facts.problem:
        return condition(Type.READY, Truth.FALSE, facts.problem.reason, facts.problem.message)
    waiting = [(kind, step) for kind, step in facts.parts() if not step.done]
    # What needs help comes first: it is what a person should read.
    waiting.sort(key=lambda part: not part[1].stalled)
    if waiting:
        kind, step = waiting[0]
        reason = step.reason if step.stalled else f"{kind.removesuffix('Ready')}NotReady"
        return condition(Type.READY, Truth.FALSE, reason, step.message)
    return condition(Type.READY, Truth.TRUE, tenant.spec.state)


def _phase(tenant: Tenant, facts: Facts, conditions: list[Condition], old: str) -> str:
    truth = {each.type: each.status for each in conditions}
    state = tenant.spec.state
    if truth[Type.READY] == Truth.TRUE:
        return state
    if truth[Type.STALLED] == Truth.TRUE:
        return "Blocked"
    same = tenant.status.observed_generation == tenant.generation
    if state == "Running":
        return _phase_to_running(facts, truth, old)
    # What was there is not any more, and nobody has asked for another state.
    if old in {state, "Degraded"} and same:
        return "Degraded"
    return {"Suspended": "Suspending", "Hibernated": "Hibernating"}[state]


def _phase_to_running(facts: Facts, truth: Mapping[str, str], old: str) -> str:
    if facts.upgrading:
        return "Upgrading"
    if old in {"Running", "Degraded", "Upgrading"}:
        return "Degraded"
    if old in _RESTING:
        return "Resuming"
    return "Provisioning" if truth[Type.NAMESPACE] == Truth.TRUE else "Pending"


def paused(tenant: Tenant, old: Mapping[str, Any], now: str) -> Object:
    """The status of a paused tenant: as it was, and that nobody looks after it."""
    message = "the annotation guestpostcrm.com/paused keeps the operator away; remove it to go on"
    return _with(tenant, old, now, condition(Type.PAUSED, Truth.TRUE, "PausedByAnnotation", message))


def deleting(
    tenant: Tenant,
    old: Mapping[str, Any],
    now: str,
    record: DeletionStatus,
    blocked: tuple[str, Step] | None,
    current: str = "",
) -> Object:
    """The status of a tenant that is being erased.

    Args:
        tenant: the tenant.
        old: its status so far.
        now: RFC 3339.
        record: what was found and what is done.
        blocked: the step that can't go on and why, if any.
        current: what is waited for, when nothing is blocked.
    """
    if blocked:
        deletion = condition(Type.DELETION_BLOCKED, Truth.TRUE, blocked[1].reason, blocked[1].message)
    else:
        deletion = condition(Type.DELETION_BLOCKED, Truth.FALSE, "Progressing", current)
    ready = condition(Type.READY, Truth.FALSE, "Deleting", "the tenant is being erased")
    reconciling = condition(Type.RECONCILING, Truth.TRUE, "Deleting", current)
    new = _with(tenant, old, now, ready, reconciling, deletion)
    new["phase"] = "Blocked" if blocked else "Deleting"
    record = record.model_copy(update={"blocked_by": blocked[0] if blocked else ""})
    new["deletion"] = record.model_dump(by_alias=True, exclude_defaults=True)
    return new


def _with(tenant: Tenant, old: Mapping[str, Any], now: str, *changed: Condition) -> Object:
    """The old status with some conditions replaced or added."""
    by_type = {each.type: each for each in follow(tenant.status.conditions, changed, tenant.generation, now)}
    kept = [by_type.pop(each.type, each) for each in tenant.status.conditions]
    conditions = [each.model_dump(by_alias=True) for each in (*kept, *by_type.values())]
    return {**old, "observedGeneration": tenant.generation, "conditions": conditions}


def patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> Object:
    """A merge patch from one status to the other; empty when nothing changed.

    Nested objects are merged by the API server, so keys that went away are named with None.
    """
    changes: Object = {}
    for key in old.keys() | new.keys():
        if key not in new:
            changes[key] = None
        elif key not in old:
            changes[key] = new[key]
        elif old[key] != new[key]:
            if isinstance(old[key], Mapping) and isinstance(new[key], Mapping):
                changes[key] = patch(old[key], new[key])
            else:
                changes[key] = new[key]
    return changes


def merged(old: Mapping[str, Any], changes: Mapping[str, Any]) -> Object:
    """What the API server makes of a merge patch."""
    found: Object = {**old}
    for key, value in changes.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, Mapping):
            before = found.get(key)
            found[key] = merged(before if isinstance(before, Mapping) else {}, value)
        else:
            found[key] = value
    return found
