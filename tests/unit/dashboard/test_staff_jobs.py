"""What each job comes to, and when it is refused: as kubectl guestpost does it."""

from __future__ import annotations

import copy
import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml
from guestpost_dashboard import forms
from guestpost_dashboard.calls import Call, Given, RefusedError
from guestpost_dashboard.jobs import JOBS

CRDS = Path(__file__).resolve().parents[3] / "crds"
NOW = dt.datetime(2026, 11, 24, 12, 30, 5, tzinfo=dt.UTC)
RUNNING: dict[str, Any] = {
    "metadata": {"name": "acme", "resourceVersion": "7", "uid": "u"},
    "spec": {
        "state": "Running",
        "release": {"channel": "Stable"},
        "deletion": {"protected": False, "requested": False, "gracePeriodSeconds": 604800},
    },
    "status": {"namespace": {"name": "gpt-acme"}, "app": {"version": "1.4.2"}},
}


def tenant(**changes: Any) -> dict[str, Any]:
    """tenant(spec__state="Suspended")"""
    whole = copy.deepcopy(RUNNING)
    for name, value in changes.items():
        *path, last = name.split("__")
        inside = whole
        for step in path:
            inside = inside.setdefault(step, {})
        inside[last] = value
    return whole


def plan(job: str, of: dict[str, Any], wanted: dict[str, Any] | None = None, **given: Any) -> Call:
    return JOBS[job].plan(of, Given(wanted or {}, **given), NOW)


def test_suspending_says_why() -> None:
    call = plan("suspend", tenant(), {"spec": {"suspendReason": "The invoice is open."}})
    assert (call.verb, call.kind.name, call.name) == ("patch", "GuestPostTenant", "acme")
    assert call.body["spec"] == {"state": "Suspended", "suspendReason": "The invoice is open."}


def test_resuming_takes_the_reason_away() -> None:
    call = plan("resume", tenant(spec__state="Suspended", spec__suspendReason="x"))
    assert call.body["spec"] == {"state": "Running", "suspendReason": None}
    with pytest.raises(RefusedError, match="asked to run already"):
        plan("resume", tenant())


def test_hibernating_keeps_the_reason_unless_another_is_given() -> None:
    assert plan("hibernate", tenant(spec__state="Suspended")).body["spec"] == {"state": "Hibernated"}
    given = plan("hibernate", tenant(), {"spec": {"suspendReason": "Holidays"}})
    assert given.body["spec"] == {"state": "Hibernated", "suspendReason": "Holidays"}


@pytest.mark.parametrize("job", ["suspend", "resume", "hibernate", "canary", "hold", "pin"])
def test_what_is_being_erased_changes_no_more(job: str) -> None:
    going = tenant(metadata__deletionTimestamp="2026-11-24T12:00:00Z", spec__state="Suspended")
    with pytest.raises(RefusedError, match="being erased"):
        plan(job, going)


def test_an_export_is_staffs_and_lies_with_the_tenant() -> None:
    call = plan("export", tenant(), {"spec": {"retentionSeconds": 86400}})
    assert (call.verb, call.name, call.namespace) == ("create", "staff-20261124-123005", "gpt-acme")
    assert call.body["spec"] == {"requestedBy": "Staff", "retentionSeconds": 86400}
    assert call.body["metadata"] == {"name": call.name, "namespace": "gpt-acme"}
    with pytest.raises(RefusedError, match="no server yet"):
        plan("export", tenant(status={}))


def test_support_is_asked_for_in_the_tenants_namespace() -> None:
    wanted = {"spec": {"subject": "sam@support.example", "reason": "Ticket 4711: no mail since Monday"}}
    call = plan("support", tenant(), wanted)
    assert (call.verb, call.kind.name, call.namespace) == ("create", "SupportGrant", "gpt-acme")
    assert call.body["spec"] == {**wanted["spec"], "level": "Browse"}
    withdrawn = plan("withdraw", tenant(), item="support-1")
    assert (withdrawn.verb, withdrawn.name, withdrawn.namespace) == ("delete", "support-1", "gpt-acme")
    with pytest.raises(RefusedError, match="which grant"):
        plan("withdraw", tenant())


def test_erasing_wants_the_name_typed() -> None:
    wanted = {"spec": {"deletion": {"gracePeriodSeconds": 3600, "finalExport": "Skip"}}}
    call = plan("erase", tenant(), wanted, typed=" acme ")
    assert call.body == {
        "metadata": {"resourceVersion": "7"},
        "spec": {
            "deletion": {
                "protected": False,
                "requested": True,
                "gracePeriodSeconds": 3600,
                "finalExport": "Skip",
            }
        },
    }
    for typed in ("", "acme2", "ACME"):
        with pytest.raises(RefusedError, match="nothing was done"):
            plan("erase", tenant(), wanted, typed=typed)


def test_a_protected_tenant_needs_a_tick_besides() -> None:
    protected = tenant(spec__deletion__protected=True)
    with pytest.raises(RefusedError, match="protected from deletion"):
        plan("erase", protected, typed="acme")
    assert plan("erase", protected, typed="acme", ticks=frozenset({"unprotect"})).body["spec"][
        "deletion"
    ] == {
        "protected": False,
        "requested": True,
    }


def test_an_erasure_is_asked_for_once() -> None:
    with pytest.raises(RefusedError, match="asked for already"):
        plan("erase", tenant(spec__deletion__requested=True), typed="acme")
    with pytest.raises(RefusedError, match="being erased already"):
        plan("erase", tenant(status__deletion__startedAt="2026-11-24T12:00:00Z"), typed="acme")


def test_keeping_takes_back_what_staff_asked_for() -> None:
    asked = tenant(spec__deletion__requested=True)
    assert plan("keep", asked).body["spec"]["deletion"] == {"requested": False}
    protected = plan("keep", asked, ticks=frozenset({"protect"}))
    assert protected.body["spec"]["deletion"] == {"requested": False, "protected": True}
    assert protected.body["metadata"] == {"resourceVersion": "7"}
    with pytest.raises(RefusedError, match="nobody asked"):
        plan("keep", tenant())
    with pytest.raises(RefusedError, match="takes it back there"):
        plan("keep", tenant(status__deletion__requestedBy="Customer"))
    begun = tenant(spec__deletion__requested=True, status__deletion__startedAt="2026-11-24T12:00:00Z")
    with pytest.raises(RefusedError, match="has begun"):
        plan("keep", begun)


def test_only_the_step_that_blocks_is_given_up() -> None:
    earlier = [{"step": "Keys", "reason": "gone for good"}]
    blocked = tenant(status__deletion__blockedBy="Messaging", spec__deletion__abandon=earlier)
    call = plan("abandon", blocked, {"reason": "the project was shut down"}, typed="Messaging")
    assert call.body["spec"]["deletion"]["abandon"] == [
        *earlier,
        {"step": "Messaging", "reason": "the project was shut down"},
    ]
    with pytest.raises(RefusedError, match="nothing was done"):
        plan("abandon", blocked, {"reason": "x"}, typed="acme")
    with pytest.raises(RefusedError, match="nothing blocks"):
        plan("abandon", tenant(), typed="Messaging")


def test_releases_are_taken_first_held_and_followed_again() -> None:
    assert plan("canary", tenant()).body["spec"] == {"release": {"channel": "Canary", "version": None}}
    assert plan("hold", tenant()).body["spec"] == {"release": {"channel": "Pinned", "version": "1.4.2"}}
    assert plan("pin", tenant(), {"spec": {"release": {"version": "1.5.0"}}}).body["spec"] == {
        "release": {"channel": "Pinned", "version": "1.5.0"}
    }
    held = tenant(spec__release={"channel": "Pinned", "version": "1.4.2"})
    assert plan("follow", held).body["spec"] == {"release": {"channel": "Stable", "version": None}}
    odd = tenant(status__app={"version": "5bbf6a86c92c"})
    refused = (("hold", held), ("follow", tenant()), ("hold", tenant(status__app={})), ("hold", odd))
    for job, of in refused:
        with pytest.raises(RefusedError):
            plan(job, of)


def test_the_operator_is_kept_away_and_let_back() -> None:
    paused = tenant(metadata__annotations={"guestpostcrm.com/paused": "true"})
    assert plan("pause", tenant()).body == {"metadata": {"annotations": {"guestpostcrm.com/paused": "true"}}}
    assert plan("unpause", paused).body == {"metadata": {"annotations": {"guestpostcrm.com/paused": None}}}
    looked = plan("reconcile", tenant()).body["metadata"]["annotations"]
    assert looked == {"guestpostcrm.com/reconcile-requested-at": "2026-11-24T12:30:05+00:00"}
    for job, of in (("pause", paused), ("unpause", tenant())):
        with pytest.raises(RefusedError):
            plan(job, of)


@pytest.mark.parametrize("name", [name for name, job in JOBS.items() if job.concerns])
def test_a_spec_is_changed_only_where_the_job_says_and_as_it_was_looked_at(name: str) -> None:
    job, of = JOBS[name], tenant(spec__state="Suspended", status__deletion={"blockedBy": "Messaging"})
    of["spec"]["release"] = {"channel": "Pinned", "version": "1.0.0"}
    of["spec"]["deletion"]["requested"] = name == "keep"
    typed = job.grave(of) if job.grave else ""
    call = plan(name, of, {"spec": {"suspendReason": "x"}, "reason": "x"}, typed=typed)
    assert set(call.body["spec"]) <= set(job.concerns)
    assert call.body["metadata"] == {"resourceVersion": "7"}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_says_what_it_does_and_fits_its_form(name: str) -> None:
    job = JOBS[name]
    assert job.does.endswith(".")
    crd = yaml.safe_load((CRDS / f"{job.kind.plural}.yaml").read_text(encoding="utf-8"))
    form = forms.form_of(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    assert len(forms.part(form, job.fields, job.needed).fields) == len(job.fields)
    # Nothing that has to be confirmed is done with many at once, nor by a button alone.
    assert not (job.grave and (job.many or job.at_once))
    assert not (job.at_once and (job.fields or job.ticks))


def test_what_makes_no_sense_now_is_known_beforehand() -> None:
    offered = {name for name, job in JOBS.items() if not job.refusal(tenant(), NOW)}
    assert offered == {
        "suspend", "hibernate", "export", "support", "withdraw", "canary", "hold", "pin", "reconcile",
        "pause", "erase",
    }  # fmt: skip
