"""What the matrices of faults are made of: calls named alike in each run, met as planned, none forgotten."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from operator_script import (
    FAULTS,
    Call,
    Fate,
    Point,
    Script,
    api_call,
    deaths,
    faults,
    messaging_call,
    spread,
)

TENANT = "t0123456789"
WRITE = Call("PATCH deployments/web", writes=True, tenant=TENANT)


@pytest.mark.parametrize(
    ("method", "path", "body", "what"),
    [
        ("PATCH", f"/apis/apps/v1/namespaces/gpt-{TENANT}/deployments/web", "", "PATCH deployments/web"),
        ("GET", f"/api/v1/namespaces/gpt-{TENANT}", "", "GET namespaces/gpt-T"),
        ("GET", f"/api/v1/namespaces/gpt-{TENANT}/configmaps", "", "GET configmaps in gpt-T"),
        ("POST", "/api/v1/namespaces", f'{{"metadata":{{"name":"gpt-{TENANT}"}}}}', "POST namespaces/gpt-T"),
        (
            "DELETE",
            f"/apis/batch/v1/namespaces/gpt-{TENANT}/jobs/migrate-0123456789ab-0123456789",
            "",
            "DELETE jobs/migrate-HASH",
        ),
        (
            "POST",
            "/apis/guestpostcrm.com/v1alpha1/erasurereceipts",
            f'{{"metadata":{{"name":"erasure-0b7c4d1e-0000-4000-8000-000000000000"}},"spec":"{TENANT}"}}',
            "POST erasurereceipts/erasure-UID",
        ),
    ],
)
def test_a_call_is_named_alike_in_each_run(method, path, body, what):
    call = api_call(method, path, watches=False, ours=True, body=body.encode())
    assert call == Call(what, writes=method != "GET", tenant=TENANT)


def test_calls_of_kopf_and_of_messaging_are_told_apart():
    path = f"/apis/guestpostcrm.com/v1alpha1/guestposttenants/{TENANT}"
    assert (
        api_call("PATCH", path, watches=False, ours=False, body=b"").what == "kopf: PATCH guestposttenants/T"
    )
    found = messaging_call("CreateTopic", f"projects/guestpost-dev/topics/gpt-{TENANT}-0b7c4d1e")
    assert found == Call("CreateTopic topics/gpt-T-HASH", writes=True, tenant=TENANT, messaging=True)


def test_a_dead_program_does_nothing_until_another_one_is_there():
    script, killed = Script(), []
    script.kill = lambda: killed.append(1)
    script.begin({TENANT: (Point(WRITE.what, 2, Fate.DIE_BEFORE),)})
    assert [script.meet(WRITE) for _ in range(3)] == [Fate.PASS, Fate.DIE_BEFORE, Fate.CUT]
    assert (killed, len(script.met(TENANT))) == ([1], 1)
    script.revive()
    assert script.meet(WRITE) is Fate.PASS
    # What never arrived is not counted.
    assert script.calls(TENANT) == {WRITE.what: 3}
    assert script.writes(WRITE.what)


def test_what_is_about_nobody_counts_for_who_is_looked_at():
    script = Script()
    script.begin({TENANT: (Point("POST configmaps/revision-HASH", 1, Fate.BROKEN),)})
    assert script.meet(Call(WRITE.what, writes=True, tenant="t9999999999")) is Fate.PASS
    assert script.meet(Call("POST configmaps/revision-HASH", writes=True)) is Fate.BROKEN
    assert script.calls(TENANT) == {"POST configmaps/revision-HASH": 1}


def test_a_list_of_one_namespace_is_another_call_than_that_of_all():
    whole = api_call("GET", "/api/v1/configmaps", watches=False, ours=True, body=b"")
    one = api_call("GET", f"/api/v1/namespaces/gpt-{TENANT}/configmaps", watches=False, ours=True, body=b"")
    assert (whole.tenant, one.tenant) == ("", TENANT)
    script = Script()
    script.begin({TENANT: (Point(whole.what, 1, Fate.BROKEN),)})
    assert [script.meet(each) for each in (whole, one)] == [Fate.BROKEN, Fate.PASS]
    assert script.calls(TENANT) == {whole.what: 1, one.what: 1}


def test_calls_of_one_name_about_somebody_and_nobody_are_told():
    script = Script()
    script.begin({TENANT: ()})
    script.meet(WRITE)
    script.meet(Call(WRITE.what, writes=True))
    with pytest.raises(AssertionError, match="met twice"):
        script.calls(TENANT)


def test_messaging_that_is_away_answers_nobody():
    script = Script()
    script.away = True
    assert script.meet(Call("GetTopic topics/x", writes=False, messaging=True)) is Fate.CUT
    assert script.meet(WRITE) is Fate.PASS


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 4), min_size=1), st.integers(1, 7))
def test_every_call_has_its_points_and_every_point_its_tenant(calls, each):
    assert len(deaths(calls)) == 2 * sum(calls.values())
    for fate in FAULTS:
        points = faults(calls, "abc", fate)
        only = sum(number for what, number in calls.items() if what in "abc")
        assert len(points) == (only if fate in (Fate.CONFLICT, Fate.LOST) else sum(calls.values()))
        hands = spread(points, each)
        assert sorted(map(str, (point for hand in hands for point in hand))) == sorted(map(str, points))
        assert all(len(hand) <= each for hand in hands)
