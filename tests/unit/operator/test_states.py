"""Suspended, Hibernated, Running: any sequence ends like the last one alone, and in the right order."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from guestpost_operator import readiness, states, status, steps
from guestpost_operator.api.tenant import Tenant
from guestpost_operator.inventory import Key, Observed
from guestpost_operator.states import DATABASE, SYNC, WEB, Wanted
from guestpost_operator.status import Facts, done
from hypothesis import given
from hypothesis import strategies as st

RUNNING, SUSPENDED, HIBERNATED = (
    {},
    {"state": "Suspended", "suspend_reason": "unpaid"},
    {"state": "Hibernated"},
)
SPECS: list[dict[str, str]] = [RUNNING, SUSPENDED, HIBERNATED]


def dice(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311  # which controller is next, not a secret


def workload(name: str) -> dict[str, Any]:
    container = {
        "name": name,
        "image": "crm:1",
        "args": [name],
        "env": [{"name": "TENANT_NAME", "value": "acme"}],
        "ports": [{"name": "metrics", "containerPort": 9090}],
        "livenessProbe": {"httpGet": {"path": "/healthz"}},
    }
    pod = {"initContainers": [{"name": "migrate"}], "containers": [container]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "gpt-acme", "labels": {"component": name}},
        "spec": {"replicas": 1, "template": {"spec": pod}},
    }


def rendered() -> list[dict[str, Any]]:
    database = {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {"name": "db", "namespace": "gpt-acme"},
        "spec": {"instances": 1},
    }
    return [database, workload("web"), workload("sync")]


class World:
    """A cluster whose controllers take their time, and an operator that passes over one tenant.

    Each step of each controller is one call of `move`; between them anything may happen.
    """

    def __init__(self, tenant: Tenant, chance: random.Random) -> None:
        self.tenant = tenant
        self.objects: dict[Key, dict[str, Any]] = {}
        self.pods: dict[Key, int] = {}
        self.messaging = True
        self.log: list[str] = []
        self._chance = chance

    def observed(self) -> dict[Key, Observed]:
        return {
            key: Observed(
                uid="", namespace="", digest="", version=0, deleting=False, readiness=readiness.of(obj)
            )
            for key, obj in self.objects.items()
        }

    def ask(self, spec: dict[str, str]) -> None:
        known = self.tenant.spec.model_copy(update={"state": "Running", "suspend_reason": "", **spec})
        self.tenant = self.tenant.model_copy(update={"spec": known})

    def wanted(self) -> Wanted:
        return states.wanted(self.tenant, self.observed(), messaging=self.messaging)

    def operate(self) -> bool:
        """One pass. Whether it changed anything."""
        now = self.wanted()
        manifests = {
            Key(each["kind"], each["metadata"]["name"]): each for each in states.apply(rendered(), now)
        }
        before = copy.deepcopy(self.spoken())
        for key, manifest in manifests.items():
            old = self.objects.get(key, {})
            metadata = {**manifest["metadata"], "generation": old.get("metadata", {}).get("generation", 0)}
            if old.get("spec") != manifest["spec"]:
                metadata["generation"] += 1
                self._begins(key, manifest, old)
            self.objects[key] = {**manifest, "metadata": metadata, "status": old.get("status", {})}
        for key in self.objects.keys() - manifests.keys():
            del self.objects[key]
            self.pods.pop(key, None)
        return self.spoken() != before

    def _begins(self, key: Key, manifest: dict[str, Any], old: dict[str, Any]) -> None:
        rests = old and readiness.of(old) == readiness.STOPPED
        if key in (WEB, SYNC) and manifest["spec"]["replicas"] and rests:
            assert self.observed()[DATABASE].readiness.ready, f"{key.name} wakes before the database"
            assert self.messaging, f"{key.name} wakes before messaging"
        if key.kind == "Job":
            assert not self.pods.get(SYNC), "Gmail is told while sync may still ask for watches"

    def spoken(self) -> dict[Key, Any]:
        """What the operator asked for, without what controllers answered."""
        return {key: [obj["metadata"], obj["spec"]] for key, obj in self.objects.items()}

    def move(self) -> bool:
        """One controller does one thing. Whether there was anything to do."""
        todo = [key for key, obj in self.objects.items() if self._next(key, obj) is not None]
        if not todo:
            return False
        key = self._chance.choice(sorted(todo))
        self.objects[key]["status"] = self._next(key, self.objects[key], act=True)
        return True

    def _next(self, key: Key, obj: dict[str, Any], *, act: bool = False) -> dict[str, Any] | None:
        pods = self.pods.get(key, 0)
        kind = {"Deployment": self._deployment, "Cluster": self._database, "Job": self._job}[key.kind]
        pods, new = kind(obj, pods)
        if act:
            self.pods[key] = pods
        return None if (pods, new) == (self.pods.get(key, 0), obj["status"]) else new

    @staticmethod
    def _deployment(obj: dict[str, Any], pods: int) -> tuple[int, dict[str, Any]]:
        generation, wanted = obj["metadata"]["generation"], obj["spec"]["replicas"]
        if obj["status"].get("observedGeneration") != generation:
            # Pods begin to end, or to be made.
            return pods, {"observedGeneration": generation, "terminatingReplicas": pods if not wanted else 0}
        found = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), wanted)
        return wanted, {"observedGeneration": generation, **found}

    def _database(self, obj: dict[str, Any], pods: int) -> tuple[int, dict[str, Any]]:
        status, asleep = obj["status"], obj["metadata"]["annotations"][states.HIBERNATION] == "on"
        healthy = {"type": "Ready", "status": "True"}
        if not asleep:
            said = [healthy] if status else []
            return 1, {"readyInstances": 1 if said and pods else 0, "conditions": [healthy]} if status else {
                "conditions": []
            }
        if pods:
            assert not self.pods.get(WEB), "the database rests under the web"
            assert not self.pods.get(SYNC), "the database rests under the sync"
            assert states.paused(self.observed()), "the database rests before Gmail was told"
            ending = {"type": states.HIBERNATION, "status": "False", "reason": "DeletingPods"}
            if ending not in status.get("conditions", []):
                return pods, {"readyInstances": pods, "conditions": [healthy, ending]}
            return 0, {"readyInstances": 0, "conditions": [healthy, ending]}
        hibernated = {"type": states.HIBERNATION, "status": "True", "reason": "Hibernated"}
        return 0, {"readyInstances": 0, "conditions": [healthy, hibernated]}

    @staticmethod
    def _job(obj: dict[str, Any], pods: int) -> tuple[int, dict[str, Any]]:
        del obj, pods
        return 0, {"conditions": [{"type": "Complete", "status": "True"}]}

    def settle(self) -> None:
        for _ in range(200):
            moved = self.move()
            if not self.operate() and not moved:
                return
        raise AssertionError("it never comes to rest")

    def end(self) -> dict[Key, Any]:
        """What is there in the end; generations count how often something changed on the way."""
        return {
            key: [{**metadata, "generation": 0}, spec, self.pods.get(key)]
            for key, (metadata, spec) in self.spoken().items()
        }

    def ready(self) -> bool:
        observed, now = self.observed(), self.wanted()
        facts = Facts(
            namespace=done(),
            messaging=done(),
            database=steps.database(self.tenant, observed),
            application=steps.application(self.tenant, observed, now),
        )
        new = status.of(self.tenant, facts, {}, "2026-03-01T12:00:00Z")
        ready = next(each for each in new["conditions"] if each["type"] == "Ready")
        return bool(ready["status"] == "True" and new["phase"] == self.tenant.spec.state == ready["reason"])


@pytest.fixture(scope="module")
def tenant() -> Tenant:
    spec = {"owner": {"email": "anna@acme.example"}, "region": "europe-west1", "google_project": "p"}
    return Tenant.model_validate(
        {"name": "acme", "uid": "u", "generation": 1, "created": "", "deleting": False,
         "finalizers": [], "annotations": {}, "spec": spec}
    )  # fmt: skip


@given(
    asked=st.lists(st.tuples(st.sampled_from(SPECS), st.integers(0, 12)), min_size=1, max_size=6),
    seed=st.integers(0, 2**32),
)
def test_any_sequence_of_states_ends_like_the_last_alone(
    tenant: Tenant, asked: list[tuple[dict[str, str], int]], seed: int
) -> None:
    world = World(tenant, dice(seed))
    for spec, moves in asked:
        world.ask(spec)
        for _ in range(moves):
            world.operate()
            world.move()
    world.settle()
    alone = World(tenant, dice(0))
    alone.ask(asked[-1][0])
    alone.settle()
    assert world.end() == alone.end()
    assert world.ready()


@given(asked=st.lists(st.sampled_from(SPECS), min_size=1, max_size=4), seed=st.integers(0, 2**32))
def test_pubsub_may_be_away_meanwhile(tenant: Tenant, asked: list[dict[str, str]], seed: int) -> None:
    chance = dice(seed)
    world = World(tenant, chance)
    world.settle()
    for spec in asked:
        world.ask(spec)
        world.messaging = chance.random() < 0.5
        world.settle()
    world.messaging = True
    world.settle()
    assert world.ready()


def test_what_runs_goes_on_whatever_happens_to_database_and_messaging(tenant: Tenant) -> None:
    world = World(tenant, dice(0))
    world.settle()
    world.messaging = False
    world.objects[DATABASE]["status"] = {"phase": "Failing over"}
    assert world.wanted() == Wanted()


def test_a_degraded_database_is_waited_for_and_the_app_rests_at_once(tenant: Tenant) -> None:
    world = World(tenant, dice(0))
    world.settle()
    world.objects[DATABASE]["status"] = {"phase": "Failing over", "conditions": []}
    world.ask(HIBERNATED)
    now = world.wanted()
    assert (now.web, now.sync, now.database) == (False, False, True)
    step = steps.database(world.tenant, world.observed())
    assert (step.done, step.reason) == (False, "WaitsToHibernate")
    assert "Failing over" in step.message


def test_each_thing_that_is_waited_for_is_named(tenant: Tenant) -> None:
    world = World(tenant, dice(0))
    world.ask(HIBERNATED)
    world.settle()
    world.ask(RUNNING)
    told = []
    world.messaging = False
    for _ in range(40):
        world.operate()
        step = steps.application(world.tenant, world.observed(), world.wanted())
        if step.message and (not told or told[-1] != step.message):
            told.append(step.message)
        if not world.move():
            world.messaging = True
    assert told[:2] == [
        "waiting for the database to wake first",
        "waiting for topic and subscription first",
    ]
    assert world.ready()


def test_what_rests_is_not_told_as_running_before_it_was_woken(tenant: Tenant) -> None:
    """What sync waited for may come about between a pass's writes and what it tells."""
    world = World(tenant, dice(0))
    world.ask(SUSPENDED)
    world.settle()
    world.ask(RUNNING)
    world.operate()
    while world.move():
        pass
    assert not [key for key in world.objects if key.kind == "Job"], "the Job has just gone"
    assert world.objects[SYNC]["spec"]["replicas"] == 0
    step = steps.application(world.tenant, world.observed(), world.wanted())
    assert (step.done, step.reason) == (False, "Waking")
    world.settle()
    assert world.ready()


def test_notifications_that_cannot_be_stopped_are_told(tenant: Tenant) -> None:
    world = World(tenant, dice(0))
    world.ask(SUSPENDED)
    world.settle()
    [job] = [key for key in world.objects if key.kind == "Job"]
    world.objects[job]["status"] = {"failed": 3}
    step = steps.application(world.tenant, world.observed(), world.wanted())
    assert (step.done, step.reason) == (False, "NotificationsNotStopped")


def test_a_database_beyond_help_needs_a_person(tenant: Tenant) -> None:
    world = World(tenant, dice(0))
    world.settle()
    phase = "Cluster is unrecoverable and needs manual intervention"
    world.objects[DATABASE]["status"] = {"phase": phase, "phaseReason": "no PersistentVolumeClaims exist"}
    for spec in SPECS:
        world.ask(spec)
        step = steps.database(world.tenant, world.observed())
        assert (step.done, step.stalled, step.reason) == (False, True, "DatabaseUnrecoverable")
        assert "no PersistentVolumeClaims" in step.message


def test_a_database_is_migrated_before_the_app_wakes_and_beside_the_app_that_runs(tenant: Tenant) -> None:
    world = World(tenant, dice(0))
    world.settle()
    runs = states.wanted(world.tenant, world.observed(), migrated=False)
    assert (runs.web, runs.sync, runs.migrate, runs.waits_for) == (True, True, True, "")
    world.ask(HIBERNATED)
    world.settle()
    assert not states.wanted(world.tenant, world.observed(), migrated=False).migrate, "there is no database"
    world.ask(RUNNING)
    for _ in range(20):
        world.messaging = False
        world.operate()
        world.move()
    waking = states.wanted(world.tenant, world.observed(), migrated=False)
    assert (waking.web, waking.sync, waking.migrate) == (False, False, True)
    assert waking.waits_for == "the database to be migrated"


def test_a_migration_is_known_by_its_revision() -> None:
    job = states.job(workload("sync"), states.MIGRATE, "abc")
    done = {**job, "status": {"conditions": [{"type": "Complete", "status": "True"}]}}
    seen = {
        Key("Job", done["metadata"]["name"]): Observed(
            uid="", namespace="", digest="", version=0, deleting=False, readiness=readiness.of(done)
        )
    }
    assert states.migrated(seen, "abc")
    assert not states.migrated(seen, "def")
    assert not states.paused(seen)


def test_the_job_is_the_syncs_pod_with_another_program() -> None:
    sync = workload("sync")
    job = states.job(sync, "pause")
    pod = job["spec"]["template"]["spec"]
    assert pod["containers"] == [
        {
            "name": "pause",
            "image": "crm:1",
            "args": ["pause"],
            "env": [{"name": "TENANT_NAME", "value": "acme"}],
        }
    ]
    assert (pod["restartPolicy"], "initContainers" in pod) == ("OnFailure", False)
    assert sync == workload("sync"), "what was given is not changed"
    assert job["metadata"]["name"] == states.job(workload("sync"), "pause")["metadata"]["name"]
    sync["spec"]["template"]["spec"]["containers"][0]["image"] = "crm:2"
    assert job["metadata"]["name"] != states.job(sync, "pause")["metadata"]["name"], (
        "a Job's pods cannot change"
    )


def test_the_web_says_why_it_is_suspended() -> None:
    manifests = states.apply(rendered(), Wanted(suspend_reason="unpaid", sync=False))
    web = next(each for each in manifests if each["metadata"]["name"] == "web")
    assert web["spec"]["template"]["spec"]["containers"][0]["env"][-1] == {
        "name": "SUSPEND_REASON",
        "value": "unpaid",
    }
