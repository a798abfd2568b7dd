"""Volumes and snapshots of a tenant go with it, also where their class retains them."""

import pytest
from erasures import condition, receipt, removed, volume
from guestpost_operator.backends.kinds import PERSISTENT_VOLUME, VOLUME_SNAPSHOT, VOLUME_SNAPSHOT_CONTENT


@pytest.mark.promise("P9.2")
async def test_volumes_that_are_retained_are_deleted_too(start, tenants, workloads, admin):
    await start()
    tenant = await tenants.create()
    name = tenant["metadata"]["name"]
    await tenants.wait(name, "Ready")
    await admin.create(PERSISTENT_VOLUME, volume(f"pv-{name}", f"gpt-{name}"))
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
    assert removed(await receipt(admin, tenant))["PersistentVolume"] == 1


@pytest.mark.promise("P9.2")
async def test_snapshots_that_are_retained_are_deleted_too(start, tenants, workloads, admin):
    await start()
    tenant = await tenants.create()
    name = tenant["metadata"]["name"]
    await tenants.wait(name, "Ready")
    where = {"name": "nightly", "namespace": f"gpt-{name}"}
    api = VOLUME_SNAPSHOT.api_version
    await admin.create(VOLUME_SNAPSHOT, {"apiVersion": api, "kind": VOLUME_SNAPSHOT.name, "metadata": where})
    content = {
        "apiVersion": api,
        "kind": VOLUME_SNAPSHOT_CONTENT.name,
        "metadata": {"name": f"content-{name}", "finalizers": ["example.com/snapshot"]},
        "spec": {"deletionPolicy": "Retain", "volumeSnapshotRef": where},
    }
    await admin.create(VOLUME_SNAPSHOT_CONTENT, content)
    await tenants.delete(name)

    async def released():
        found = await admin.get(VOLUME_SNAPSHOT_CONTENT, f"content-{name}")
        return found["spec"]["deletionPolicy"] == "Delete" and "deletionTimestamp" in found["metadata"]

    await tenants.eventually(released, "the snapshot's content to be deleted, not retained")
    assert await admin.get(VOLUME_SNAPSHOT, "nightly", f"gpt-{name}") is None
    # The storage's driver is done.
    patch = {"metadata": {"finalizers": None}}
    await admin.merge(VOLUME_SNAPSHOT_CONTENT, f"content-{name}", None, patch)
    await tenants.wait_gone(name)
    assert removed(await receipt(admin, tenant))["VolumeSnapshot"] == 1
