"""What an erasure does not touch, what holds it, and how a person helps it on."""

import pytest
from erasures import claim, claim_name, condition, outcomes, receipt
from guestpost_operator.api import names
from guestpost_operator.backends.errors import UnavailableError
from guestpost_operator.backends.kinds import (
    CLAIM,
    CLUSTER,
    NAMESPACE,
)
from guestpost_operator.backends.pubsub import Topic


async def test_nothing_of_others_is_erased(start, tenants, workloads, admin, pubsub):
    await start()
    name = "not-mine"
    metadata = {"name": f"gpt-{name}", "labels": {names.LABEL_TENANT_UID: "another"}}
    await admin.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    await tenants.create(name)
    await tenants.wait(name, "Stalled", "True", "NamespaceTaken")
    await tenants.delete(name)
    await tenants.wait_gone(name)
    namespace = await admin.get(NAMESPACE, f"gpt-{name}")
    assert namespace is not None
    assert "deletionTimestamp" not in namespace["metadata"]
    assert names.LABEL_ERASING not in namespace["metadata"]["labels"]
    await admin.delete(NAMESPACE, f"gpt-{name}", None, None)


async def test_a_topic_that_became_somebody_elses_is_left(start, tenants, workloads, pubsub):
    await start()
    name = (await tenants.create())["metadata"]["name"]
    topic = (await tenants.wait(name, "Ready"))["status"]["messaging"]["topic"]
    await pubsub.delete_topic(topic)
    await pubsub.create_topic(Topic(topic, {"owner": "somebody"}, ("us-central1",)))
    await tenants.delete(name)
    await tenants.wait_gone(name)
    assert await pubsub.get_topic(topic) is not None
    await pubsub.delete_topic(topic)


@pytest.mark.promise("P9.2")
async def test_what_cannot_be_reached_blocks_and_is_tried_again(start, tenants, workloads, standin, admin):
    await start()
    tenant = await tenants.create()
    name = tenant["metadata"]["name"]
    await tenants.wait(name, "Ready")
    standin.stop()
    try:
        await tenants.delete(name)
        blocked = await tenants.wait(name, "DeletionBlocked", "True", "Unavailable")
        assert blocked["status"]["phase"] == "Blocked"
        assert blocked["status"]["deletion"]["blockedBy"] == "Messaging"
        assert blocked["status"]["deletion"]["completed"] == ["FinalExport", "Application", "GoogleAccess"]
        # The database waits for its turn.
        assert await admin.get(CLUSTER, "db", f"gpt-{name}") is not None
        assert names.FINALIZER in blocked["metadata"]["finalizers"]
    finally:
        standin.start()
    await tenants.wait_gone(name)
    assert (await receipt(admin, tenant))["verified"] is True


@pytest.mark.promise("P9.2")
async def test_a_person_can_give_a_step_up_and_the_receipt_says_so(start, tenants, workloads, standin, admin):
    await start()
    tenant = await tenants.create()
    name = tenant["metadata"]["name"]
    await tenants.wait(name, "Ready")
    standin.stop()
    try:
        await tenants.delete(name)
        await tenants.wait(name, "DeletionBlocked", "True", "Unavailable")
        reason = "the project was shut down by Google"
        # The other one can be done, and so is not given up.
        abandon = [{"step": step, "reason": reason} for step in ("Messaging", "Database")]
        await tenants.patch(name, spec={"deletion": {"abandon": abandon}})
        await tenants.wait_gone(name)
    finally:
        standin.start()
    assert await admin.get(NAMESPACE, f"gpt-{name}") is None
    stated = await receipt(admin, tenant)
    assert stated["verified"] is False
    [given_up] = [each for each in stated["steps"] if each["outcome"] != "Verified"]
    assert given_up == {"step": "Messaging", "outcome": "NotVerified", "reason": reason}


@pytest.mark.promise("P9.2")
async def test_a_protected_tenant_is_never_erased(start, tenants, workloads, admin):
    await start()
    name = (await tenants.create(deletion={"protected": True}))["metadata"]["name"]
    await tenants.wait(name, "Ready")
    await tenants.delete(name)
    tenant = await tenants.wait(name, "DeletionBlocked", "True", "Protected")
    assert "Set it to false" in condition(tenant, "DeletionBlocked")["message"]
    assert await admin.get(CLUSTER, "db", f"gpt-{name}") is not None
    await tenants.patch(name, spec={"deletion": {"protected": False}})
    await tenants.wait_gone(name)


async def test_a_paused_tenant_is_left_alone(start, tenants, workloads, admin):
    await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    await tenants.patch(name, metadata={"annotations": {names.ANNOTATION_PAUSED: "true"}})
    await tenants.delete(name)
    await tenants.wait(name, "DeletionBlocked", "True", "PausedByAnnotation")
    assert await admin.get(CLUSTER, "db", f"gpt-{name}") is not None
    await tenants.patch(name, metadata={"annotations": {names.ANNOTATION_PAUSED: None}})
    await tenants.wait_gone(name)


@pytest.mark.promise("P9.2")
async def test_consents_are_not_said_to_be_revoked_when_the_database_is_gone(
    start, tenants, workloads, admin
):
    running = await start()
    tenant = await tenants.create()
    name = tenant["metadata"]["name"]
    await tenants.wait(name, "Ready")
    await admin.create(CLAIM, claim(tenant))
    # Nothing of a tenant that is deleted is made again: not even by accident an empty database.
    running.cluster.fault = lambda method, path: (
        UnavailableError("injected") if method == "PATCH" and path.endswith("/clusters/db") else None
    )
    await admin.delete(CLUSTER, "db", f"gpt-{name}", None)
    await tenants.delete(name)
    await tenants.wait(name, "DeletionBlocked", "True", "DatabaseLost")
    running.cluster.fault = lambda method, path: None
    assert await admin.get(CLUSTER, "db", f"gpt-{name}") is None
    assert await admin.get(CLAIM, f"mailbox-{claim_name(tenant)}") is not None
    abandon = [{"step": "GoogleAccess", "reason": "the database was lost with its disk"}]
    await tenants.patch(name, spec={"deletion": {"abandon": abandon}})
    await tenants.wait_gone(name)
    # Others can connect the mailbox again.
    assert await admin.get(CLAIM, f"mailbox-{claim_name(tenant)}") is None
    assert outcomes(await receipt(admin, tenant))["GoogleAccess"] == "NotVerified"
