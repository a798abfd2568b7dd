"""What others change or delete comes back; what is no longer rendered goes."""

import asyncio
import copy

import pytest
from guestpost_operator import drift
from guestpost_operator.api import names
from guestpost_operator.backends.kinds import BY_NAME, CONFIG_MAP, DEPLOYMENT, INGRESS, NAMESPACE, SECRET

APPLIED = [
    ("ResourceQuota", "tenant"),
    ("LimitRange", "tenant"),
    *(("NetworkPolicy", name) for name in ("default-deny", "dns", "web", "crm", "database", "metrics")),
    *(("NetworkPolicy", name) for name in ("web-exports", "export")),
    *(("ServiceAccount", name) for name in ("web", "sync", "export")),
    *(("RoleBinding", name) for name in ("web", "export")),
    ("ConfigMap", "trust"),
    ("Cluster", "db"),
    *(("Deployment", name) for name in ("web", "sync")),
    ("Service", "web"),
    ("Ingress", "web"),
]
UID_LABEL = {"metadata": {"labels": {names.LABEL_TENANT_UID: None}}}
EDITS = {
    "another value": [
        ("ResourceQuota", "tenant", {"spec": {"hard": {"pods": "9999"}}}),
        ("LimitRange", "tenant", {"spec": {"limits": []}}),
        ("NetworkPolicy", "default-deny", {"spec": {"policyTypes": ["Ingress"]}}),
        ("ServiceAccount", "web", {"automountServiceAccountToken": True}),
        ("ConfigMap", "trust", {"data": {"broker-ca.crt": "somebody else's"}}),
        ("Cluster", "db", {"spec": {"enableSuperuserAccess": True}}),
        ("Deployment", "web", {"spec": {"replicas": 7}}),
        ("Service", "web", {"spec": {"ports": [{"name": "plain", "port": 80}]}}),
        ("Ingress", "web", {"spec": {"rules": [{"host": "evil.example"}]}}),
    ],
    "something more": [
        ("ResourceQuota", "tenant", {"spec": {"hard": {"secrets": "100"}}}),
        ("NetworkPolicy", "default-deny", {"spec": {"podSelector": {"matchLabels": {"only": "these"}}}}),
        ("NetworkPolicy", "default-deny", {"spec": {"egress": [{}]}}),
        ("ConfigMap", "trust", {"data": {"more": "x"}}),
        ("Deployment", "sync", {"spec": {"template": {"spec": {"hostNetwork": True}}}}),
        ("Service", "web", {"spec": {"selector": {"more": "x"}}}),
        ("Service", "web", {"spec": {"externalIPs": ["192.0.2.1"]}}),
    ],
    "the label that we find it by": [("Service", "web", UID_LABEL), ("NetworkPolicy", "crm", UID_LABEL)],
}


@pytest.fixture
async def ready(start, tenants, workloads):
    running = await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    return running, name


def content(obj):
    """The object without what changes by itself."""
    if obj is None:
        return None
    spec = {key: value for key, value in obj.get("spec", {}).items() if not key.startswith("clusterIP")}
    return drift.content_hash({**obj, "spec": spec, "metadata": {**obj["metadata"], "uid": ""}})


async def test_each_deleted_object_comes_back(ready, tenants, admin):
    _, name = ready
    before = {each: content(await admin.get(BY_NAME[each[0]], each[1], f"gpt-{name}")) for each in APPLIED}
    for kind, each in APPLIED:
        assert await admin.delete(BY_NAME[kind], each, f"gpt-{name}", None)

    async def restored():
        now = {each: content(await admin.get(BY_NAME[each[0]], each[1], f"gpt-{name}")) for each in APPLIED}
        return now == before

    await tenants.eventually(restored, "everything to come back as it was")
    await tenants.wait(name, "Ready")


@pytest.mark.parametrize("what", EDITS)
async def test_each_edit_is_undone(ready, tenants, admin, what):
    _, name = ready
    for kind_name, each, patch in EDITS[what]:
        kind = BY_NAME[kind_name]
        before = await admin.get(kind, each, f"gpt-{name}")
        await admin.merge(kind, each, f"gpt-{name}", patch)

        async def undone(kind=kind, each=each, before=before):
            return content(await admin.get(kind, each, f"gpt-{name}")) == content(before)

        await tenants.eventually(undone, f"{patch} of {kind_name} {each} to be undone")


async def test_a_container_that_somebody_adds_is_removed(ready, tenants, admin):
    _, name = ready
    await admin.request(
        "PATCH",
        DEPLOYMENT.path(f"gpt-{name}", "web"),
        {"spec": {"template": {"spec": {"containers": [{"name": "spy", "image": "spy"}]}}}},
        content_type="application/strategic-merge-patch+json",
    )

    async def removed():
        deployment = await admin.get(DEPLOYMENT, "web", f"gpt-{name}")
        return [each["name"] for each in deployment["spec"]["template"]["spec"]["containers"]] == ["web"]

    await tenants.eventually(removed, "the container to be removed")


@pytest.mark.promise("P8.2")
async def test_pod_security_of_the_namespace_comes_back(ready, tenants, admin):
    _, name = ready
    label = "pod-security.kubernetes.io/enforce"
    await admin.merge(NAMESPACE, f"gpt-{name}", None, {"metadata": {"labels": {label: "privileged"}}})

    async def restored():
        return (await admin.get(NAMESPACE, f"gpt-{name}"))["metadata"]["labels"][label] == "restricted"

    await tenants.eventually(restored, "restricted Pod Security")


async def test_what_others_note_in_metadata_is_left_alone(ready, tenants, admin, plane):
    _, name = ready
    mark = plane.audit.mark()
    note = {"metadata": {"annotations": {"example.com/note": "mine"}, "labels": {"example.com/team": "a"}}}
    await admin.merge(DEPLOYMENT, "web", f"gpt-{name}", note)
    # A change that is undone comes after it: when it is back, the note was looked at too.
    await admin.delete(BY_NAME["Service"], "web", f"gpt-{name}", None)
    await tenants.eventually(lambda: admin.get(BY_NAME["Service"], "web", f"gpt-{name}"), "the service")
    deployment = await admin.get(DEPLOYMENT, "web", f"gpt-{name}")
    assert deployment["metadata"]["annotations"]["example.com/note"] == "mine"
    ours = [each for each in plane.audit.writes(mark) if each.agent == "guestpost-operator"]
    assert [each.what for each in ours if each.namespace == f"gpt-{name}"] == ["patch services"]


async def test_only_what_is_ours_and_no_longer_rendered_is_pruned(ready, tenants, admin):
    _, name = ready
    tenant = await tenants.get(name)
    labels = names.common_labels(name, tenant["metadata"]["uid"], "left-over")

    async def config_map(namespace, object_name, labels):
        metadata = {"name": object_name, "namespace": namespace, "labels": labels}
        await admin.create(CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})

    others = {**labels, names.LABEL_TENANT_UID: "another"}
    await config_map(f"gpt-{name}", "not-managed", {**labels, names.LABEL_MANAGED_BY: "a-person"})
    await config_map(f"gpt-{name}", "of-another", others)
    await config_map("default", f"elsewhere-{name}", labels)
    await config_map(f"gpt-{name}", "left-over", labels)

    async def pruned():
        return await admin.get(CONFIG_MAP, "left-over", f"gpt-{name}") is None

    await tenants.eventually(pruned, "the left-over to be pruned")
    assert await admin.get(CONFIG_MAP, "not-managed", f"gpt-{name}")
    assert await admin.get(CONFIG_MAP, "of-another", f"gpt-{name}")
    assert await admin.get(CONFIG_MAP, f"elsewhere-{name}", "default")


async def test_a_route_that_is_not_wanted_any_more_is_pruned(start, tenants, workloads, admin, configure):
    first = await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    assert await admin.get(INGRESS, "web", f"gpt-{name}")
    await asyncio.to_thread(first.stop)
    await start(configure(tenants__routing__kind="None", rollout={"strategy": "Immediate"}))

    async def pruned():
        return await admin.get(INGRESS, "web", f"gpt-{name}") is None

    await tenants.eventually(pruned, "the Ingress to be pruned")


async def test_lost_credentials_are_made_again_where_that_loses_nothing(ready, tenants, admin):
    _, name = ready
    before = await admin.get(DEPLOYMENT, "web", f"gpt-{name}")
    certificate = (await admin.get(CONFIG_MAP, "trust", f"gpt-{name}"))["data"]["web-ca.crt"]
    for secret in ("db-credentials", "web-tls"):
        old = await admin.get(SECRET, secret, f"gpt-{name}", whole=True)
        await admin.delete(SECRET, secret, f"gpt-{name}", None)

        async def replaced(secret=secret, old=old):
            new = await admin.get(SECRET, secret, f"gpt-{name}", whole=True)
            return new and new["data"] != old["data"]

        await tenants.eventually(replaced, f"a new {secret}")

    async def rolled():
        now = await admin.get(DEPLOYMENT, "web", f"gpt-{name}")
        trust = (await admin.get(CONFIG_MAP, "trust", f"gpt-{name}"))["data"]["web-ca.crt"]
        return trust != certificate and stamp(now) != stamp(before)

    await tenants.eventually(rolled, "pods to get the new credentials")
    await tenants.wait(name, "Ready")


def stamp(deployment):
    return deployment["spec"]["template"]["metadata"]["annotations"]["guestpostcrm.com/credentials"]


async def test_a_lost_tenant_key_is_never_replaced(ready, tenants, admin):
    _, name = ready
    key = copy.deepcopy(await admin.get(SECRET, "crm-keys", f"gpt-{name}", whole=True))
    await admin.delete(SECRET, "crm-keys", f"gpt-{name}", None)
    stalled = await tenants.wait(name, "Stalled", "True", "TenantKeyLost")
    assert stalled["status"]["phase"] == "Blocked"
    assert await admin.get(SECRET, "crm-keys", f"gpt-{name}") is None

    # Restored from a backup, it goes on by itself.
    metadata = {each: key["metadata"][each] for each in ("name", "namespace", "labels")}
    await admin.create(SECRET, {**key, "metadata": metadata})
    await tenants.wait(name, "Ready")


async def test_a_lost_namespace_is_not_replaced_by_an_empty_one(ready, tenants, admin):
    _, name = ready
    await admin.delete(NAMESPACE, f"gpt-{name}", None, None)
    await tenants.wait(name, "Stalled", "True", "NamespaceLost")
    assert await admin.get(NAMESPACE, f"gpt-{name}") is None


async def test_messaging_drift_is_corrected_when_looked_at(ready, tenants, pubsub):
    _, name = ready
    messaging = (await tenants.get(name))["status"]["messaging"]
    policy = await pubsub.get_policy(messaging["subscription"])
    spy = {"roles/pubsub.subscriber": frozenset({"user:spy@example.com"})}
    await pubsub.set_policy(messaging["subscription"], spy)
    await pubsub.delete_topic(messaging["topic"])
    await tenants.patch(name, metadata={"annotations": {names.ANNOTATION_REQUESTED: "now"}})

    async def corrected():
        topic = await pubsub.get_topic(messaging["topic"])
        subscription = await pubsub.get_subscription(messaging["subscription"])
        if not topic or not subscription or subscription.topic != topic.name:
            return False
        return await pubsub.get_policy(messaging["subscription"]) == policy

    await tenants.eventually(corrected, "topic, subscription and policy to be right again")
