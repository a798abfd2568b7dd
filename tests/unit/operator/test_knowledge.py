"""What the operator knows between reconciles: objects, who holds which host name, what is ready."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from guestpost_operator import readiness
from guestpost_operator.api import names
from guestpost_operator.inventory import Inventory, Key
from guestpost_operator.keeping import compact, fingerprint
from guestpost_operator.lifecycle.hostnames import Hostnames
from guestpost_operator.lifecycle.memory import Memory
from guestpost_operator.states import Wanted
from hypothesis import given
from hypothesis import strategies as st


def obj(
    name: str = "web",
    *,
    owner: str | None = "t1",
    uid: str = "u1",
    version: int = 1,
    replicas: int = 1,
    namespace: str | None = "gpt-acme",
) -> dict[str, Any]:
    labels = {names.LABEL_TENANT_UID: owner} if owner else {}
    metadata = {
        "name": name,
        **({"namespace": namespace} if namespace else {}),
        "uid": uid,
        "resourceVersion": str(version),
        "labels": labels,
    }
    return {"kind": "Deployment", "metadata": metadata, "spec": {"replicas": replicas}}


WEB = Key("Deployment", "web")


def test_news_are_told_once() -> None:
    inventory = Inventory()
    assert inventory.observe(obj()) == {"t1"}
    assert inventory.observe(obj()) == set(), "the same again"
    assert inventory.observe(obj(version=2)) == set(), "a version without a change"
    assert inventory.observe(obj(version=3, replicas=2)) == {"t1"}
    assert inventory.observe(obj(version=2)) == set(), "old news"
    assert inventory.forget(obj(version=4)) == {"t1"}
    assert inventory.objects("t1") == {}


def test_news_of_an_earlier_object_of_that_name_are_ignored() -> None:
    inventory = Inventory()
    inventory.observe(obj(uid="u1", version=1))
    inventory.observe(obj(uid="u2", version=9))
    assert inventory.observe(obj(uid="u1", version=5)) == set()
    assert inventory.forget(obj(uid="u1", version=6)) == set()
    assert inventory.objects("t1")[WEB].uid == "u2"


def test_what_we_deleted_is_gone_at_once() -> None:
    inventory = Inventory()
    inventory.observe(obj())
    inventory.deleted("t1", WEB)
    inventory.deleted("t1", WEB)
    assert inventory.objects("t1") == {}


def test_an_object_that_changes_hands_is_news_for_both() -> None:
    inventory = Inventory()
    inventory.observe(obj())
    assert inventory.observe(obj(owner="t2", version=2)) == {"t1", "t2"}
    assert inventory.observe(obj(owner=None, version=3)) == {"t2"}


def test_what_a_full_list_lacks_is_gone_unless_it_is_newer() -> None:
    inventory = Inventory()
    inventory.observe(obj("old", version=1))
    inventory.observe(obj("kept", version=2))
    inventory.observe(obj("new", version=50))
    assert inventory.keep_only("Deployment", [("gpt-acme", "kept")], since=10) == {"t1"}
    assert {key.name for key in inventory.objects("t1")} == {"kept", "new"}
    inventory.forget_tenant("t1")
    assert inventory.objects("t1") == {}
    assert inventory.keep_only("Deployment", [], since=99) == set()


@pytest.mark.parametrize("namespace", ["gpt-acme", None])
def test_objects_of_two_owners_in_one_place_are_told_apart(namespace: str | None) -> None:
    inventory = Inventory()
    inventory.observe(obj("one", owner="t1", namespace=namespace))
    inventory.observe(obj("two", owner="t2", namespace=namespace))
    assert inventory.forget(obj("one", version=2, namespace=namespace)) == {"t1"}
    assert inventory.forget(obj("one", version=3, namespace=namespace)) == set()
    inventory.forget_tenant("t1")
    assert inventory.observe(obj("two", owner="t1", version=2, namespace=namespace)) == {"t1", "t2"}
    assert (inventory.objects("t2"), len(inventory.objects("t1"))) == ({}, 1)


def test_what_tenants_share_is_in_memory_once() -> None:
    inventory = Inventory()
    for owner in ("t1", "t2"):
        inventory.observe(obj("".join(("w", "eb")), owner=owner, namespace=f"gpt-{owner}"))
    [one], [two] = inventory.objects("t1"), inventory.objects("t2")
    assert one is two


def test_a_tenant_is_kept_without_the_book_of_its_fields(body: Any) -> None:
    def text(length: int) -> str:
        # Made anew each time, as a parser does.
        return "x" * length

    read = body(status={text(40): [text(50), {"a": None}]})
    read["metadata"]["managedFields"] = [{"manager": "somebody"}]
    kept, again = compact(read), compact(body(status={text(40): [text(50), {"a": None}]}))
    assert kept == again == {**read, "metadata": {**body()["metadata"]}}
    assert kept["status"][text(40)][0] is again["status"][text(40)][0]
    assert read["metadata"]["managedFields"], "what was read is left alone"


def test_what_is_rendered_otherwise_is_looked_at() -> None:
    memory, service = Memory(), Key("Service", "web")
    memory.agrees(Key("Namespace", "gpt-acme"), b"n", b"held")
    memory.render(b"first", {WEB: b"w", service: b"s", Key("Namespace", "gpt-acme"): b"n"})
    memory.agrees(WEB, b"w", b"held")
    memory.agrees(service, b"s", b"held")
    memory.render(b"second", {WEB: b"w2", service: b"s", Key("Namespace", "gpt-acme"): b"n"})
    assert memory.good.keys() == {service, Key("Namespace", "gpt-acme")}
    memory.forget_checks()
    assert (memory.good, memory.rendered[WEB]) == ({}, b"w2")


def test_a_fingerprint_follows_every_part(make_tenant: Any, credentials: Any) -> None:
    parts = ("r1", make_tenant().spec, credentials, Wanted())
    assert fingerprint(*parts) == fingerprint("r1", make_tenant().spec, credentials, Wanted())
    others = ("r2", make_tenant(plan="Growth").spec, replace(credentials, login="other"), Wanted(web=False))
    for place, other in enumerate(others):
        changed = (*parts[:place], other, *parts[place + 1 :])
        assert fingerprint(*changed) != fingerprint(*parts)


@given(st.permutations(range(1, 6)))
def test_the_newest_wins_in_whatever_order_news_arrive(order: list[int]) -> None:
    """Watches, lists and answers to our own writes overtake each other."""
    inventory = Inventory()
    for version in order:
        inventory.observe(obj(version=version, replicas=version))
    newest = Inventory()
    newest.observe(obj(version=5, replicas=5))
    assert inventory.objects("t1") == newest.objects("t1")


def test_the_first_to_ask_holds_a_host_name(make_tenant: Any) -> None:
    def tenant(name: str, created: str) -> Any:
        return make_tenant().model_copy(update={"name": name, "uid": f"uid-{name}", "created": created})

    old, young = tenant("old", "2026-03-01T12:00:00Z"), tenant("young", "2026-03-02T12:00:00Z")
    hostnames = Hostnames()
    assert hostnames.owner("crm.acme.example") is None
    hostnames.claim(young, "crm.acme.example")
    assert hostnames.owner("crm.acme.example") == "young"
    hostnames.claim(old, "crm.acme.example")
    assert hostnames.owner("crm.acme.example") == "old"
    assert hostnames.claim(old, "crm.acme.example") == set(), "nothing changed"
    # It asks for another one: those who wait for the first are told.
    assert hostnames.claim(old, "other.example") == {"uid-young"}
    assert (hostnames.owner("crm.acme.example"), hostnames.owner("other.example")) == ("young", "old")
    assert hostnames.release("uid-young") == set()
    assert hostnames.owner("crm.acme.example") is None
    assert hostnames.release("uid-never-seen") == set()


def deployment(**status: Any) -> dict[str, Any]:
    full = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    return {
        "kind": "Deployment",
        "metadata": {"name": "web", "generation": 2},
        "spec": {"replicas": 2},
        "status": {**full, **status},
    }


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({}, "Ready"),
        ({"observedGeneration": 1}, "RollingOut"),
        ({"updatedReplicas": 1}, "PodsNotReady"),
        ({"availableReplicas": 1}, "PodsNotReady"),
        ({"replicas": 3}, "RollingOut"),
        ({"conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}, "RolloutFailed"),
        ({"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "quota"}]}, "PodsRefused"),
    ],
)
def test_a_deployment_is_ready_when_its_rollout_is_through(status: dict[str, Any], reason: str) -> None:
    found = readiness.of(deployment(**status))
    assert (found.ready, found.reason) == (reason == "Ready", reason)


@pytest.mark.parametrize(("strategy", "reason"), [("Recreate", "RollingOut"), ("RollingUpdate", "Ready")])
def test_where_pods_take_turns_the_last_one_of_before_has_to_be_gone(strategy: str, reason: str) -> None:
    web = deployment(terminatingReplicas=1)
    web["spec"]["strategy"] = {"type": strategy}
    assert readiness.of(web).reason == reason


TRUE = {"type": "Ready", "status": "True"}


def asleep(status: str, reason: str) -> dict[str, Any]:
    condition = {"type": "cnpg.io/hibernation", "status": status, "reason": reason}
    return {"phase": "healthy", "readyInstances": 2, "conditions": [TRUE, condition]}


@pytest.mark.parametrize(
    ("status", "ready", "says"),
    [
        ({}, False, "waiting for the database operator"),
        ({"phase": "Setting up primary", "phaseReason": "because"}, False, "Setting up primary: because"),
        (
            {"phase": "Failing over", "conditions": [{"type": "Ready", "status": "False"}]},
            False,
            "Failing over",
        ),
        ({"phase": "healthy", "readyInstances": 2, "conditions": [TRUE]}, True, ""),
        # Its condition repeats the phase, which is behind: pods are what counts.
        ({"phase": "healthy", "readyInstances": 1, "conditions": [TRUE]}, False, "db: 1 of 2 instances"),
        ({"phase": "healthy", "conditions": [TRUE]}, False, "db: 0 of 2 instances"),
        (asleep("False", "DeletingPods"), False, "pods are ending"),
        (asleep("False", "WaitingPodsDeletion"), False, "pods are ending"),
        (asleep("True", "Hibernated"), False, "the database rests"),
        (asleep("False", "WaitingForHealthy"), True, ""),
    ],
)
def test_a_database_is_ready_when_cloudnativepg_says_so(
    status: dict[str, Any], ready: bool, says: str
) -> None:
    cluster = {"kind": "Cluster", "metadata": {"name": "db"}, "spec": {"instances": 2}, "status": status}
    found = readiness.of(cluster)
    assert found.ready is ready
    assert says in found.message
    assert bool(says) != ready


@pytest.mark.parametrize(
    ("conditions", "ready"),
    [
        ([], False),
        ([{"type": "Failed", "status": "True"}], False),
        ([{"type": "Complete", "status": "True"}], True),
    ],
)
def test_a_job_is_ready_when_it_came_to_a_good_end(conditions: list[Any], ready: bool) -> None:
    found = readiness.of({"kind": "Job", "metadata": {"name": "pause"}, "status": {"conditions": conditions}})
    assert found.ready is ready


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"replicas": None, "updatedReplicas": None, "availableReplicas": None}, "Stopped"),
        ({"replicas": 1}, "Stopping"),
        ({"replicas": 0, "terminatingReplicas": 1}, "Stopping"),
        ({"observedGeneration": 1}, "RollingOut"),
        # It rests, however it fared before.
        (
            {"replicas": 0, "conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]},
            "Stopped",
        ),
    ],
)
def test_a_deployment_without_pods_rests_when_the_last_one_is_gone(
    status: dict[str, Any], reason: str
) -> None:
    stopped = deployment(**status)
    stopped["spec"]["replicas"] = 0
    stopped["status"] = {key: value for key, value in stopped["status"].items() if value is not None}
    assert readiness.of(stopped).reason == reason


def test_what_has_no_readiness_is_ready_when_it_is_there() -> None:
    assert readiness.of({"kind": "Service", "metadata": {"name": "web"}}).ready
