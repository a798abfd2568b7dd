"""From one GuestPostTenant to everything that it is made of."""

import asyncio

import pytest
from guestpost_operator.api import names
from guestpost_operator.backends.errors import RefusedError
from guestpost_operator.backends.kinds import (
    BY_NAME,
    CLUSTER,
    CONFIG_MAP,
    DEPLOYMENT,
    EVENT,
    INGRESS,
    NAMESPACE,
    OWNED,
    POD,
    SECRET,
    SERVICE,
)

CREATED = {
    "Namespace/gpt-{0}",
    "ResourceQuota/tenant",
    "LimitRange/tenant",
    *(f"NetworkPolicy/{name}" for name in ("default-deny", "dns", "web", "crm", "database", "metrics")),
    *(f"NetworkPolicy/{name}" for name in ("web-exports", "export")),
    *(f"ServiceAccount/{name}" for name in ("web", "sync", "export")),
    *(f"RoleBinding/{name}" for name in ("web", "export")),
    *(f"Secret/{name}" for name in ("db-credentials", "crm-keys", "web-tls")),
    "ConfigMap/trust",
    "Cluster/db",
    *(f"Deployment/{name}" for name in ("web", "sync")),
    "Service/web",
    "Ingress/web",
}


async def owned(admin, tenant):
    """Everything in the cluster that carries the tenant's uid, as Kind/name."""
    selector = f"{names.LABEL_TENANT_UID}={tenant['metadata']['uid']},{names.LABEL_MANAGED_BY}"
    found = set()
    for kind in OWNED:
        if not kind.optional or kind is CLUSTER:
            found |= {
                f"{kind.name}/{each['metadata']['name']}" for each in await admin.find(kind, None, selector)
            }
    return found


@pytest.mark.promise("P5.1")
async def test_a_tenant_becomes_ready_with_everything_it_is_made_of(start, tenants, workloads, admin, pubsub):
    await start()
    tenant = await tenants.create()
    name, uid = tenant["metadata"]["name"], tenant["metadata"]["uid"]
    ready = await tenants.wait(name, "Ready")

    assert await owned(admin, tenant) == {each.format(name) for each in CREATED}
    status = ready["status"]
    namespace = await admin.get(NAMESPACE, f"gpt-{name}")
    assert status["namespace"] == {"name": f"gpt-{name}", "uid": namespace["metadata"]["uid"]}
    assert status["phase"] == "Running"
    app = {"url": f"https://{name}.crm.test", "version": "1.0.0", "revision": status["revision"]}
    assert status["app"] == app
    cluster = await admin.get(CLUSTER, "db", f"gpt-{name}")
    assert status["database"]["uid"] == cluster["metadata"]["uid"]
    assert status["database"]["storageClassName"] == "fast"
    topic = await pubsub.get_topic(status["messaging"]["topic"])
    assert topic.labels == {"tenant": name, "tenant-uid": uid, "managed-by": "guestpost-operator"}
    revision = await admin.get(CONFIG_MAP, f"guestpost-revision-{status['revision']}", "guestpost-system")
    assert revision["immutable"] is True


@pytest.mark.promise("P2.2")
async def test_messaging_is_the_tenants_own_and_least(start, tenants, workloads, pubsub):
    await start()
    name = (await tenants.create())["metadata"]["name"]
    messaging = (await tenants.wait(name, "MessagingReady"))["status"]["messaging"]

    topic = await pubsub.get_topic(messaging["topic"])
    assert (topic.regions, topic.enforce_in_transit, topic.retained) == (("europe-west1",), False, False)
    subscription = await pubsub.get_subscription(messaging["subscription"])
    assert subscription.topic == messaging["topic"]
    assert subscription.retention_seconds == 600
    assert not any((subscription.expires, subscription.dead_letters, subscription.pushes))
    assert await pubsub.get_policy(messaging["topic"]) == {
        "roles/pubsub.publisher": {"serviceAccount:gmail-api-push@system.gserviceaccount.com"}
    }
    assert await pubsub.get_policy(messaging["subscription"]) == {
        "roles/pubsub.subscriber": {
            "principal://iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/dev.svc.id.goog"
            f"/subject/ns/gpt-{name}/sa/sync"
        }
    }


async def test_extra_writes_are_few_and_idling_costs_none(start, tenants, workloads, plane):
    await start()
    mark = plane.audit.mark()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")

    async def told():
        # Events are told beside the work.
        found = [each for each in plane.audit.writes(mark) if ours(each, name)]
        return found if "create events" in [each.what for each in found] else None

    writes = await tenants.eventually(told, "the event")
    extra = [each.what for each in writes if not is_object(each)]
    assert sorted(extra) == [
        "create events",
        "patch guestposttenants",  # kopf's finalizer
        "patch guestposttenants/status",
        "patch guestposttenants/status",
    ]
    assert len(writes) - len(extra) == len(CREATED)
    assert all(each.code < 300 for each in writes)


async def test_a_restart_writes_nothing(start, tenants, workloads, plane, admin):
    first = await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    await asyncio.to_thread(first.stop)

    mark = plane.audit.mark()
    second = await start()
    entry = await tenants.eventually(lambda: settled(second, name), f"{name} to be looked at again")
    assert entry.memory.messaging_checked is not None
    assert [each for each in plane.audit.writes(mark) if ours(each, name)] == []


async def settled(running, name):
    """The operator's entry of a tenant once a pass has verified every object and Pub/Sub."""
    for entry in running.operator._controller._entries.values():
        if entry.body["metadata"]["name"] == name and entry.memory.messaging_checked is not None:
            known = running.operator._inventory.objects(entry.body["metadata"]["uid"])
            secrets = sum(key.kind == "Secret" for key in known)
            if len(entry.memory.good) == len(known) - secrets and not entry.lock.locked():
                return entry
    return None


def ours(write, name):
    agents = ("guestpost-operator", "kopf")
    return write.agent.startswith(agents) and (write.namespace == f"gpt-{name}" or name in write.name)


def is_object(write):
    resource = write.what.split()[1]
    return resource in {kind.plural for kind in BY_NAME.values()}


@pytest.mark.promise("P8.2")
@pytest.mark.parametrize("workload", ["web", "sync"])
async def test_pods_run_restricted_and_hold_no_cluster_token(start, tenants, workloads, admin, workload):
    await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    template = (await admin.get(DEPLOYMENT, workload, f"gpt-{name}"))["spec"]["template"]
    pod = template["spec"]
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"] + pod.get("initContainers", []):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
    # The API server's own Pod Security admission is the judge.
    candidate = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "labels": template["metadata"]["labels"]},
    }
    path = POD.path(f"gpt-{name}")
    await admin.request("POST", path, candidate | {"spec": pod}, query={"dryRun": "All"})
    root = {**pod, "securityContext": {**pod["securityContext"], "runAsNonRoot": False, "runAsUser": 0}}
    with pytest.raises(RefusedError, match="PodSecurity"):
        await admin.request("POST", path, candidate | {"spec": root}, query={"dryRun": "All"})


async def test_new_values_reach_the_tenant_when_its_spec_changes(start, tenants, workloads, admin):
    await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    await tenants.patch(name, spec={"hostname": "crm.acme.example", "plan": "Growth"})
    ready = await tenants.wait(name, "Ready")
    ingress = await admin.get(INGRESS, "web", f"gpt-{name}")
    assert ingress["spec"]["rules"][0]["host"] == "crm.acme.example"
    assert ready["status"]["app"]["url"] == "https://crm.acme.example"
    cluster = await admin.get(CLUSTER, "db", f"gpt-{name}")
    assert cluster["spec"]["storage"]["size"] == "2Gi"

    # A smaller plan never makes the volume smaller.
    await tenants.patch(name, spec={"plan": "Starter"})
    await tenants.wait(name, "Ready")
    cluster = await admin.get(CLUSTER, "db", f"gpt-{name}")
    assert cluster["spec"]["storage"]["size"] == "2Gi"


async def test_people_see_events_on_changes_only(start, tenants, workloads, admin):
    await start()
    tenant = await tenants.create()
    await tenants.wait(tenant["metadata"]["name"], "Ready")

    async def events():
        found = await admin.find(EVENT, "default")
        return [each for each in found if each["regarding"].get("uid") == tenant["metadata"]["uid"]]

    told = await tenants.eventually(events, "an event")
    assert [(each["type"], each["reason"]) for each in told] == [("Normal", "Running")]


async def test_a_paused_tenant_is_left_alone_until_it_is_not(start, tenants, workloads, admin):
    await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    await tenants.patch(name, metadata={"annotations": {names.ANNOTATION_PAUSED: "true"}})
    await tenants.wait(name, "Paused")
    await admin.delete(SERVICE, "web", f"gpt-{name}", None)
    await tenants.patch(name, spec={"owner": {"name": "Somebody Else"}})
    await tenants.wait(name, "Paused")
    assert await admin.get(SERVICE, "web", f"gpt-{name}") is None
    await tenants.patch(name, metadata={"annotations": {names.ANNOTATION_PAUSED: None}})
    await tenants.wait(name, "Paused", "False")
    await tenants.eventually(lambda: admin.get(SERVICE, "web", f"gpt-{name}"), "the service to come back")


async def test_many_at_once_all_become_ready(start, tenants, workloads):
    await start()
    made = await asyncio.gather(*(tenants.create() for _ in range(12)))
    await asyncio.gather(*(tenants.wait(each["metadata"]["name"], "Ready") for each in made))


async def test_secrets_hold_what_is_promised_and_keys_are_immutable(start, tenants, workloads, admin):
    await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    shapes = {
        "db-credentials": ("kubernetes.io/basic-auth", {"username", "password"}),
        "crm-keys": ("Opaque", {"django-secret-key", "tenant-key", "approval-key"}),
        "web-tls": ("kubernetes.io/tls", {"tls.crt", "tls.key"}),
    }
    for secret, (kind, keys) in shapes.items():
        found = await admin.get(SECRET, secret, f"gpt-{name}", whole=True)
        assert (found["type"], set(found["data"])) == (kind, keys)
        assert found["immutable"] is (secret != "web-tls")
