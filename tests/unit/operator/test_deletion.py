"""When an erasure begins, what takes it back, and what each request is answered."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from guestpost_operator import deletion
from guestpost_operator.api import request as api
from guestpost_operator.api.tenant import Tenant, parse
from hypothesis import given
from hypothesis import strategies as st

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
WEEK = {"gracePeriodSeconds": 7 * 86400}
AFTER = "2026-12-01T10:00:00Z"


@pytest.fixture
def tenant(body: Any) -> Any:
    def make(status: dict[str, Any] | None = None, *, deleting: bool = False, **spec: Any) -> Tenant:
        made = body({"deletion": status} if status else None, deletion=spec)
        if deleting:
            made["metadata"]["deletionTimestamp"] = "2026-12-01T10:00:00Z"
        return parse(made)

    return make


def request(kind: str, hour: int = 10, name: str = "", phase: str = "", **spec: Any) -> api.Request:
    metadata = {
        "name": name or f"{kind.lower()}-{hour}",
        "namespace": "gpt-acme",
        "uid": f"uid-{kind}-{hour}",
        "creationTimestamp": f"2026-11-24T{hour:02}:00:00Z",
    }
    return api.parse(
        {"metadata": metadata, "spec": {"type": kind, **spec}, "status": {"phase": phase} if phase else {}}
    )


def phases(tenant: Tenant, *requests: api.Request) -> list[tuple[str, str]]:
    clock = deletion.asked(tenant, requests, NOW)
    found = deletion.answers(tenant, requests, clock)
    return [(found[each.name].phase, found[each.name].reason) for each in requests if each.name in found]


@pytest.mark.promise("P9.2")
def test_the_customers_clock_begins_with_the_request(tenant: Any) -> None:
    clock = deletion.asked(tenant(**WEEK), [request("Erase")], NOW)
    assert clock.erase_after == AFTER
    assert (clock.requested_by, clock.requested_at) == ("Customer", "2026-11-24T10:00:00Z")
    # Also for a request that is there already, the grace period is what the spec says now.
    assert deletion.asked(tenant(gracePeriodSeconds=60), [request("Erase")], NOW).erase_after == (
        "2026-11-24T10:01:00Z"
    )


@pytest.mark.promise("P9.2")
def test_it_can_be_taken_back_and_asked_for_again(tenant: Any) -> None:
    erase, cancel, again = request("Erase", 8), request("CancelErasure", 9), request("Erase", 10)
    assert deletion.asked(tenant(**WEEK), [erase, cancel], NOW) is None
    assert phases(tenant(**WEEK), erase, cancel) == [("Accepted", "Accepted")]
    assert deletion.asked(tenant(**WEEK), [again, erase, cancel], NOW).erase_after == AFTER
    assert phases(tenant(**WEEK), again, erase, cancel) == [("Accepted", "GracePeriod")]


def test_asking_twice_begins_the_grace_period_anew(tenant: Any) -> None:
    found = [request("Erase", 8), request("Erase", 10)]
    assert deletion.asked(tenant(**WEEK), found, NOW).erase_after == AFTER


def test_staffs_clock_begins_when_it_is_first_seen_and_is_kept_in_the_status(tenant: Any) -> None:
    first = deletion.asked(tenant(requested=True, **WEEK), [], NOW)
    assert (first.requested_by, first.erase_after) == ("Staff", "2026-12-01T12:00:00Z")
    status = first.model_dump(by_alias=True)
    later = NOW + dt.timedelta(days=3)
    assert deletion.asked(tenant(status, requested=True, **WEEK), [], later) == first
    assert deletion.asked(tenant(status, **WEEK), [], later) is None


def test_of_two_clocks_the_earlier_counts(tenant: Any) -> None:
    status = {"requestedAt": "2026-11-24T11:00:00Z", "requestedBy": "Staff"}
    both = tenant(status, requested=True, **WEEK)
    assert deletion.asked(both, [request("Erase", 10)], NOW).requested_by == "Customer"
    assert deletion.asked(both, [request("Erase", 11, name="z")], NOW).requested_by == "Customer"
    assert deletion.asked(both, [request("Erase", 12)], NOW).requested_by == "Staff"


def test_the_customer_cannot_take_back_what_staff_asks_for(tenant: Any) -> None:
    status = {"requestedAt": "2026-11-24T09:00:00Z", "requestedBy": "Staff"}
    both = tenant(status, requested=True, **WEEK)
    found = [request("Erase", 8), request("CancelErasure", 11)]
    assert deletion.asked(both, found, NOW).requested_by == "Staff"
    assert phases(both, *found) == [("Accepted", "RequestedByStaff")]
    clock = deletion.asked(both, found, NOW)
    assert deletion.answers(both, found, clock)["cancelerasure-11"].erase_after == clock.erase_after


@pytest.mark.promise("P9.2")
def test_a_protected_tenants_customer_is_told_what_is_in_the_way(tenant: Any) -> None:
    assert phases(tenant(protected=True, **WEEK), request("Erase")) == [("Accepted", "Protected")]


def test_after_the_erasure_has_begun_nothing_is_taken_back(tenant: Any) -> None:
    dying = tenant(deleting=True, **WEEK)
    erase = request("Erase", 8, phase="Accepted", finalExport="Skip")
    late = request("CancelErasure", 11)
    assert phases(dying, erase, late) == [("Accepted", "Erasing"), ("Refused", "ErasureBegun")]
    assert deletion.final_export(dying, [erase, late]) == "Skip"
    refused = request("CancelErasure", 11, phase="Refused")
    assert deletion.answers(dying, [erase, refused], None)["erase-8"].reason == "Erasing"


def test_whether_a_last_export_is_made(tenant: Any) -> None:
    assert deletion.final_export(tenant(), []) == "Required"
    assert deletion.final_export(tenant(finalExport="Skip"), []) == "Skip"
    assert deletion.final_export(tenant(), [request("Erase", finalExport="Skip")]) == "Skip"
    assert deletion.final_export(tenant(finalExport="Skip"), [request("Erase")]) == "Skip"
    assert (
        deletion.final_export(tenant(finalExport="Skip"), [request("Erase", finalExport="Required")])
        == "Required"
    )


def test_the_contact_is_what_was_said_last() -> None:
    first = request("ContactChange", 8, contact={"name": "A", "email": "a@acme.example"})
    last = request("ContactChange", 9, contact={"name": "B", "email": "b@acme.example"})
    assert deletion.contact([]) is None
    found = deletion.contact([last, first])
    assert found is not None
    assert found.email == "b@acme.example"


def test_an_answer_is_written_once(tenant: Any) -> None:
    erase = request("Erase")
    answer = deletion.answers(tenant(**WEEK), [erase], deletion.asked(tenant(**WEEK), [erase], NOW))[
        "erase-10"
    ]
    status = deletion.status(erase, answer, "2026-11-24T12:00:00Z")
    assert (status["phase"], status["eraseAfter"]) == ("Accepted", AFTER)
    body = {"metadata": {**erase.model_dump(), "creationTimestamp": erase.created}, "spec": {"type": "Erase"}}
    again = api.parse({**body, "status": status})
    assert deletion.status(again, answer, "2026-11-25T12:00:00Z") == {}


def test_what_counts_no_more_goes(tenant: Any) -> None:
    """An old contact at once; what was refused after a day, so that people can read why."""
    old, refused = request("Erase", 8, phase="Accepted"), request("CancelErasure", 11, phase="Refused")
    newest = request("CancelErasure", 10, phase="Accepted")
    contacts = [
        request("ContactChange", hour, contact={"name": "A", "email": "a@b.example"}) for hour in (8, 9)
    ]
    found = [newest, old, refused, *contacts]
    assert deletion.stale(tenant(), found, NOW) == [old, contacts[0]]
    assert deletion.stale(tenant(), found, NOW + dt.timedelta(days=2)) == [old, contacts[0], refused]


def test_what_an_erasure_goes_by_stays_until_its_end(tenant: Any) -> None:
    erase, late = request("Erase", 8, phase="Accepted"), request("CancelErasure", 11)
    assert deletion.stale(tenant(deleting=True), [erase, late], NOW) == []


@given(st.lists(st.sampled_from(["Erase", "CancelErasure"]), max_size=8))
def test_the_last_word_counts_whatever_came_before(kinds: list[str]) -> None:
    spec = {"owner": {"email": "a@b.example"}, "region": "r", "googleProject": "p"}
    acme = parse({"metadata": {"name": "acme", "uid": "u"}, "spec": spec})
    found = [request(kind, hour) for hour, kind in enumerate(kinds)]
    clock = deletion.asked(acme, found[::-1], NOW)
    assert (clock is not None) == (kinds[-1:] == ["Erase"])
    assert list(deletion.answers(acme, found, clock)) == [each.name for each in found[-1:]]
    assert deletion.stale(acme, found, NOW) == found[:-1]


def test_a_request_that_came_during_a_pass_is_answered_by_the_next_which_knows_when_it_is_due(
    tenant: Any,
) -> None:
    acme, erase = tenant(**WEEK), request("Erase")
    assert deletion.answers(acme, [erase], None) == {}
    assert (
        deletion.answers(acme, [erase], deletion.asked(acme, [erase], NOW))["erase-10"].erase_after == AFTER
    )
    # Once it has begun its time is the status's, or nobody's any more.
    begun = request("Erase", phase="Accepted")
    assert list(deletion.answers(tenant(deleting=True, **WEEK), [begun], None)) == ["erase-10"]
