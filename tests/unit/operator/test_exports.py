"""Which exports of a tenant run, why others wait, and when they are over."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable
from typing import Any
from unittest.mock import AsyncMock

import pytest
from guestpost_operator import exports
from guestpost_operator.api import export as api
from guestpost_operator.api.tenant import Tenant
from guestpost_operator.asked import Asked
from guestpost_operator.backends.errors import ConflictError, NotFoundError
from guestpost_operator.exports import Place, Verdict
from guestpost_operator.lifecycle.exports import Exports
from guestpost_operator.lifecycle.memory import Memory
from guestpost_operator.status import Step

NOON = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
READY = Place(size="20Gi")


def export(name: str = "one", minute: int = 0, by: str = "Customer", **status: Any) -> api.Export:
    body = {
        "metadata": {
            "name": name,
            "namespace": "gpt-acme",
            "uid": f"uid-of-{name}",
            "creationTimestamp": f"2026-11-24T11:{minute:02}:00Z",
        },
        "spec": {"requestedBy": by},
        "status": status,
    }
    return api.parse(body)


def decide(*found: api.Export, place: Place = READY) -> list[Verdict]:
    return exports.decide(found, place, NOON)


def told(verdict: Verdict, problem: Step | None = None) -> dict[str, Any]:
    return exports.status(verdict, problem, "2026-11-24T12:00:00Z")


def truths(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


def test_a_new_export_gets_its_volume_written_down_before_anything_is_made() -> None:
    [verdict] = decide(export())
    status = told(verdict)
    assert (status["phase"], status["volumeSize"]) == ("Pending", "20Gi")
    assert truths(status) == {"Complete": ("False", "Starting"), "Failed": ("False", "NotFailed")}


def test_what_is_said_already_is_not_written_again() -> None:
    [verdict] = decide(export())
    said = told(verdict)
    [again] = decide(export(**said))
    assert told(again) == {}


def test_a_volume_keeps_its_size_while_the_database_grows() -> None:
    [verdict] = decide(export(phase="Running", volumeSize="10Gi"))
    assert verdict.run == exports.Run("one", "10Gi")


def test_only_so_many_have_a_volume_the_others_wait() -> None:
    found = [export(name, minute) for minute, name in enumerate(("one", "two", "three"))]
    verdicts = decide(*reversed(found))
    assert [each.reason for each in verdicts] == ["Starting", "Starting", "TooMany"]
    assert [each.run is not None for each in verdicts] == [True, True, False]
    assert len(verdicts[:2]) == exports.MOST
    expired = export("one", 0, phase="Complete", volumeSize="1Gi", expiresAt="2026-11-24T12:00:00Z")
    assert [each.reason for each in decide(expired, *found[1:])] == ["Expired", "Starting", "Starting"]


def test_the_last_one_of_an_erasure_waits_for_none_that_was_asked_for_before() -> None:
    found = [export(name, minute, phase="Complete", volumeSize="1Gi") for minute, name in enumerate("ab")]
    last = export("final-export", 5, by="Erasure")
    [*_, verdict] = decide(*found, last, place=Place(size="20Gi", erasing=True))
    assert (verdict.reason, verdict.run) == ("Starting", exports.Run("final-export", "20Gi"))


@pytest.mark.parametrize(("ends", "phase"), [("12:00:01", "Complete"), ("12:00:00", "Expired")])
def test_an_archive_is_served_until_it_expires(ends: str, phase: str) -> None:
    [verdict] = decide(export(phase="Complete", volumeSize="1Gi", expiresAt=f"2026-11-24T{ends}Z"))
    assert verdict.phase == phase
    assert (verdict.run is not None) == (phase == "Complete")
    assert (verdict.ends is not None) == (phase == "Complete")


def test_one_that_expired_stays_so() -> None:
    [verdict] = decide(export(phase="Expired", volumeSize="1Gi", expiresAt="2026-11-25T12:00:00Z"))
    assert (verdict.phase, verdict.run) == ("Expired", None)


def test_without_a_database_there_is_nothing_to_export_yet() -> None:
    [verdict] = decide(export(), place=Place(size=""))
    assert (verdict.phase, verdict.reason, verdict.run) == ("Pending", "NotReady", None)


def test_while_the_tenant_hibernates_archives_rest_on_their_volumes() -> None:
    there = export("there", phase="Complete", volumeSize="1Gi", expiresAt="2026-11-25T12:00:00Z")
    asked = export("asked", 1)
    begun = export("begun", 2, phase="Running", volumeSize="1Gi")
    verdicts = decide(there, asked, begun, place=Place(size="20Gi", rests=True))
    assert [each.phase for each in verdicts] == ["Complete", "Pending", "Pending"]
    assert [each.run and each.run.runs for each in verdicts] == [False, None, False]
    assert "hibernates" in verdicts[1].message


def test_a_tenant_that_is_being_erased_makes_its_last_export_only() -> None:
    final = export(api.FINAL, 3, by=api.BY_ERASURE)
    there = export("there", phase="Complete", volumeSize="1Gi", expiresAt="2026-11-25T12:00:00Z")
    verdicts = decide(
        there, export("asked", 1), export("begun", 2, phase="Running", volumeSize="1Gi"), final,
        place=Place(size="20Gi", erasing=True),
    )  # fmt: skip
    assert [each.reason for each in verdicts] == ["Complete", "TenantErased", "TenantErased", "Starting"]
    status = told(verdicts[1])
    assert truths(status)["Failed"] == ("True", "TenantErased")
    assert "the tenant is being erased" in status["conditions"][1]["message"]
    # For good, whatever becomes of the erasure.
    [again] = decide(export("asked", 1, **status))
    assert (again.phase, again.run, told(again)) == ("Failed", None, {})


def test_why_it_could_not_be_made_is_left_as_the_pod_said_it() -> None:
    failed = {"type": "Failed", "status": "True", "reason": "VolumeFull", "message": "it does not fit"}
    [verdict] = decide(export(phase="Failed", volumeSize="1Gi", conditions=[failed]))
    assert verdict.run is not None
    assert told(verdict) == {}


def test_a_pod_that_cannot_be_made_is_told() -> None:
    [verdict] = decide(export(phase="Pending", volumeSize="1Gi"))
    status = told(verdict, Step(done=False, reason="Refused", message="exceeded quota"))
    assert truths(status)["Complete"] == ("False", "Refused")
    assert status["conditions"][0]["message"] == "exceeded quota"


def test_one_that_is_deleted_has_no_place_any_more() -> None:
    body: dict[str, Any] = {
        "metadata": {"name": "a", "namespace": "n", "uid": "u", "deletionTimestamp": "2026-11-24T12:00:00Z"},
        "spec": {"requestedBy": "Staff"},
    }
    assert exports.decide([api.parse(body)], READY, NOON) == []


async def test_one_that_expires_while_a_pass_is_under_way_is_looked_at_again_at_once(
    make_tenant: Callable[..., Tenant],
) -> None:
    """What was rendered a moment ago is still there, and nobody tells the operator of its own writing."""
    tenant = make_tenant({"database": {"size": "20Gi"}})
    body: dict[str, Any] = {
        "kind": "TenantExport",
        "metadata": {
            "name": "one",
            "namespace": tenant.namespace,
            "uid": "u",
            "creationTimestamp": "2026-11-24T11:00:00Z",
            "resourceVersion": "1",
        },
        "spec": {"requestedBy": "Staff"},
        "status": {"phase": "Complete", "volumeSize": "20Gi", "expiresAt": "2026-11-24T12:00:00Z"},
    }

    async def merge(kind: Any, name: str, namespace: str, uid: str, status: Any) -> Any:
        metadata = body["metadata"] | {"resourceVersion": "2"}
        return body | {"metadata": metadata, "status": body["status"] | status}

    cluster = AsyncMock(merge_status=merge, find=AsyncMock(return_value=[]))
    clock = [NOON - dt.timedelta(milliseconds=1)]
    asked = Asked()
    asked.observe(body)
    keeper = Exports(cluster, asked, now=lambda: clock[0])
    assert keeper.wanted(tenant) != ()
    clock[0] = NOON
    assert await keeper.settle(tenant, {}, Memory()) == 0.0
    assert keeper.wanted(tenant) == ()
    assert await keeper.settle(tenant, {}, Memory()) is None


@pytest.mark.parametrize(
    ("error", "again"), [(NotFoundError("gone"), False), (ConflictError("API server is busy"), True)]
)
async def test_a_status_that_is_not_taken_is_written_again_unless_the_export_is_gone(
    make_tenant: Callable[..., Tenant], error: Exception, again: bool
) -> None:
    tenant, asked = make_tenant({"database": {"size": "20Gi"}}), Asked()
    metadata = {
        "name": "one",
        "namespace": tenant.namespace,
        "uid": "u",
        "creationTimestamp": "2026-11-24T11:00:00Z",
        "resourceVersion": "1",
    }
    asked.observe({"kind": "TenantExport", "metadata": metadata, "spec": {"requestedBy": "Staff"}})
    keeper = Exports(AsyncMock(merge_status=AsyncMock(side_effect=error)), asked, now=lambda: NOON)
    # What goes wrong with a pass is tried again.
    with pytest.raises(ConflictError) if again else contextlib.nullcontext():
        await keeper.settle(tenant, {}, Memory())
