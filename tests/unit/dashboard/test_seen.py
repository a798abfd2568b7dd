"""A job overwrites only what its page showed; who was faster is not overwritten, whatever the moment."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from guestpost_dashboard import seen
from guestpost_dashboard.backends.errors import ConflictError, GoneError
from guestpost_dashboard.calls import Call, Given
from guestpost_dashboard.jobs import JOBS
from guestpost_dashboard.pages import asking
from guestpost_dashboard.seen import OvertakenError, Seen
from hypothesis import given
from hypothesis import strategies as st

REASON = Given({"spec": {"suspendReason": "The invoice of May is open."}})


class Present:
    """The API server's one tenant, which others change as well.

    Attributes:
        tenant: as it is.
        meanwhile: happens once, between reading and writing.
    """

    def __init__(self, tenant: dict[str, Any]) -> None:
        self.tenant = tenant
        self.meanwhile: Callable[[], None] | None = None
        self.written = 0

    def change(self, **spec: Any) -> None:
        """Somebody changes the spec."""
        self.tenant["spec"] |= spec
        self.tenant["metadata"]["generation"] += 1
        self.touch()

    def touch(self) -> None:
        """Somebody writes something, such as a status."""
        self.tenant["metadata"]["resourceVersion"] += "1"

    async def get(self, kind: Any, name: str, namespace: str = "") -> dict[str, Any]:
        found = copy.deepcopy(self.tenant)
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            happens()
        return found

    async def patch(self, kind: Any, name: str, changes: Any, namespace: str = "", **_: Any) -> Any:
        if changes["metadata"]["resourceVersion"] != self.tenant["metadata"]["resourceVersion"]:
            raise ConflictError(409, "Conflict", "the object has been modified")
        self.change(**changes["spec"])
        self.written += 1
        return self.tenant


@pytest.fixture
def present(tenant: Callable[..., dict[str, Any]]) -> Present:
    return Present(tenant())


def looked(present: Present, job: str = "suspend") -> Seen:
    """What a page carries that shows the tenant as it is."""
    return seen.read(str(seen.of(present.tenant, JOBS[job].concerns)))


async def suspend(present: Any, sight: Seen) -> Call:
    return await asking.once(present, JOBS["suspend"], "acme", REASON, sight)


async def test_what_is_as_it_was_seen_is_changed(present: Present) -> None:
    sight = looked(present)
    # What the job does not overwrite is nobody's way.
    present.change(plan="Scale")
    await suspend(present, sight)
    assert present.tenant["spec"]["suspendReason"] == "The invoice of May is open."
    assert present.tenant["spec"]["plan"] == "Scale"


async def test_who_was_faster_is_not_overwritten(present: Present) -> None:
    sight = looked(present)
    present.change(state="Suspended", suspendReason="The police asked for it.")
    with pytest.raises(OvertakenError) as overtaken:
        await suspend(present, sight)
    assert overtaken.value.before == {"spec": {"state": "Running"}}
    assert overtaken.value.now["spec"]["suspendReason"] == "The police asked for it."
    assert present.written == 0
    # Who has seen that may do it.
    await suspend(present, looked(present))
    assert present.written == 1


async def test_who_is_faster_by_a_blink_is_not_overwritten_either(present: Present) -> None:
    """Between reading and writing."""
    sight = looked(present)
    present.meanwhile = lambda: present.change(state="Hibernated")
    with pytest.raises(OvertakenError):
        await suspend(present, sight)
    assert present.tenant["spec"]["state"] == "Hibernated"


async def test_statuses_that_are_written_meanwhile_are_in_nobodys_way(present: Present) -> None:
    present.meanwhile = present.touch
    await suspend(present, looked(present))
    assert present.written == 1


async def test_what_changes_all_the_time_is_given_up(present: Present) -> None:
    def again() -> None:
        present.touch()
        present.meanwhile = again

    present.meanwhile = again
    with pytest.raises(ConflictError, match="changes faster"):
        await suspend(present, looked(present))


async def test_another_tenant_of_that_name_is_left_alone(present: Present) -> None:
    sight = looked(present, "erase")
    present.tenant["metadata"]["uid"] = "another"
    with pytest.raises(GoneError, match="another one has its name now"):
        await asking.once(present, JOBS["erase"], "acme", Given(typed="acme"), sight)  # type: ignore[arg-type]


async def test_what_somebody_wants_and_finds_done_is_no_conflict(present: Present) -> None:
    """Such as a button that was pressed twice, or an answer that got lost."""
    sight = looked(present)
    present.change(state="Suspended", suspendReason="The invoice of May is open.")
    await suspend(present, sight)
    await suspend(present, Seen(generation=1))


async def test_of_several_those_that_changed_since_they_were_chosen_are_left(present: Present) -> None:
    await suspend(present, Seen(generation=1))
    present.change(suspendReason="The police asked for it.")
    with pytest.raises(OvertakenError) as overtaken:
        await suspend(present, Seen(generation=2))
    outcome = asking.outcome("acme", overtaken.value)
    assert (outcome.kind, outcome.words) == ("conflict", "Changed meanwhile")
    # A job that overwrites nothing of the spec does not ask.
    call = Call("patch", JOBS["pause"].kind, "acme", body={"metadata": {}})
    Seen(generation=1).require(present.tenant, call, JOBS["pause"].concerns)


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_whatever_a_page_carries_is_understood(text: str) -> None:
    assert isinstance(seen.read(text), Seen)
