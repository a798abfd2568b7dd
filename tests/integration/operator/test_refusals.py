"""What cannot be done is said, with what to do about it; nothing that belongs to others is taken."""

import asyncio

import pytest
from guestpost_operator.api import names
from guestpost_operator.backends.errors import RefusedError
from guestpost_operator.backends.kinds import BY_NAME, CLUSTER, CONFIG_MAP, DEPLOYMENT, NAMESPACE, SECRET
from guestpost_operator.backends.pubsub import Subscription, Topic


def condition(tenant, kind):
    return next(each for each in tenant["status"]["conditions"] if each["type"] == kind)


@pytest.mark.parametrize(
    ("labels", "whose"),
    [
        ({}, "made by somebody else"),
        ({names.LABEL_MANAGED_BY: "Helm"}, "made by Helm"),
        (
            {names.LABEL_TENANT: "acme", names.LABEL_TENANT_UID: "another"},
            "belongs to tenant acme with uid another",
        ),
    ],
)
async def test_a_namespace_of_others_is_not_adopted(start, tenants, workloads, admin, plane, labels, whose):
    await start()
    name = f"taken{abs(hash(whose)) % 10**8}"
    metadata = {"name": f"gpt-{name}", "labels": labels}
    await admin.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    mark = plane.audit.mark()
    await tenants.create(name)
    tenant = await tenants.wait(name, "Stalled", "True", "NamespaceTaken")
    assert whose in condition(tenant, "Ready")["message"]
    assert tenant["status"]["phase"] == "Blocked"
    inside = [each for each in plane.audit.writes(mark) if each.namespace == f"gpt-{name}"]
    assert [each for each in inside if each.agent == "guestpost-operator"] == []

    # It goes on by itself when the name is free, and deleting the tenant first leaves it alone.
    await admin.delete(NAMESPACE, f"gpt-{name}", None, None)
    await tenants.wait(name, "Ready")


async def test_a_topic_of_others_is_not_adopted(start, tenants, workloads, pubsub):
    tenant = await tenants.create()
    name, uid = tenant["metadata"]["name"], tenant["metadata"]["uid"]
    topic = Topic(names.topic("guestpost-dev", name, uid), {"owner": "somebody"}, ("us-central1",))
    await pubsub.create_topic(topic)
    await start()
    stalled = await tenants.wait(name, "Stalled", "True", "MessagingTaken")
    assert "not adopted" in condition(stalled, "MessagingReady")["message"]
    assert (await pubsub.get_topic(topic.name)).labels == {"owner": "somebody"}
    await pubsub.delete_topic(topic.name)
    await tenants.wait(name, "Ready")


async def test_a_subscription_of_others_is_not_adopted(start, tenants, workloads, pubsub):
    tenant = await tenants.create()
    name, uid = tenant["metadata"]["name"], tenant["metadata"]["uid"]
    other = Topic(f"projects/guestpost-dev/topics/other-{uid[:8]}", {"owner": "somebody"}, ("us-central1",))
    await pubsub.create_topic(other)
    mine = names.subscription("guestpost-dev", name, uid)
    await pubsub.create_subscription(Subscription(mine, other.name, {"tenant-uid": "another"}))
    await start()
    stalled = await tenants.wait(name, "Stalled", "True", "MessagingTaken")
    assert "belongs to the tenant with uid another" in condition(stalled, "MessagingReady")["message"]
    assert (await pubsub.get_subscription(mine)).topic == other.name
    await pubsub.delete_subscription(mine)
    await tenants.wait(name, "Ready")
    await pubsub.delete_topic(other.name)


async def blocked_writes(start, tenants, path):
    """A tenant of which everything is made but what is written at `path`, and the operator that made it."""
    running = await start()
    running.cluster.fault = lambda method, asked: (
        RefusedError("injected") if method in {"POST", "PATCH"} and asked.endswith(path) else None
    )
    tenant = await tenants.create()
    await tenants.wait(tenant["metadata"]["name"], "Stalled", "True", "Refused")
    return running, tenant


@pytest.mark.parametrize("labels", [{}, {names.LABEL_TENANT_UID: "another"}])
async def test_a_database_of_others_is_not_adopted(start, tenants, workloads, admin, labels):
    running, tenant = await blocked_writes(start, tenants, "/clusters/db")
    name = tenant["metadata"]["name"]
    metadata = {"name": "db", "namespace": f"gpt-{name}", "labels": labels}
    foreign = {"apiVersion": CLUSTER.api_version, "kind": "Cluster", "metadata": metadata}
    await admin.create(CLUSTER, foreign | {"spec": {"instances": 1, "imageName": "theirs"}})
    running.cluster.fault = lambda method, path: None
    stalled = await tenants.wait(name, "Stalled", "True", "DatabaseTaken")
    whose = "uid another" if labels else "made by somebody else"
    assert whose in condition(stalled, "DatabaseReady")["message"]
    assert (await admin.get(CLUSTER, "db", f"gpt-{name}"))["spec"]["imageName"] == "theirs"
    assert "database" not in stalled["status"]

    # A person says that it is the tenant's: then it becomes what it has to be.
    mark = {names.LABEL_TENANT_UID: tenant["metadata"]["uid"]}
    await admin.merge(CLUSTER, "db", f"gpt-{name}", {"metadata": {"labels": mark}})
    await tenants.wait(name, "Ready")
    assert (await admin.get(CLUSTER, "db", f"gpt-{name}"))["spec"]["imageName"] != "theirs"


@pytest.mark.promise("P8.1")
async def test_a_secret_that_somebody_else_knows_is_not_adopted(start, tenants, workloads, admin):
    running, tenant = await blocked_writes(start, tenants, "/secrets")
    name = tenant["metadata"]["name"]
    known = {"metadata": {"name": "crm-keys", "namespace": f"gpt-{name}"}, "data": {"tenant-key": "a25vd24="}}
    # Not by `create`, which writes in the operator's name.
    await admin.request("POST", SECRET.path(f"gpt-{name}"), {"apiVersion": "v1", "kind": "Secret", **known})
    running.cluster.fault = lambda method, path: None
    stalled = await tenants.wait(name, "Stalled", "True", "SecretTaken")
    assert "may know what is in it" in condition(stalled, "Ready")["message"]
    await admin.delete(SECRET, "crm-keys", f"gpt-{name}", None)
    await tenants.wait(name, "Ready")


async def test_a_database_that_only_lost_its_label_is_ours(start, tenants, workloads, admin):
    await start()
    tenant = await tenants.create()
    name, uid = tenant["metadata"]["name"], tenant["metadata"]["uid"]
    before = (await tenants.wait(name, "Ready"))["status"]["database"]["uid"]
    await admin.merge(CLUSTER, "db", f"gpt-{name}", {"metadata": {"labels": {names.LABEL_TENANT_UID: None}}})

    async def back():
        found = await admin.get(CLUSTER, "db", f"gpt-{name}")
        return found["metadata"]["labels"].get(names.LABEL_TENANT_UID) == uid

    await tenants.eventually(back, "the label to come back")
    assert (await tenants.wait(name, "Ready"))["status"]["database"]["uid"] == before


@pytest.mark.parametrize(
    ("spec", "reason", "hint"),
    [
        ({"plan": "Scale"}, "UnknownPlan", "Growth, Starter"),
        ({"region": "asia-east1"}, "UnknownRegion", "europe-west1, us-central1"),
        ({"googleProject": "nobodys-project"}, "UnknownGoogleProject", "guestpost-dev, guestpost-two"),
    ],
)
async def test_what_the_installation_lacks_is_named(start, tenants, admin, spec, reason, hint):
    await start()
    name = (await tenants.create(**spec))["metadata"]["name"]
    tenant = await tenants.wait(name, "Stalled", "True", reason)
    assert hint in condition(tenant, "Ready")["message"]
    assert await admin.get(NAMESPACE, f"gpt-{name}") is None


async def test_the_oldest_claim_to_a_host_name_wins(start, tenants, workloads, admin):
    first = await tenants.create("zz-older", hostname="crm.acme.example")
    await asyncio.sleep(1.1)  # creation times have whole seconds
    await tenants.create("aa-younger", hostname="crm.acme.example")
    assert first["metadata"]["creationTimestamp"]
    await start()
    await tenants.wait("zz-older", "Ready")
    tenant = await tenants.wait("aa-younger", "Stalled", "True", "HostnameTaken")
    assert "zz-older" in condition(tenant, "Ready")["message"]
    await tenants.delete("zz-older")
    await tenants.wait("aa-younger", "Ready")


async def image(admin, name):
    deployment = await admin.get(DEPLOYMENT, "web", f"gpt-{name}")
    return deployment["spec"]["template"]["spec"]["containers"][0]["image"]


async def test_new_values_move_no_tenant_by_themselves(start, tenants, workloads, admin, configure):
    new = {"tenants__images__crm": "guestpost.local/crm:2.0.0"}
    first = await start()
    old = (await tenants.create())["metadata"]["name"]
    revision = (await tenants.wait(old, "Ready"))["status"]["revision"]
    await asyncio.to_thread(first.stop)

    second = await start(configure(**new, rollout={"strategy": "Hold"}))
    fresh = (await tenants.create())["metadata"]["name"]
    assert (await tenants.wait(fresh, "Ready"))["status"]["revision"] != revision
    assert await image(admin, fresh) == "guestpost.local/crm:2.0.0"
    assert condition(await tenants.get(old), "UpgradeBlocked")["status"] == "False"
    # A change of the tenant's own spec is rendered from the revision that it is pinned to.
    await tenants.patch(old, spec={"owner": {"name": "Another Name"}})
    assert (await tenants.wait(old, "Ready"))["status"]["revision"] == revision
    assert await image(admin, old) == "guestpost.local/crm:1.0.0"
    await asyncio.to_thread(second.stop)

    await start(configure(**new, rollout={"strategy": "Immediate"}))

    async def moved():
        return await image(admin, old) == "guestpost.local/crm:2.0.0"

    await tenants.eventually(moved, "the tenant to move")
    assert (await tenants.wait(old, "Ready"))["status"]["revision"] != revision


async def test_a_lost_revision_stops_changes_and_not_the_tenant(start, tenants, workloads, admin, configure):
    first = await start(configure(tenants__supportContact="first"))
    name = (await tenants.create())["metadata"]["name"]
    revision = (await tenants.wait(name, "Ready"))["status"]["revision"]
    await asyncio.to_thread(first.stop)
    stored = await admin.get(CONFIG_MAP, f"guestpost-revision-{revision}", "guestpost-system")
    await admin.delete(CONFIG_MAP, f"guestpost-revision-{revision}", "guestpost-system", None)

    await start(configure(tenants__supportContact="second", rollout={"strategy": "Hold"}))
    tenant = await tenants.wait(name, "Stalled", "True", "RevisionUnusable")
    assert "restore it from a backup" in condition(tenant, "Ready")["message"]
    assert await admin.get(DEPLOYMENT, "web", f"gpt-{name}")

    metadata = {key: stored["metadata"][key] for key in ("name", "namespace", "labels")}
    forged = {**stored, "metadata": metadata, "data": {**stored["data"], "sync.yaml.j2": ""}}
    await admin.create(CONFIG_MAP, forged)
    await tenants.patch(name, metadata={"annotations": {names.ANNOTATION_REQUESTED: "1"}})
    await tenants.wait(name, "Stalled", "True", "RevisionUnusable")
    assert await admin.get(DEPLOYMENT, "sync", f"gpt-{name}")

    await admin.delete(CONFIG_MAP, metadata["name"], "guestpost-system", None)
    await admin.create(CONFIG_MAP, {**stored, "metadata": metadata})
    await tenants.patch(name, metadata={"annotations": {names.ANNOTATION_REQUESTED: "2"}})
    await tenants.wait(name, "Ready")


async def test_an_api_that_the_cluster_lacks_is_named(start, tenants, workloads, configure):
    routing = {"kind": "HTTPRoute", "domain": "crm.test", "gateway": {"name": "g", "namespace": "gw"}}
    await start(configure(tenants__routing=routing))
    name = (await tenants.create())["metadata"]["name"]
    tenant = await tenants.wait(name, "Ready", "False", "NotFound")
    assert "installed in this cluster" in condition(tenant, "ApplicationReady")["message"]
    assert BY_NAME["HTTPRoute"].optional
