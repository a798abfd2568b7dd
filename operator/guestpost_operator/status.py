"""From facts to status: one pure function. What it gives is what people read, so it must not lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from guestpost_operator.api.conditions import Condition, Truth, Type, condition, follow
from guestpost_operator.api.tenant import Tenant

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


def done(reason: str = "Ready") -> Step:
    """A part that is as wanted."""
    return Step(done=True, reason=reason)


@dataclass(frozen=True)
class Facts:
    """What one reconcile found out about a tenant; the parts in the order in which they come up.

    Attributes:
        problem: why nothing can be done at all, if so.
        database: what status.database says, empty until the database was ready once.
        volumes: what status.volumes says; None leaves it as it is.
    """

    revision: str = ""
    url: str = ""
    version: str = ""
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
    new = {key: value for key, value in old.items() if key not in {"conditions", "phase", "deletion"}}
    new["observedGeneration"] = tenant.generation
    if facts.revision:
        new["revision"] = facts.revision
    if facts.namespace_uid:
        new["namespace"] = {"name": tenant.namespace, "uid": facts.namespace_uid}
    if facts.topic:
        new["messaging"] = {"topic": facts.topic, "subscription": facts.subscription}
    if facts.url:
        new["app"] = {"url": facts.url} | ({"version": facts.version} if facts.version else {})
    if facts.database_facts:
        new["database"] = dict(facts.database_facts)
    if facts.volumes:
        # Volumes of an earlier database stay on the list: they may be retained, and hold data.
        new["volumes"] = list(
            {each["name"]: each for each in (*old.get("volumes", ()), *facts.volumes)}.values()
        )
    conditions = follow(tenant.status.conditions, _conditions(tenant, facts), tenant.generation, now)
    new["conditions"] = [each.model_dump(by_alias=True) for each in conditions]
    new["phase"] = _phase(conditions, str(old.get("phase", "")))
    return new


def _conditions(tenant: Tenant, facts: Facts) -> list[Condition]:
    ready = _ready(tenant, facts)
    stalled = facts.problem or next((step for _, step in facts.parts() if step.stalled), None)
    if stalled is not None:
        reconciling = condition(
            Type.RECONCILING, Truth.FALSE, "Stalled", "nothing more can be done without help"
        )
    elif ready.status == Truth.TRUE or ready.reason == "StateNotSupported":
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
        condition(Type.DELETION_BLOCKED, Truth.FALSE, "NotDeleting"),
        condition(Type.PAUSED, Truth.FALSE, "NotPaused"),
    ]


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
    if tenant.spec.state != "Running":
        message = (
            f"spec.state {tenant.spec.state} is not acted upon by this release: the server runs. "
            "Set spec.state to Running, or upgrade the operator."
        )
        return condition(Type.READY, Truth.FALSE, "StateNotSupported", message)
    return condition(Type.READY, Truth.TRUE, "Running")


def _phase(conditions: list[Condition], old: str) -> str:
    truth = {each.type: each.status for each in conditions}
    if truth[Type.READY] == Truth.TRUE:
        return "Running"
    if truth[Type.STALLED] == Truth.TRUE:
        return "Blocked"
    if old in {"Running", "Degraded"}:
        return "Degraded"
    return "Provisioning" if truth[Type.NAMESPACE] == Truth.TRUE else "Pending"


def paused(tenant: Tenant, old: Mapping[str, Any], now: str) -> Object:
    """The status of a paused tenant: as it was, and that nobody looks after it."""
    message = "the annotation guestpostcrm.com/paused keeps the operator away; remove it to go on"
    return _with(tenant, old, now, condition(Type.PAUSED, Truth.TRUE, "PausedByAnnotation", message))


def deleting(
    tenant: Tenant,
    old: Mapping[str, Any],
    now: str,
    completed: list[str],
    blocked: tuple[str, Step] | None,
    current: str = "",
) -> Object:
    """The status of a tenant that is being erased.

    Args:
        tenant: the tenant.
        old: its status so far.
        now: RFC 3339.
        completed: steps that are done.
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
    new["deletion"] = {"completed": completed} | ({"blockedBy": blocked[0]} if blocked else {})
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
