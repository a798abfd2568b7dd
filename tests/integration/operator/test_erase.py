"""Deleting a tenant removes everything that it made, in order, and nothing that is not its own."""

import asyncio

import pytest
from guestpost_operator.api import names
from guestpost_operator.backends.errors import RefusedError, UnavailableError
from guestpost_operator.backends.kinds import CLAIM, CLUSTER, NAMESPACE, PERSISTENT_VOLUME, TENANT
from guestpost_operator.backends.pubsub import Topic


def condition(tenant, kind):
    return next(each for each in tenant["status"]["conditions"] if each["type"] == kind)


def claim(tenant, name):
    metadata = tenant["metadata"]
    labels = {names.LABEL_TENANT: metadata["name"], names.LABEL_TENANT_UID: metadata["uid"]}
    return {
        "apiVersion": CLAIM.api_version,
        "kind": CLAIM.name,
        "metadata": {"name": f"mailbox-{name}", "labels": labels},
        "spec": {"tenant": {"name": metadata["name"], "uid": metadata["uid"]}},
    }


@pytest.mark.promise("P9.2")
async def test_nothing_is_left(start, tenants, workloads, admin, pubsub, plane):
    await start()
    tenant = await tenants.create()
    name = tenant["metadata"]["name"]
    status = (await tenants.wait(name, "Ready"))["status"]
    mine, other = f"{int(tenant['metadata']['uid'][:8], 16):040x}", f"{7:040x}"
    await admin.create(CLAIM, claim(tenant, mine))
    stranger = {"metadata": {"name": "stranger", "uid": "0b7c4d1e-0000-4000-8000-000000000000"}}
    await admin.create(CLAIM, claim(stranger, other))

    mark = plane.audit.mark()
    await tenants.delete(name)
    await tenants.wait_gone(name)

    assert await admin.get(NAMESPACE, f"gpt-{name}") is None
    assert await pubsub.get_topic(status["messaging"]["topic"]) is None
    assert await pubsub.get_subscription(status["messaging"]["subscription"]) is None
    assert await admin.get(CLAIM, f"mailbox-{mine}") is None
    assert await admin.get(CLAIM, f"mailbox-{other}") is not None
    await admin.delete(CLAIM, f"mailbox-{other}", None, None)

    deleted = [
        each.what
        for each in plane.audit.writes(mark)
        if each.agent == "guestpost-operator" and each.what.startswith("delete") and each.code < 300
    ]
    order = [
        "delete deployments",
        "delete clusters",
        "delete secrets",
        "delete namespaces",
        "delete mailboxclaims",
    ]
    assert [each for each in dict.fromkeys(deleted) if each in order] == order


async def test_a_tenant_that_was_never_finished_is_erased_as_fully(start, tenants, admin, pubsub):
    running = await start()

    def refuse(method, path):
        return (
            RefusedError("injected")
            if path.endswith(("/clusters/db", "/deployments/web")) and method == "PATCH"
            else None
        )

    running.cluster.fault = refuse
    name = (await tenants.create())["metadata"]["name"]
    status = (await tenants.wait(name, "Stalled"))["status"]
    running.cluster.fault = lambda method, path: None
    await tenants.delete(name)
    await tenants.wait_gone(name)
    assert await admin.get(NAMESPACE, f"gpt-{name}") is None
    assert await pubsub.get_topic(status["messaging"]["topic"]) is None


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


async def test_what_cannot_be_reached_blocks_and_is_tried_again(start, tenants, workloads, standin, admin):
    await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    standin.stop()
    try:
        await tenants.delete(name)
        tenant = await tenants.wait(name, "DeletionBlocked", "True", "Unavailable")
        assert tenant["status"]["phase"] == "Blocked"
        assert tenant["status"]["deletion"]["blockedBy"] == "Messaging"
        assert tenant["status"]["deletion"]["completed"] == ["Application"]
        # The database waits for its turn.
        assert await admin.get(CLUSTER, "db", f"gpt-{name}") is not None
        assert names.FINALIZER in tenant["metadata"]["finalizers"]
    finally:
        standin.start()
    await tenants.wait_gone(name)


async def test_a_person_can_give_a_step_up(start, tenants, workloads, standin, admin):
    await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    standin.stop()
    try:
        await tenants.delete(name)
        await tenants.wait(name, "DeletionBlocked", "True", "Unavailable")
        reason = "the project was shut down by Google"
        await tenants.patch(name, spec={"deletion": {"abandon": [{"step": "Messaging", "reason": reason}]}})
        await tenants.wait_gone(name)
    finally:
        standin.start()
    assert await admin.get(NAMESPACE, f"gpt-{name}") is None


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


async def test_volumes_that_are_retained_are_deleted_too(start, tenants, workloads, admin):
    await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"pv-{name}", "finalizers": ["example.com/disk"]},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {
                "namespace": f"gpt-{name}",
                "name": "db-1",
                "uid": "0b7c4d1e-0000-4000-8000-000000000000",
            },
            "csi": {"driver": "example.com", "volumeHandle": name},
        },
    }
    await admin.create(PERSISTENT_VOLUME, volume)
    await tenants.delete(name)

    async def told():
        tenant = await tenants.get(name)
        found = await admin.get(PERSISTENT_VOLUME, f"pv-{name}")
        waits = f"pv-{name}" in condition(tenant, "DeletionBlocked")["message"]
        return waits and found["spec"]["persistentVolumeReclaimPolicy"] == "Delete"

    await tenants.eventually(told, "the volume to be named and to be set to Delete")
    # The disk's driver is done.
    await admin.delete(PERSISTENT_VOLUME, f"pv-{name}", None, None)
    await admin.merge(PERSISTENT_VOLUME, f"pv-{name}", None, {"metadata": {"finalizers": None}})
    await tenants.wait_gone(name)


async def test_erasing_goes_on_where_another_operator_left(start, tenants, workloads, admin):
    first = await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")

    def away(method, path):
        return (
            UnavailableError("injected")
            if method == "DELETE" and path.endswith(f"/namespaces/gpt-{name}")
            else None
        )

    first.cluster.fault = away
    await tenants.delete(name)
    await tenants.wait(name, "DeletionBlocked", "True", "Unavailable")
    await asyncio.to_thread(first.stop)
    assert await admin.get(TENANT, name) is not None
    await start()
    await tenants.wait_gone(name)
    assert await admin.get(NAMESPACE, f"gpt-{name}") is None
