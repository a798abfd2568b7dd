"""From facts to status: what people read, and what of it they are told by events."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from guestpost_operator import status
from guestpost_operator.api.conditions import MAX_MESSAGE, Condition, Truth, Type, condition, follow
from guestpost_operator.api.tenant import DeletionStatus
from guestpost_operator.lifecycle.reporter import changed
from guestpost_operator.status import WAITING, Facts, Step, done
from hypothesis import given
from hypothesis import strategies as st

NOW, LATER = "2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z"
MADE = Facts(
    revision="abc",
    url="https://acme.crm.example.com",
    version="1.4.2",
    namespace_uid="ns-uid",
    topic="projects/p/topics/t",
    subscription="projects/p/subscriptions/t",
    namespace=done(),
    messaging=done(),
    database=done(),
    application=done(),
)
PULLING = Step(done=False, reason="PodsNotReady", message="web: 0 of 1 pods are available")
REFUSED = Step(done=False, reason="Refused", message="quota is used up", stalled=True, failed=True)


def truths(new: dict[str, Any]) -> dict[str, str]:
    return {each["type"]: each["status"] for each in new["conditions"]}


def of_type(new: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(each for each in new["conditions"] if each["type"] == kind)


def but(**parts: Any) -> Facts:
    return Facts(**{**MADE.__dict__, **parts})


def test_all_parts_ready_is_ready(make_tenant: Any) -> None:
    new = status.of(make_tenant(), MADE, {}, NOW)
    assert new["phase"] == "Running"
    assert truths(new) == {
        "Ready": "True",
        "Reconciling": "False",
        "Stalled": "False",
        "NamespaceReady": "True",
        "DatabaseReady": "True",
        "MessagingReady": "True",
        "ApplicationReady": "True",
        "Isolated": "Unknown",
        "UpgradeBlocked": "False",
        "DeletionBlocked": "False",
        "Paused": "False",
    }
    assert of_type(new, "Ready")["reason"] == "Running"
    assert {each["observedGeneration"] for each in new["conditions"]} == {2} == {new["observedGeneration"]}


@pytest.mark.parametrize(
    ("facts", "phase", "reason", "says", "stalled", "reconciling"),
    [
        (Facts(revision="abc"), "Pending", "NamespaceNotReady", "waiting", "False", "True"),
        (but(database=PULLING), "Provisioning", "DatabaseNotReady", "0 of 1 pods", "False", "True"),
        (but(application=PULLING), "Provisioning", "ApplicationNotReady", "0 of 1 pods", "False", "True"),
        (but(messaging=REFUSED), "Blocked", "Refused", "quota", "True", "False"),
        # What needs a person comes before what only takes time.
        (but(database=PULLING, application=REFUSED), "Blocked", "Refused", "quota", "True", "False"),
        (Facts(problem=REFUSED), "Blocked", "Refused", "quota", "True", "False"),
    ],
)
def test_what_is_missing_is_said(
    make_tenant: Any, facts: Facts, phase: str, reason: str, says: str, stalled: str, reconciling: str
) -> None:
    new = status.of(make_tenant(), facts, {}, NOW)
    ready = of_type(new, "Ready")
    assert (new["phase"], ready["status"], ready["reason"]) == (phase, "False", reason)
    assert says in ready["message"]
    assert (truths(new)["Stalled"], truths(new)["Reconciling"]) == (stalled, reconciling)


def test_parts_that_nobody_looked_at_are_unknown(make_tenant: Any) -> None:
    running = status.of(make_tenant(), MADE, {}, NOW)
    stalled = status.of(make_tenant(running), Facts(problem=REFUSED), running, LATER)
    parts = {"NamespaceReady", "DatabaseReady", "MessagingReady", "ApplicationReady"}
    assert {truths(stalled)[part] for part in parts} == {"Unknown"}
    # One thing happened, and it is told once for each of the two conditions that speak about it.
    assert [reason for reason, _, _ in changed(running, stalled)] == ["Refused", "Refused"]


@pytest.mark.parametrize("state", ["Running", "Suspended", "Hibernated"])
def test_ready_means_what_is_asked_for(make_tenant: Any, state: str) -> None:
    new = status.of(make_tenant(state=state), MADE, {}, NOW)
    assert (of_type(new, "Ready")["status"], of_type(new, "Ready")["reason"]) == ("True", state)
    assert (new["phase"], truths(new)["Reconciling"]) == (state, "False")


@pytest.mark.parametrize(
    ("old", "asked", "phase"),
    [
        ("Running", "Suspended", "Suspending"),
        ("Degraded", "Suspended", "Suspending"),
        ("Running", "Hibernated", "Hibernating"),
        ("Blocked", "Hibernated", "Hibernating"),
        ("Suspended", "Hibernated", "Hibernating"),
        ("Hibernated", "Suspended", "Suspending"),
        ("Hibernated", "Running", "Resuming"),
        ("Suspending", "Running", "Resuming"),
        ("Resuming", "Running", "Resuming"),
        ("Pending", "Running", "Provisioning"),
        ("", "Suspended", "Suspending"),
    ],
)
def test_the_way_from_one_state_to_the_other_has_a_name(
    make_tenant: Any, old: str, asked: str, phase: str
) -> None:
    tenant = make_tenant({"observedGeneration": 1}, state=asked)
    assert status.of(tenant, but(application=PULLING), {"phase": old}, NOW)["phase"] == phase


@pytest.mark.parametrize("state", ["Running", "Suspended"])
def test_what_was_there_and_is_not_any_more_is_degraded(make_tenant: Any, state: str) -> None:
    there = status.of(make_tenant(state=state), MADE, {}, NOW)
    broken = status.of(make_tenant(there, state=state), but(application=PULLING), there, LATER)
    assert broken["phase"] == "Degraded"
    assert (
        status.of(make_tenant(broken, state=state), but(application=PULLING), broken, LATER)["phase"]
        == "Degraded"
    )
    assert status.of(make_tenant(broken, state=state), MADE, broken, LATER)["phase"] == state


def test_what_facts_do_not_speak_of_is_kept(make_tenant: Any) -> None:
    old = status.of(make_tenant(), MADE, {"volumes": [{"name": "pv-1", "claim": "db-1"}]}, NOW)
    new = status.of(make_tenant(old), Facts(problem=REFUSED), old, LATER)
    for kept in ("revision", "namespace", "messaging", "app", "volumes"):
        assert new[kept] == old[kept]
    more = status.of(make_tenant(old), but(volumes=[{"name": "pv-2", "claim": "db-1"}]), old, LATER)
    assert [each["name"] for each in more["volumes"]] == ["pv-1", "pv-2"], "a retained volume holds data"


def test_a_second_look_changes_nothing(make_tenant: Any) -> None:
    first = status.of(make_tenant(), MADE, {}, NOW)
    second = status.of(make_tenant(first), MADE, first, LATER)
    assert status.patch(first, second) == {}
    assert changed(first, second) == []


def test_another_revision_is_noted_with_its_time_and_the_one_before(make_tenant: Any) -> None:
    old = status.of(make_tenant(), but(app_revision="abc"), {}, NOW)
    assert "release" not in old, "it was made with it"
    moved = but(revision="def", app_revision="abc", upgrading=True)
    new = status.announced(make_tenant(old), moved, old, LATER)
    assert new["release"] == {"previousRevision": "abc", "movedAt": LATER}
    assert (new["revision"], new["app"]["revision"]) == ("def", "abc")
    # Before anything is done, what is known of the parts stays as it was.
    assert truths(new) == {**truths(old), "Reconciling": "True"}
    assert new["phase"] == "Running"
    later = status.of(make_tenant(new), moved, new, "2026-03-01T14:00:00Z")
    assert later["release"]["movedAt"] == LATER
    assert (truths(later)["Ready"], of_type(later, "Reconciling")["reason"]) == ("True", "Upgrading")
    assert "arrivedAt" not in later["release"]
    there = but(revision="def", app_revision="def", upgrading=True, application=PULLING)
    rolling = status.of(make_tenant(new), there, new, "2026-03-01T15:00:00Z")
    assert (rolling["phase"], rolling["release"]["arrivedAt"]) == ("Upgrading", "2026-03-01T15:00:00Z")
    after = status.of(make_tenant(rolling), there, rolling, "2026-03-01T16:00:00Z")
    assert after["release"] == rolling["release"]


def test_a_release_that_is_not_taken_says_why(make_tenant: Any) -> None:
    running = status.of(make_tenant(), MADE, {}, NOW)
    held = status.of(make_tenant(running), but(upgrade_blocked=("RolloutHalted", "why")), running, LATER)
    assert (of_type(held, "UpgradeBlocked")["status"], truths(held)["Ready"]) == ("True", "True")
    assert [(reason, warning) for reason, _, warning in changed(running, held)] == [("RolloutHalted", True)]


def test_pause_and_its_end(make_tenant: Any) -> None:
    running = status.of(make_tenant(), MADE, {}, NOW)
    paused = status.paused(make_tenant(running), running, LATER)
    assert truths(paused) == {**truths(running), "Paused": "True"}
    assert "guestpostcrm.com/paused" in of_type(paused, "Paused")["message"]
    assert status.of(make_tenant(paused), MADE, paused, LATER)["conditions"][-1]["status"] == "False"


def test_deletion_says_how_far_it_is_and_what_holds_it(make_tenant: Any) -> None:
    running = status.of(make_tenant(), MADE, {}, NOW)
    blocked = status.deleting(
        make_tenant(running),
        running,
        LATER,
        DeletionStatus(completed=["Application"]),
        ("Messaging", Step(done=False, reason="Unavailable")),
    )
    assert blocked["deletion"] == {"completed": ["Application"], "blockedBy": "Messaging"}
    assert (blocked["phase"], truths(blocked)["DeletionBlocked"]) == ("Blocked", "True")
    record = DeletionStatus(completed=["Application", "Messaging"])
    on = status.deleting(make_tenant(blocked), blocked, LATER, record, None, "the database")
    assert (on["phase"], truths(on)["DeletionBlocked"]) == ("Deleting", "False")
    assert status.patch(blocked, on)["deletion"] == {
        "completed": ["Application", "Messaging"],
        "blockedBy": None,
    }


def reason(new: dict[str, Any]) -> str:
    """Why an erasure is held up, or is not."""
    [found] = [each["reason"] for each in new["conditions"] if each["type"] == "DeletionBlocked"]
    return str(found)


def test_an_erasure_that_is_asked_for_is_told_and_can_be_taken_back(make_tenant: Any) -> None:
    asked = DeletionStatus(requested_at=NOW, requested_by="Customer", erase_after=LATER)
    waiting = status.of(make_tenant(), replace(MADE, deletion=asked), {}, NOW)
    assert waiting["deletion"] == {"requestedAt": NOW, "requestedBy": "Customer", "eraseAfter": LATER}
    assert reason(waiting) == "GracePeriod"
    kept = make_tenant(waiting, deletion={"protected": True})
    blocked = status.of(kept, replace(MADE, deletion=asked), waiting, NOW)
    assert (truths(blocked)["DeletionBlocked"], reason(blocked)) == ("True", "Protected")
    back = status.of(make_tenant(waiting), MADE, waiting, LATER)
    assert "deletion" not in back
    assert status.patch(waiting, back)["deletion"] is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


def without_nulls(node: Any) -> Any:
    """A status never holds null: the API server takes it for absence."""
    if isinstance(node, dict):
        return {key: without_nulls(value) for key, value in node.items() if value is not None}
    return node


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386, as the API server does it."""
    if not isinstance(patch, dict):
        return patch
    merged = copy.deepcopy(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


@given(
    st.dictionaries(st.text(max_size=3), JSON, max_size=4),
    st.dictionaries(st.text(max_size=3), JSON, max_size=4),
)
def test_a_patch_leads_from_one_status_to_the_other(old: dict[str, Any], new: dict[str, Any]) -> None:
    old, new = without_nulls(old), without_nulls(new)
    assert merge(old, status.patch(old, new)) == new
    assert status.merged(old, status.patch(old, new)) == new


def test_transition_times_follow_the_status_alone() -> None:
    first = follow([], [condition(Type.READY, Truth.FALSE, "Waiting", "a")], 1, NOW)
    same = follow(first, [condition(Type.READY, Truth.FALSE, "Other", "b")], 2, LATER)
    assert (same[0].last_transition_time, same[0].observed_generation, same[0].reason) == (NOW, 2, "Other")
    other = follow(same, [condition(Type.READY, Truth.TRUE, "Running")], 2, LATER)
    assert other[0].last_transition_time == LATER


def test_messages_are_cut_and_kept() -> None:
    assert len(condition(Type.READY, Truth.TRUE, "Long", "x" * 5000).message) == MAX_MESSAGE
    assert (
        Condition.model_validate({"type": "Ready", "status": "True", "reason": "R", "new": 1}).reason == "R"
    )


def conditions(**statuses: str) -> dict[str, Any]:
    return {
        "conditions": [
            {"type": kind, "status": status, "reason": f"Because{kind}", "message": "why"}
            for kind, status in statuses.items()
        ]
    }


@pytest.mark.parametrize(
    ("kind", "before", "after", "told"),
    [
        # A new tenant: nothing is news until it is Ready or needs help.
        ("Ready", None, "False", []),
        ("Stalled", None, "False", []),
        ("DatabaseReady", None, "False", []),
        ("Ready", None, "True", ["Normal"]),
        ("Stalled", None, "True", ["Warning"]),
        ("Ready", "False", "True", ["Normal"]),
        ("Ready", "True", "False", ["Warning"]),
        ("Ready", "True", "True", []),
        ("Stalled", "False", "True", ["Warning"]),
        ("Stalled", "True", "False", ["Normal"]),
        ("DeletionBlocked", "False", "True", ["Warning"]),
        ("Paused", "False", "True", ["Warning"]),
        # Of parts only that they got worse, of what goes on nothing.
        ("DatabaseReady", "True", "False", ["Warning"]),
        ("DatabaseReady", "False", "True", []),
        ("DatabaseReady", "True", "Unknown", []),
        ("Reconciling", "False", "True", []),
    ],
)
def test_people_are_told_of_changes_only(kind: str, before: str | None, after: str, told: list[str]) -> None:
    found = changed(conditions(**{kind: before}) if before else {}, conditions(**{kind: after}))
    assert ["Warning" if warning else "Normal" for _, _, warning in found] == told


def test_a_database_that_was_made_again_is_told() -> None:
    told = changed({"database": {"uid": "1"}}, {"database": {"uid": "2"}})
    assert [(reason, warning) for reason, _, warning in told] == [("DatabaseMadeAgain", True)]
    assert changed({}, {"database": {"uid": "1"}}) == []


def test_waiting_is_one_thing() -> None:
    """Its identity says that nobody looked."""
    assert Facts().namespace is WAITING
