"""The API server and Pub/Sub away, slow or refusing: said, healed, and nobody else's problem."""

import pytest
from guestpost_operator.backends.errors import ConflictError, RefusedError, UnavailableError
from guestpost_operator.backends.kinds import NAMESPACE
from guestpost_operator.handlers import tenants as handler

WRITES = {"POST", "PATCH", "DELETE"}


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
