"""The API server and Pub/Sub away, slow or refusing: said, healed, and nobody else's problem."""

import asyncio
import time

import pytest
from guestpost_operator.backends.errors import ConflictError, RefusedError, UnavailableError
from guestpost_operator.backends.kinds import CLUSTER, NAMESPACE
from guestpost_operator.handlers import tenants as handler

WRITES = {"POST", "PATCH", "DELETE"}
# Calls to Pub/Sub at the same time, in all.
CONCURRENCY = 16


def once_each(make, seen):
    """A fault for the first try of every distinct write."""

    def fault(method, path):
        if method in WRITES and (method, path) not in seen:
            seen.add((method, path))
            return make()
        return None

    return fault


@pytest.mark.parametrize(
    "kind",
    ["409 conflict", "429 with a wait", "500 or no connection", "carried out, answer lost"],
)
async def test_every_write_may_fail_once(start, tenants, workloads, admin, after, kind, monkeypatch):
    # Each of a dozen steps fails once: with real delays that would add up to minutes.
    monkeypatch.setattr(handler, "FIRST_DELAY", 0.05)
    errors = {
        "409 conflict": lambda: ConflictError("injected"),
        "429 with a wait": lambda: UnavailableError("injected", retry_after=1),
        "500 or no connection": lambda: UnavailableError("injected"),
        "carried out, answer lost": lambda: after(UnavailableError("injected")),
    }
    running = await start()
    failed = set()
    running.cluster.fault = once_each(errors[kind], failed)
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    assert len([path for _, path in failed if f"gpt-{name}" in path]) > 10

    await tenants.delete(name)
    await tenants.wait_gone(name)
    assert await admin.get(NAMESPACE, f"gpt-{name}") is None


async def test_reads_that_fail_delay_only(start, tenants, workloads):
    running = await start()
    seen = set()

    def fault(method, path):
        if method == "GET" and path not in seen:
            seen.add(path)
            return UnavailableError("injected")
        return None

    running.cluster.fault = fault
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")


async def test_one_bad_tenant_holds_up_no_other(start, tenants, workloads):
    running = await start()
    bad = (await tenants.create("bad-one"))["metadata"]["name"]

    def refuse(method, path):
        return (
            RefusedError("exceeded quota: injected") if f"gpt-{bad}/" in path and method in WRITES else None
        )

    running.cluster.fault = refuse
    for _ in range(5):
        name = (await tenants.create())["metadata"]["name"]
        await tenants.wait(name, "Ready")
    stalled = await tenants.wait(bad, "Stalled", "True", "Refused")
    assert "exceeded quota" in str(stalled["status"]["conditions"])
    running.cluster.fault = lambda method, path: None
    await tenants.wait(bad, "Ready")


async def test_pubsub_away_is_said_and_heals(start, tenants, workloads, standin):
    await start()
    standin.stop()
    try:
        name = (await tenants.create())["metadata"]["name"]
        tenant = await tenants.wait(name, "MessagingReady", "False", "Unavailable")
        assert await tenants.wait(name, "DatabaseReady")
        assert await tenants.wait(name, "ApplicationReady")
        assert tenant["status"]["phase"] in {"Provisioning", "Pending"}
        # Ids are in the status although nothing is made yet.
        assert tenant["status"]["messaging"]["topic"].startswith("projects/guestpost-dev/topics/gpt-")
    finally:
        standin.start()
    await tenants.wait(name, "Ready")


async def test_workloads_that_are_not_ready_are_said(start, tenants, admin):
    await start()
    name = (await tenants.create())["metadata"]["name"]
    tenant = await tenants.wait(name, "DatabaseReady", "False", "DatabaseNotReady")
    by_type = {each["type"]: each for each in tenant["status"]["conditions"]}
    assert by_type["Reconciling"]["status"] == "True"
    assert "database operator" in by_type["DatabaseReady"]["message"]


def answering(pubsub, project, answer):
    """Pub/Sub's calls for one project are answered by `answer`, until the patch is undone."""
    real = pubsub._call

    async def call(method, resource, make):
        if resource.startswith(f"projects/{project}/"):
            return await answer(method)
        return await real(method, resource, make)

    return call


@pytest.mark.parametrize(
    ("reason", "stalled", "says"),
    [("Refused", "True", "lacks a right"), ("Unavailable", "False", "injected")],
)
async def test_a_google_project_that_refuses_or_is_ill_is_nobody_elses_problem(
    start, tenants, workloads, monkeypatch, reason, stalled, says
):
    running = await start()

    async def answer(method):
        raise {"Refused": RefusedError, "Unavailable": UnavailableError}[reason](f"{method}: injected")

    with monkeypatch.context() as patched:
        patched.setattr(running.pubsub, "_call", answering(running.pubsub, "guestpost-two", answer))
        ill = (await tenants.create(googleProject="guestpost-two"))["metadata"]["name"]
        tenant = await tenants.wait(ill, "MessagingReady", "False", reason)
        assert says in str(tenant["status"]["conditions"])
        await tenants.wait(ill, "Stalled", stalled)
        await tenants.wait(ill, "ApplicationReady")
        well = (await tenants.create())["metadata"]["name"]
        await tenants.wait(well, "Ready")
    await tenants.wait(ill, "Ready")


async def test_a_google_project_that_hangs_holds_up_nobody_else(start, tenants, workloads, monkeypatch):
    running = await start()
    silence = asyncio.Event()
    client, deaf = running.pubsub._connect, []

    def connect():
        publisher, subscriber = client()
        return tuple(Deaf(each, "guestpost-two", silence, deaf) for each in (publisher, subscriber))

    with monkeypatch.context() as patched:
        patched.setattr(running.pubsub, "_connect", connect)
        patched.setattr(running.pubsub, "_timeout", 1.0)
        ill = [(await tenants.create(googleProject="guestpost-two"))["metadata"]["name"] for _ in range(20)]
        well = (await tenants.create())["metadata"]["name"]
        await tenants.wait(well, "Ready")
        assert deaf, "the other project was asked"
        asked, took = len(deaf), time.monotonic() - deaf[0]
        # At first as many as may call wait for an answer, a second each; then one at a time tries.
        assert asked <= CONCURRENCY + 1 + took, "tenants of a silent project were waited for one by one"
        await tenants.wait(ill[0], "MessagingReady", "False", "Unavailable")
    for name in ill:
        await tenants.wait(name, "Ready")


class Deaf:
    """A client of Pub/Sub whose calls for one project are never answered."""

    def __init__(self, real, project, silence, asked):
        self._real, self._project, self._silence, self._asked = real, project, silence, asked

    def __getattr__(self, name):
        call = getattr(self._real, name)

        async def maybe(*args, **options):
            if f"projects/{self._project}/" in str((args, options)):
                self._asked.append(time.monotonic())
                await self._silence.wait()
            return await call(*args, **options)

        return maybe


async def test_postgresql_away_is_said_and_heals(start, tenants, workloads, admin):
    await start()
    name, other = [(await tenants.create())["metadata"]["name"] for _ in range(2)]
    for each in (name, other):
        await tenants.wait(each, "Ready")
    path = CLUSTER.path(f"gpt-{name}", "db") + "/status"

    async def say(**status):
        await admin.request("PATCH", path, {"status": status}, content_type="application/merge-patch+json")

    away = {"phase": "Failing over", "phaseReason": "no primary", "readyInstances": None, "conditions": []}
    workloads.judge = lambda obj, status: (
        away if obj["kind"] == "Cluster" and obj["metadata"]["namespace"] == f"gpt-{name}" else status
    )
    await say(**away)
    tenant = await tenants.wait(name, "DatabaseReady", "False", "DatabaseNotReady")
    by_type = {each["type"]: each for each in tenant["status"]["conditions"]}
    assert by_type["DatabaseReady"]["message"] == "Failing over: no primary"
    assert (by_type["Ready"]["status"], tenant["status"]["phase"]) == ("False", "Degraded")
    third = (await tenants.create())["metadata"]["name"]
    await tenants.wait(third, "Ready")
    await tenants.wait(other, "Ready")
    workloads.judge = lambda obj, status: status
    await say(phase="Switchover in progress")
    assert (await tenants.wait(name, "Ready"))["status"]["phase"] == "Running"
