"""What cannot be done is said, with what to do about it; nothing that belongs to others is taken."""

import asyncio

import pytest
from guestpost_operator.api import names
from guestpost_operator.backends.kinds import BY_NAME, CONFIG_MAP, DEPLOYMENT, NAMESPACE
from guestpost_operator.backends.pubsub import Topic


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


async def test_states_of_later_releases_are_not_claimed(start, tenants, workloads):
    await start()
    name = (await tenants.create(state="Suspended", suspendReason="unpaid"))["metadata"]["name"]
    tenant = await tenants.wait(name, "Ready", "False", "StateNotSupported")
    assert "upgrade" in condition(tenant, "Ready")["message"]
    assert condition(tenant, "Isolated")["status"] == "Unknown"


async def image(admin, name):
    deployment = await admin.get(DEPLOYMENT, "web", f"gpt-{name}")
    return deployment["spec"]["template"]["spec"]["containers"][0]["image"]


async def test_new_values_move_no_tenant_by_themselves(start, tenants, workloads, admin, configure):
    new = {"tenants__images__crm": "guestpost.local/crm:2.0.0"}
    first = await start()
    old = (await tenants.create())["metadata"]["name"]
    revision = (await tenants.wait(old, "Ready"))["status"]["revision"]
    await asyncio.to_thread(first.stop)

    second = await start(configure(**new))
    fresh = (await tenants.create())["metadata"]["name"]
    assert (await tenants.wait(fresh, "Ready"))["status"]["revision"] != revision
    assert await image(admin, fresh) == "guestpost.local/crm:2.0.0"
    # A change of the tenant's own spec is rendered from the revision that it is pinned to.
    await tenants.patch(old, spec={"owner": {"name": "Another Name"}})
    assert (await tenants.wait(old, "Ready"))["status"]["revision"] == revision
    assert await image(admin, old) == "guestpost.local/crm:1.0.0"
    await asyncio.to_thread(second.stop)

    await start(configure(**new, rollout="Immediate"))

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

    await start(configure(tenants__supportContact="second"))
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
