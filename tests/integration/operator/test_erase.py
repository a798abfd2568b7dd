"""Deleting a tenant removes everything that it made, in order."""

import asyncio

import pytest
from erasures import claim, claim_name, condition, outcomes, receipt, removed
from guestpost_operator import receipts
from guestpost_operator.api import names
from guestpost_operator.backends.errors import RefusedError, UnavailableError
from guestpost_operator.backends.kinds import (
    CLAIM,
    CLUSTER,
    DEPLOYMENT,
    NAMESPACE,
    POD,
    RECEIPT,
    TENANT,
)
from guestpost_operator.lifecycle.erase import STEPS


@pytest.mark.promise("P9.2")
async def test_nothing_is_left_but_the_receipt(start, tenants, workloads, admin, pubsub, plane):
    await start()
    tenant = await tenants.create()
    name = tenant["metadata"]["name"]
    status = (await tenants.wait(name, "Ready"))["status"]
    other = f"{7:040x}"
    await admin.create(CLAIM, claim(tenant))
    stranger = {"metadata": {"name": "stranger", "uid": "0b7c4d1e-0000-4000-8000-000000000000"}}
    await admin.create(CLAIM, claim(stranger, other))

    mark = plane.audit.mark()
    await tenants.delete(name)
    await tenants.wait_gone(name)

    assert await admin.get(NAMESPACE, f"gpt-{name}") is None
    assert await pubsub.get_topic(status["messaging"]["topic"]) is None
    assert await pubsub.get_subscription(status["messaging"]["subscription"]) is None
    assert await admin.get(CLAIM, f"mailbox-{claim_name(tenant)}") is None
    assert await admin.get(CLAIM, f"mailbox-{other}") is not None
    await admin.delete(CLAIM, f"mailbox-{other}", None, None)

    stated = await receipt(admin, tenant)
    assert stated["verified"] is True
    assert outcomes(stated) == dict.fromkeys(STEPS, "Verified")
    one_each = ("Database", "Key", "MailboxClaim", "Namespace", "Subscription", "Topic")
    assert {kind for kind, count in removed(stated).items() if count == 1} == set(one_each)
    assert (stated["requestedBy"], stated["finalExport"]) == ("Staff", {"outcome": "Skipped"})
    assert name not in str(stated)

    written = [each for each in plane.audit.writes(mark) if each.agent == "guestpost-operator"]
    ours = [each.what for each in written if each.code < 300]
    order = [
        "patch namespaces",
        "patch deployments",
        "patch jobs",
        "delete mailboxclaims",
        "delete clusters",
        "delete secrets",
        "delete namespaces",
        "create erasurereceipts",
    ]
    assert [each for each in dict.fromkeys(ours) if each in order] == order
    assert ours[-1] == "patch guestposttenants"


@pytest.mark.promise("P9.2")
async def test_the_key_of_receipts_is_made_once(start, tenants, workloads, admin):
    await start()
    found = []
    for _ in range(2):
        tenant = await tenants.create()
        name = tenant["metadata"]["name"]
        await tenants.wait(name, "Ready")
        await tenants.delete(name)
        await tenants.wait_gone(name)
        await receipt(admin, tenant)
        body = await admin.get(RECEIPT, receipts.name(tenant["metadata"]["uid"]))
        found.append(body["spec"]["signature"]["keyID"])
    assert found[0] == found[1]


@pytest.mark.promise("P9.2")
async def test_a_tenant_that_was_never_finished_is_erased_as_fully(start, tenants, admin, pubsub):
    running = await start()

    def refuse(method, path):
        return (
            RefusedError("injected")
            if path.endswith(("/clusters/db", "/deployments/web")) and method == "PATCH"
            else None
        )

    running.cluster.fault = refuse
    tenant = await tenants.create(deletion={"finalExport": "Required"})
    name = tenant["metadata"]["name"]
    status = (await tenants.wait(name, "Stalled"))["status"]
    running.cluster.fault = lambda method, path: None
    await tenants.delete(name)
    await tenants.wait_gone(name)
    assert await admin.get(NAMESPACE, f"gpt-{name}") is None
    assert await pubsub.get_topic(status["messaging"]["topic"]) is None
    assert (await receipt(admin, tenant))["finalExport"] == {"outcome": "Empty"}


@pytest.mark.promise("P9.2")
async def test_a_broken_tenant_is_erased_as_fully(start, tenants, workloads, admin):
    """Its web never starts again, and what it is rendered from cannot be applied."""
    running = await start()
    tenant = await tenants.create()
    name = tenant["metadata"]["name"]
    await tenants.wait(name, "Ready")
    running.cluster.fault = lambda method, path: (
        RefusedError("exceeded quota") if method == "PATCH" and path.endswith("/deployments/web") else None
    )
    await tenants.delete(name)
    await tenants.wait_gone(name)
    assert (await receipt(admin, tenant))["verified"] is True


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


@pytest.mark.promise("P9.2")
async def test_what_comes_back_meanwhile_is_found_and_removed_again(start, tenants, workloads, admin, pubsub):
    running = await start()
    tenant = await tenants.create()
    name = tenant["metadata"]["name"]
    messaging = (await tenants.wait(name, "Ready"))["status"]["messaging"]
    there = await pubsub.get_topic(messaging["topic"])
    running.cluster.fault = lambda method, path: (
        UnavailableError("injected")
        if method == "DELETE" and path.endswith(f"/namespaces/gpt-{name}")
        else None
    )
    await tenants.delete(name)
    await tenants.wait(name, "DeletionBlocked", "True", "Unavailable")
    await pubsub.create_topic(there)
    await admin.create(CLAIM, claim(tenant))
    running.cluster.fault = lambda method, path: None
    await tenants.wait_gone(name)
    assert await pubsub.get_topic(messaging["topic"]) is None
    assert await admin.get(CLAIM, f"mailbox-{claim_name(tenant)}") is None
    assert (await receipt(admin, tenant))["verified"] is True


@pytest.mark.promise("P9.2")
async def test_the_closing_page_has_nothing_of_the_tenant(start, tenants, workloads, admin):
    running = await start()
    tenant = await tenants.create()
    name = tenant["metadata"]["name"]
    await tenants.wait(name, "Ready")
    running.cluster.fault = lambda method, path: (
        UnavailableError("injected") if method == "DELETE" and path.endswith("/clusters/db") else None
    )
    await tenants.delete(name)
    await tenants.wait(name, "DeletionBlocked", "True", "Unavailable")
    web = await admin.get(DEPLOYMENT, "web", f"gpt-{name}")
    pod = web["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert (web["spec"]["replicas"], container["args"]) == (1, ["closed"])
    assert web["spec"]["strategy"] == {"type": "Recreate"}
    assert "initContainers" not in pod
    assert {each["name"] for each in pod["volumes"]} == {"tmp", "web-tls"}
    assert not [each for each in container["env"] if "valueFrom" in each]
    sync = await admin.get(DEPLOYMENT, "sync", f"gpt-{name}")
    assert sync["spec"]["replicas"] == 0
    running.cluster.fault = lambda method, path: None
    await tenants.wait_gone(name)


async def test_pods_that_work_are_waited_for(start, tenants, workloads, admin):
    await start()
    tenant = await tenants.create()
    name, uid = tenant["metadata"]["name"], tenant["metadata"]["uid"]
    await tenants.wait(name, "Ready")
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True}
    container = {
        "name": "sync",
        "image": "sync",
        "securityContext": {**security, "seccompProfile": {"type": "RuntimeDefault"}},
        "resources": {"requests": {"memory": "1Mi"}},
    }
    labels = names.common_labels(name, uid, "sync")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "sync",
            "namespace": f"gpt-{name}",
            "labels": labels,
            "finalizers": ["example.com/busy"],
        },
        "spec": {"containers": [container], "automountServiceAccountToken": False},
    }
    await admin.create(POD, pod)
    await tenants.delete(name)

    async def waits():
        found = await tenants.get(name)
        return "1 pods of web, sync and exports to end" in condition(found, "DeletionBlocked")["message"]

    await tenants.eventually(waits, "the pod to be waited for")
    assert await admin.get(CLUSTER, "db", f"gpt-{name}") is not None
    await admin.delete(POD, "sync", f"gpt-{name}", None)
    await admin.merge(POD, "sync", f"gpt-{name}", {"metadata": {"finalizers": None}})
    await tenants.wait_gone(name)


async def test_a_tenant_that_went_unseen_is_forgotten(start, tenants, workloads, configure):
    """kopf tells of no deletion that it missed; what the tenant held must be free all the same."""
    running = await start(configure(operator__resyncSeconds=1))
    controller = running.operator._controller
    first = await tenants.create(hostname="crm.acme.example")
    name, uid = first["metadata"]["name"], first["metadata"]["uid"]
    await tenants.wait(name, "Ready")
    controller.gone = lambda uid: None
    await tenants.delete(name)
    await tenants.wait_gone(name)
    assert uid in controller._entries
    del controller.gone
    second = (await tenants.create(hostname="crm.acme.example"))["metadata"]["name"]
    await tenants.wait(second, "Ready")

    async def forgotten() -> bool:
        return uid not in controller._entries

    await tenants.eventually(forgotten, "the first to be forgotten")
