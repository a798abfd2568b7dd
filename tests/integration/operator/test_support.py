"""SupportGrants against a real API server: what runs for an approved Shell, and that it ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from guestpost_operator.api import names
from guestpost_operator.backends.kinds import GRANT, JOB, ROLE_BINDING
from support_desk import ALL, Desk, job_of


@pytest.fixture
async def desk(start: Any, tenants: Any, workloads: Any, admin: Any) -> Desk:
    await start()
    name = (await tenants.create())["metadata"]["name"]
    return Desk(admin, tenants, await tenants.wait(name, "Ready"))


@pytest.mark.promise("P6.1")
async def test_a_shell_is_there_from_the_approval_to_the_end(desk: Desk) -> None:
    grant = await desk.ask()
    await desk.wait(grant, "Requested")
    assert await desk.parts(job_of(grant)) == set()
    await desk.approve(grant)
    active = await desk.wait(grant, "Active")
    assert active["status"]["shell"] == {"job": job_of(grant)}
    await desk.wait_parts(job_of(grant), ALL)
    await desk.write(grant, revokedAt="2026-11-24T12:00:00Z")
    await desk.wait(grant, "Revoked")
    await desk.wait_parts(job_of(grant), set())


@pytest.mark.promise("P6.1")
async def test_a_shell_ends_by_itself_and_with_its_request(desk: Desk) -> None:
    short, withdrawn = await desk.ask("short"), await desk.ask("withdrawn")
    await desk.approve(short, seconds=6)
    await desk.approve(withdrawn)
    for grant in (short, withdrawn):
        await desk.wait_parts(job_of(grant), ALL)
    await desk.admin.delete(GRANT, "withdrawn", desk.namespace, None)
    await desk.wait_parts(job_of(withdrawn), set())
    await desk.wait(short, "Expired")
    await desk.wait_parts(job_of(short), set())


@pytest.mark.promise("P6.1")
async def test_an_approval_that_the_web_has_not_signed_is_refused(desk: Desk) -> None:
    """As it would be if somebody got past the admission policy, by the name of the web's account."""
    grant = await desk.ask()
    await desk.approve(grant, key=Ed25519PrivateKey.generate())
    refused = await desk.wait(grant, "Refused")
    [active] = refused["status"]["conditions"]
    assert (active["type"], active["status"], active["reason"]) == ("Active", "False", "NotSigned")
    assert await desk.parts(job_of(grant)) == set()


async def test_what_somebody_removes_of_a_shell_comes_back_and_what_is_said_twice_is_not_written(
    desk: Desk, plane: Any
) -> None:
    grant = await desk.ask()
    await desk.approve(grant)
    await desk.wait_parts(job_of(grant), ALL)
    await desk.admin.delete(ROLE_BINDING, job_of(grant), desk.namespace, None)
    await desk.wait_parts(job_of(grant), ALL)
    await desk.write(grant, conditions=[])

    async def told() -> bool:
        found = await desk.admin.get(GRANT, "ticket-1", desk.namespace)
        return bool(found["status"].get("conditions"))

    await desk._tenants.eventually(told, "the conditions again")
    mark = plane.audit.mark()
    name = desk.tenant["metadata"]["name"]
    await desk._tenants.patch(name, metadata={"annotations": {names.ANNOTATION_REQUESTED: "1"}})
    await asyncio.sleep(1)  # nothing is to happen: there is nothing to wait for
    assert [each for each in plane.audit.writes(mark) if each.agent.startswith("guestpost-operator")] == []


@pytest.mark.promise("P6.1")
async def test_what_ended_while_no_operator_ran_is_removed_by_the_next(
    start: Any, tenants: Any, workloads: Any, admin: Any
) -> None:
    first = await start()
    name = (await tenants.create())["metadata"]["name"]
    desk = Desk(admin, tenants, await tenants.wait(name, "Ready"))
    revoked, expired, deleted = [await desk.ask(each) for each in ("revoked", "expired", "deleted")]
    for grant, seconds in ((revoked, 3600), (expired, 8), (deleted, 3600)):
        await desk.approve(grant, seconds=seconds)
        await desk.wait_parts(job_of(grant), ALL)
    await asyncio.to_thread(first.stop)
    await desk.write(revoked, revokedAt="2026-11-24T12:00:00Z")
    await admin.delete(GRANT, "deleted", desk.namespace, None)
    await asyncio.sleep(8)  # until it has expired: nobody tells
    await start()
    await desk.wait(revoked, "Revoked")
    await desk.wait(expired, "Expired")
    for grant in (revoked, expired, deleted):
        await desk.wait_parts(job_of(grant), set())


async def test_a_tenant_that_hibernates_ends_its_terminals(desk: Desk) -> None:
    grant = await desk.ask()
    await desk.approve(grant)
    await desk.wait_parts(job_of(grant), ALL)
    await desk._tenants.patch(desk.tenant["metadata"]["name"], spec={"state": "Hibernated"})
    await desk.wait_parts(job_of(grant), set())

    async def told() -> bool:
        found = await desk.admin.get(GRANT, grant["metadata"]["name"], desk.namespace)
        messages = {each["type"]: each["message"] for each in found["status"]["conditions"]}
        return messages["ShellReady"] == "the tenant hibernates"

    await desk._tenants.eventually(told, "the condition that says why")


async def test_what_is_edited_meanwhile_leaves_a_shell_as_it_began(desk: Desk) -> None:
    grant = await desk.ask()
    await desk.approve(grant)
    await desk.wait_parts(job_of(grant), ALL)
    before = await desk.admin.get(JOB, job_of(grant), desk.namespace)
    name = desk.tenant["metadata"]["name"]
    edited = await desk._tenants.patch(name, spec={"owner": {"name": "Anna Reyes-Lindt"}})

    async def followed() -> bool:
        status = (await desk._tenants.get(name))["status"]
        return (
            status["observedGeneration"] == edited["metadata"]["generation"] and status["phase"] == "Running"
        )

    await desk._tenants.eventually(followed, "the edit to arrive")
    after = await desk.admin.get(JOB, job_of(grant), desk.namespace)
    assert (after["metadata"]["uid"], after["spec"]["template"]) == (
        before["metadata"]["uid"],
        before["spec"]["template"],
    )
