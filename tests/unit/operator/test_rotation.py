"""When keys are exchanged, and what is in the Secrets of each stage."""

from __future__ import annotations

import base64
import datetime as dt
import uuid
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from guestpost_operator import credentials, render, revision, rotation
from guestpost_operator.api import names
from guestpost_operator.api.tenant import Keys, Tenant
from guestpost_operator.rotation import Next, Policy, Stage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
POLICY = Policy(overlap=dt.timedelta(hours=12))
Make = Callable[..., Tenant]


@pytest.fixture
def rotating(make_tenant: Make) -> Make:
    def make(asked: str = "", uid: str = "", **keys: str) -> Tenant:
        tenant = make_tenant({"keys": keys})
        changes: dict[str, Any] = {"annotations": {names.ANNOTATION_ROTATE: asked} if asked else {}}
        return tenant.model_copy(update=changes | ({"uid": uid} if uid else {}))

    return make


def decoded(secret: dict[str, Any]) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def test_nothing_happens_unless_somebody_asks(rotating: Make) -> None:
    assert rotation.following(rotating(), NOW, POLICY) == Next()
    assert rotation.following(rotating("monday"), NOW, POLICY) == Next(Stage.INTRODUCED)


def test_a_request_is_answered_once_and_a_long_one_too(rotating: Make) -> None:
    for asked in ("monday", "x" * 300):
        begun = rotation.reached(rotating(asked), Stage.INTRODUCED, NOW)
        over = rotating(asked, stage="Rotated", requested=begun.requested, rotatedAt="2026-11-24T11:00:00Z")
        assert rotation.following(over, NOW, POLICY) == Next()
        again = over.model_copy(update={"annotations": {names.ANNOTATION_ROTATE: "tuesday"}})
        assert rotation.following(again, NOW, POLICY) == Next(Stage.INTRODUCED)


def test_old_keys_verify_for_as_long_as_a_session_lasts(rotating: Make) -> None:
    assert rotation.following(rotating(stage="Introduced"), NOW, POLICY) == Next(Stage.SWITCHED)
    switched = rotating(stage="Switched", since="2026-11-24T11:00:00Z")
    assert rotation.following(switched, NOW, POLICY) == Next(wait=11 * 3600)
    assert rotation.following(switched, NOW + dt.timedelta(hours=11), POLICY) == Next(Stage.ROTATED)


def test_the_login_changes_with_each_exchange(rotating: Make) -> None:
    first = rotation.reached(rotating("one", stage="Introduced"), Stage.SWITCHED, NOW)
    assert (first.login, first.since) == ("crm_b", "2026-11-24T12:00:00Z")
    second = rotation.reached(rotating("two", stage="Introduced", login="crm_b"), Stage.SWITCHED, NOW)
    assert second.login == "crm"
    # Keys whose status was lost tell how far they are, but not that another login is good.
    assert rotation.reached(rotating(), Stage.SWITCHED, NOW).login == "crm"
    assert (
        rotation.reached(rotating(stage="Switched"), Stage.ROTATED, NOW).rotated_at == "2026-11-24T12:00:00Z"
    )


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(uid=st.uuids(), days=st.integers(1, 60))
def test_on_a_schedule_each_tenant_has_its_turn_once_a_period(make_tenant: Make, uid: Any, days: int) -> None:
    policy = Policy(every=dt.timedelta(days=days))
    created = NOW - policy.every
    tenant = make_tenant().model_copy(update={"uid": str(uid), "created": created.isoformat()})
    # Looked at as often as the operator does at the least.
    looks = [created + dt.timedelta(hours=hour) for hour in range(24 * days * 4)]
    done: list[dt.datetime] = []
    for look in looks:
        if rotation.following(tenant, look, policy).stage is None:
            continue
        done.append(look)
        keys = Keys(stage="Rotated", rotated_at=look.isoformat())
        tenant = tenant.model_copy(update={"status": tenant.status.model_copy(update={"keys": keys})})
    assert 3 <= len(done) <= 4
    assert all(later - earlier > policy.every / 2 for earlier, later in pairwise(done))


def test_a_fleet_does_not_rotate_at_once(make_tenant: Make) -> None:
    policy = Policy(every=dt.timedelta(days=90))
    old = make_tenant().model_copy(update={"created": "2020-01-01T00:00:00Z"})
    fleet = [old.model_copy(update={"uid": f"tenant-{n}"}) for n in range(3000)]
    due = [each for each in fleet if rotation.following(each, NOW, policy).stage]
    assert 50 <= len(due) <= 150


@pytest.mark.promise("P8.1")
def test_at_every_stage_the_keys_of_the_stages_beside_it_are_known() -> None:
    first = placed(credentials.keys("gpt-acme", {"a": "b"}))
    introduced = exchange(first, Stage.INTRODUCED)
    switched = exchange(introduced, Stage.SWITCHED)
    last = exchange(switched, Stage.ROTATED)
    before, one, two, after = (decoded(each) for each in (first, introduced, switched, last))
    for key in credentials.EXCHANGED:
        old, new = before[key], after[key]
        assert old != new
        assert (one[key], one[f"{key}-fallbacks"]) == (old, new)
        assert (two[key], two[f"{key}-fallbacks"]) == (new, old)
    assert set(before) == set(after)
    assert before["approval-key"] == after["approval-key"]
    for each in (introduced, switched, last):
        assert each["immutable"] is True
        assert each["metadata"]["labels"] == {"a": "b"}
        note = names.ANNOTATION_APPROVAL_KEY
        assert each["metadata"]["annotations"][note] == first["metadata"]["annotations"][note]


def exchange(current: dict[str, Any], stage: Stage) -> dict[str, Any]:
    """What takes the place of keys at the next stage."""
    waiting = credentials.exchanged(current, stage)
    assert waiting["metadata"]["annotations"][names.ANNOTATION_REPLACES] == current["metadata"]["uid"]
    return placed(credentials.in_place(placed(waiting)))


def placed(secret: dict[str, Any]) -> dict[str, Any]:
    """As the API server gives it back."""
    secret["metadata"]["uid"] = str(uuid.uuid4())
    return secret


def test_the_other_login_acts_as_the_owner_of_everything(
    make_tenant: Make, configure: Any, credentials: Any
) -> None:
    current = revision.current(configure())
    uids = {**credentials.uids, "db-credentials-b": "uid-b"}
    never = render.render(make_tenant(), current, credentials, "")
    for login, role in (("crm", ""), ("crm_b", "&options=-c%20role%3Dcrm")):
        given = render.Credentials(uids, credentials.web_certificate, login, "crm_b")
        manifests = {
            (each["kind"], each["metadata"]["name"]): each
            for each in render.render(make_tenant(), current, given, "")
        }
        assert manifests["Cluster", "db"]["spec"]["managed"]["roles"] == [
            {"name": "crm", "ensure": "present", "login": True, "passwordSecret": {"name": "db-credentials"}},
            {
                "name": "crm_b",
                "ensure": "present",
                "login": True,
                "inRoles": ["crm"],
                "passwordSecret": {"name": "db-credentials-b"},
            },
        ]
        for name in ("web", "sync"):
            pod = manifests["Deployment", name]["spec"]["template"]["spec"]
            for container in pod["containers"] + pod.get("initContainers", []):
                env = {each["name"]: each for each in container["env"]}
                assert env["DB_PASSWORD"]["valueFrom"]["secretKeyRef"]["name"] == names.LOGINS[login]
                assert env["DATABASE_URL"]["value"].startswith(
                    f"postgresql://{login}:$(DB_PASSWORD)@db-rw:5432/crm?"
                )
                assert env["DATABASE_URL"]["value"].endswith(f"ca.crt{role}")
    assert all("managed" not in each.get("spec", {}) for each in never)


def test_pods_roll_for_the_login_that_they_use_and_for_no_other(
    make_tenant: Make, configure: Any, credentials: Any
) -> None:
    current = revision.current(configure())

    def stamps(**uids: str) -> set[str]:
        given = render.Credentials({**credentials.uids, **uids}, "", "crm_b", "crm_b")
        return {
            each["spec"]["template"]["metadata"]["annotations"]["guestpostcrm.com/credentials"]
            for each in render.render(make_tenant(), current, given, "")
            if each["kind"] == "Deployment"
        }

    before = stamps(**{"db-credentials": "1", "db-credentials-b": "1"})
    assert stamps(**{"db-credentials": "2", "db-credentials-b": "1"}) == before
    assert stamps(**{"db-credentials": "1", "db-credentials-b": "2"}).isdisjoint(before)
