"""Nothing is made without our finalizer, and a refusal of it is told: kopf keeps quiet about one."""

import pytest
from guestpost_operator.api import names
from guestpost_operator.backends.errors import InvalidError
from guestpost_operator.backends.kinds import NAMESPACE, TENANT, Kind
from guestpost_operator.lifecycle import controller, finalizer

GROUP = "admissionregistration.k8s.io/v1"
POLICY = Kind(GROUP, "ValidatingAdmissionPolicy", "validatingadmissionpolicies", namespaced=False)
BINDING = Kind(
    GROUP, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", namespaced=False
)
NAME = "finalizers-stay"


@pytest.fixture
async def stays(admin, tenants):
    """While it is there, the API server answers 422 to each change of a tenant's finalizers."""

    def body(kind, spec):
        return {"apiVersion": GROUP, "kind": kind.name, "metadata": {"name": NAME}, "spec": spec}

    async def remove():
        for kind in (BINDING, POLICY):
            await admin.delete(kind, NAME, None, None)

    rule = {"apiGroups": [names.GROUP], "apiVersions": ["*"], "resources": [names.TENANTS]}
    same = "object.metadata.?finalizers.orValue([]) == oldObject.metadata.?finalizers.orValue([])"
    policy = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [{**rule, "operations": ["UPDATE"]}]},
        "validations": [{"expression": same, "message": "finalizers stay", "reason": "Invalid"}],
    }
    probe = await tenants.create()

    async def made():
        await admin.create(POLICY, body(POLICY, policy))
        await admin.create(BINDING, body(BINDING, {"policyName": NAME, "validationActions": ["Deny"]}))
        await tenants.eventually(in_force, "the policy to be in force")

    async def in_force():
        try:
            await admin.request(
                "PATCH",
                TENANT.path(name=probe["metadata"]["name"]),
                {"metadata": {"finalizers": ["example.com/probe"]}},
                query={"dryRun": "All"},
                content_type="application/merge-patch+json",
            )
        except InvalidError as error:
            return "finalizers stay" in str(error)
        return False

    yield made, remove
    await remove()


def condition(tenant, kind):
    return next(each for each in tenant["status"]["conditions"] if each["type"] == kind)


async def test_a_refused_finalizer_is_told_and_nothing_is_made(
    start, tenants, workloads, admin, stays, plane, monkeypatch
):
    monkeypatch.setattr(controller, "FINALIZER_SECONDS", 0.5)
    refuse, allow = stays
    await refuse()
    await start()
    mark = plane.audit.mark()
    name = (await tenants.create())["metadata"]["name"]
    stalled = await tenants.wait(name, "Stalled", "True", "FinalizerRefused")
    assert "finalizers stay" in condition(stalled, "Ready")["message"]
    assert stalled["metadata"].get("finalizers", []) == []
    assert await admin.get(NAMESPACE, f"gpt-{name}") is None
    ours = [
        each for each in plane.audit.writes(mark) if each.agent == "guestpost-operator" and each.code < 300
    ]
    assert {each.what for each in ours} <= {"patch guestposttenants/status", "create events"}

    # Without any change of the tenant it goes on once it may.
    await allow()
    tenant = await tenants.wait(name, "Ready")
    assert tenant["metadata"]["finalizers"] == [names.FINALIZER]


async def test_a_finalizer_that_may_not_go_is_told(start, tenants, workloads, admin, stays):
    refuse, allow = stays
    await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    await refuse()
    await tenants.delete(name)
    tenant = await tenants.wait(name, "DeletionBlocked", "True", "FinalizerRefused")
    assert "everything is erased" in condition(tenant, "DeletionBlocked")["message"]
    assert tenant["status"]["deletion"]["blockedBy"] == "Finalizer"
    assert await admin.get(NAMESPACE, f"gpt-{name}") is None
    await allow()
    await tenants.wait_gone(name)


async def test_finalizers_of_others_stay(start, tenants, workloads):
    await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    await tenants.patch(name, metadata={"finalizers": [names.FINALIZER, "example.com/mine"]})
    await tenants.delete(name)

    async def released():
        return (await tenants.get(name))["metadata"]["finalizers"] == ["example.com/mine"]

    await tenants.eventually(released, "our finalizer to go")


async def test_a_finalizer_that_a_person_removes_comes_back(start, tenants, workloads):
    await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    await tenants.patch(name, metadata={"finalizers": None})

    async def back():
        return names.FINALIZER in (await tenants.get(name))["metadata"].get("finalizers", [])

    await tenants.eventually(back, "our finalizer to come back")


@pytest.mark.promise("P9.2")
async def test_what_ends_an_erasure_does_not_touch_a_new_tenant_of_that_name(
    start, tenants, workloads, plane, monkeypatch
):
    """kopf patches once more after an erasure; by then the name may be another tenant's."""
    # As other operators leave it, or a backup that was put back.
    left = {"annotations": {f"{names.GROUP}/erase": '{"retries": 3}'}}
    body = await tenants.create()
    name = body["metadata"]["name"]
    await tenants.patch(name, metadata=left)
    marks, removing = [], finalizer.remove

    async def remove(cluster, old):
        await removing(cluster, old)
        paused = {"annotations": {**left["annotations"], names.ANNOTATION_PAUSED: "true"}}
        metadata = {"name": name, "finalizers": [names.FINALIZER], **paused}
        await cluster.create(TENANT, {**body, "metadata": metadata})
        marks.append(plane.audit.mark())

    monkeypatch.setattr(finalizer, "remove", remove)
    await start()
    await tenants.wait(name, "Ready")
    await tenants.delete(name)

    async def patched():
        writes = plane.audit.writes(marks[0]) if marks else ()
        return [each.code for each in writes if each.agent.startswith("kopf") and each.name == name]

    codes = await tenants.eventually(patched, "kopf to patch once more")
    assert [code for code in codes if code < 300] == []
    metadata = (await tenants.wait(name, "Paused"))["metadata"]
    assert metadata["uid"] != body["metadata"]["uid"]
    assert metadata["finalizers"] == [names.FINALIZER]
    assert metadata["annotations"].items() >= left["annotations"].items()
