"""Suspend, hibernate, resume: in order, from any state to any other, and nothing written at rest."""

import pytest
from guestpost_operator.api import names
from guestpost_operator.backends.kinds import CLUSTER, DEPLOYMENT, JOB, NAMESPACE, OWNED
from guestpost_operator.states import HIBERNATION
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

ASKED = {
    "Running": {"state": "Running", "suspendReason": None},
    "Suspended": {"state": "Suspended", "suspendReason": "The invoice of May is open"},
    "Hibernated": {"state": "Hibernated", "suspendReason": None},
}


def condition(tenant, kind):
    return next(each for each in tenant["status"]["conditions"] if each["type"] == kind)


async def ask(tenants, name, state):
    return await tenants.patch(name, spec=ASKED[state])


async def reach(tenants, name, state):
    await ask(tenants, name, state)
    tenant = await tenants.wait(name, "Ready", "True", state)
    assert tenant["status"]["phase"] == state
    return tenant


async def there(admin, name):
    """Replicas, hibernation and Jobs as the cluster holds them."""
    web, sync = [await admin.get(DEPLOYMENT, each, f"gpt-{name}") for each in ("web", "sync")]
    cluster = await admin.get(CLUSTER, "db", f"gpt-{name}")
    jobs = await admin.find(JOB, f"gpt-{name}")
    [container] = web["spec"]["template"]["spec"]["containers"]
    reasons = [each["value"] for each in container["env"] if each["name"] == "SUSPEND_REASON"]
    return {
        "web": web["spec"]["replicas"],
        "sync": sync["spec"]["replicas"],
        "hibernation": cluster["metadata"]["annotations"][HIBERNATION],
        "jobs": [each["metadata"]["name"].rpartition("-")[0] for each in jobs],
        "reasons": reasons,
    }


WANTED = {
    "Running": {"web": 1, "sync": 1, "hibernation": "off", "jobs": [], "reasons": []},
    "Suspended": {
        "web": 1,
        "sync": 0,
        "hibernation": "off",
        "jobs": ["pause"],
        "reasons": ["The invoice of May is open"],
    },
    "Hibernated": {"web": 0, "sync": 0, "hibernation": "on", "jobs": [], "reasons": []},
}


@pytest.mark.parametrize("state", ["Suspended", "Hibernated"])
async def test_a_tenant_may_begin_in_any_state(start, tenants, workloads, admin, state):
    await start()
    spec = {key: value for key, value in ASKED[state].items() if value}
    name = (await tenants.create(**spec))["metadata"]["name"]
    await tenants.wait(name, "Ready", "True", state)
    assert await there(admin, name) == WANTED[state]


async def objects(admin, tenant):
    """Kind and name of everything in the cluster that is the tenant's, a Job's name without its hash."""
    selector = f"{names.LABEL_TENANT_UID}={tenant['metadata']['uid']},{names.LABEL_MANAGED_BY}"
    kinds = [kind for kind in OWNED if not kind.optional or kind is CLUSTER]
    found = [each for kind in kinds for each in await admin.find(kind, None, selector)]
    own = tenant["metadata"]["name"]
    return {
        (each["kind"], each["metadata"]["name"].rpartition("-")[0])
        if each["kind"] == "Job"
        else (each["kind"], each["metadata"]["name"].replace(own, "NAME"))
        for each in found
    }


async def test_any_sequence_of_states_ends_like_the_last_one_alone(start, tenants, workloads, admin):
    """Asked for one after the other, without waiting for what was asked before."""
    await start()
    alone = {}
    for state, asked in ASKED.items():
        spec = {key: value for key, value in asked.items() if value}
        tenant = await tenants.create(**spec)
        tenant = await tenants.wait(tenant["metadata"]["name"], "Ready", "True", state)
        alone[state] = await objects(admin, tenant)
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")

    drawn = []

    @settings(max_examples=8, derandomize=True, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(st.lists(st.tuples(st.sampled_from(list(ASKED)), st.booleans()), min_size=2, max_size=5))
    def draw(sequence):
        drawn.append(sequence)

    draw()
    for sequence in drawn:
        for state, wait in sequence:
            await (reach if wait else ask)(tenants, name, state)
        last = sequence[-1][0]
        tenant = await tenants.wait(name, "Ready", "True", last)
        assert await there(admin, name) == WANTED[last], sequence
        assert await objects(admin, tenant) == alone[last], sequence


async def test_each_state_costs_no_writes_at_rest(start, tenants, workloads, admin, plane):
    await start()
    name = (await tenants.create())["metadata"]["name"]
    for number, state in enumerate(("Suspended", "Hibernated", "Running")):
        await reach(tenants, name, state)
        mark = plane.audit.mark()
        await tenants.patch(name, metadata={"annotations": {names.ANNOTATION_REQUESTED: str(number)}})
        # Another change that is answered comes after it.
        other = (await tenants.create())["metadata"]["name"]
        await tenants.wait(other, "Ready")
        ours = [
            each
            for each in plane.audit.writes(mark)
            if each.agent == "guestpost-operator" and (f"gpt-{name}" in each.namespace or name == each.name)
        ]
        assert ours == [], state


async def test_hibernating_and_waking_go_in_order(start, tenants, workloads, admin, plane):
    await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    mark = plane.audit.mark()
    await reach(tenants, name, "Hibernated")
    down = order(plane, mark, name)
    assert down.index("create jobs pause") > max(
        down.index(f"patch deployments {each}") for each in ("web", "sync")
    )
    assert down.index("patch clusters db") > down.index("create jobs pause")

    mark = plane.audit.mark()
    await reach(tenants, name, "Running")
    up = order(plane, mark, name)
    assert up.index("patch clusters db") < min(
        up.index(f"patch deployments {each}") for each in ("web", "sync")
    )


def order(plane, mark, name):
    """Our own writes in the tenant's namespace, a Job's name without its hash."""
    writes = [each for each in plane.audit.writes(mark) if each.agent == "guestpost-operator"]
    found = []
    for each in writes:
        if each.namespace == f"gpt-{name}" and each.code < 300:
            what = each.what if each.code != 201 else each.what.replace("patch", "create")
            found.append(f"{what} {each.name.rpartition('-')[0] if 'jobs' in each.what else each.name}")
    return found


async def test_messaging_is_looked_at_before_the_app_wakes(start, tenants, workloads, admin, pubsub, standin):
    await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    tenant = await reach(tenants, name, "Hibernated")
    messaging = tenant["status"]["messaging"]
    await pubsub.delete_topic(messaging["topic"])
    standin_away = standin.stop
    standin_away()
    try:
        await ask(tenants, name, "Running")
        tenant = await tenants.wait(name, "ApplicationReady", "False", "Waking")
        await tenants.wait(name, "DatabaseReady", "True")
        tenant = await tenants.wait(name, "MessagingReady", "False", "Unavailable")
        assert tenant["status"]["phase"] == "Resuming"
        assert (await there(admin, name))["web"] == 0
    finally:
        standin.start()
    await tenants.wait(name, "Ready", "True", "Running")
    subscription = await pubsub.get_subscription(messaging["subscription"])
    assert subscription.topic == messaging["topic"]


async def test_from_a_degraded_database_the_app_stops_now_and_the_rest_is_said(
    start, tenants, workloads, admin
):
    await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    healthy = workloads.judge
    degraded = {"phase": "Failing over", "readyInstances": None, "conditions": []}
    workloads.judge = lambda obj, status: degraded if obj["kind"] == "Cluster" else status
    try:
        path = CLUSTER.path(f"gpt-{name}", "db") + "/status"
        await admin.request("PATCH", path, {"status": degraded}, content_type="application/merge-patch+json")
        await tenants.wait(name, "Ready", "False", "DatabaseNotReady")
        await ask(tenants, name, "Hibernated")
        tenant = await tenants.wait(name, "DatabaseReady", "False", "WaitsToHibernate")
        assert "Failing over" in condition(tenant, "DatabaseReady")["message"]

        async def stopped():
            now = await there(admin, name)
            return now["web"] == now["sync"] == 0 and now["hibernation"] == "off"

        await tenants.eventually(stopped, "the app to stop")
        assert (await tenants.get(name))["status"]["phase"] == "Hibernating"
    finally:
        workloads.judge = healthy
    # It heals, and hibernates by itself.
    path = CLUSTER.path(f"gpt-{name}", "db") + "/status"
    await admin.request(
        "PATCH", path, {"status": {"phase": "x"}}, content_type="application/merge-patch+json"
    )
    await tenants.wait(name, "Ready", "True", "Hibernated")


async def test_a_job_that_does_not_come_to_its_end_is_named(start, tenants, workloads, admin):
    await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    workloads.judge = lambda obj, status: {"active": 1} if obj["kind"] == "Job" else status
    await ask(tenants, name, "Suspended")
    tenant = await tenants.wait(name, "ApplicationReady", "False", "NotificationsNotStopped")
    assert "logs of Job pause" in condition(tenant, "Ready")["message"]
    assert (await there(admin, name))["sync"] == 0
    # Taken back: what runs is what is asked for, and the Job is gone.
    await reach(tenants, name, "Running")
    assert await there(admin, name) == WANTED["Running"]


async def test_somebody_elses_hibernation_is_undone(start, tenants, workloads, admin):
    await start()
    name = (await tenants.create())["metadata"]["name"]
    await tenants.wait(name, "Ready")
    await admin.merge(CLUSTER, "db", f"gpt-{name}", {"metadata": {"annotations": {HIBERNATION: "on"}}})

    async def undone():
        return (await there(admin, name))["hibernation"] == "off"

    await tenants.eventually(undone, "the database to be awake")
    await tenants.wait(name, "Ready", "True", "Running")


@pytest.mark.parametrize("state", ["Suspended", "Hibernated"])
async def test_what_rests_is_erased_as_fully(start, tenants, workloads, admin, state):
    await start()
    name = (await tenants.create())["metadata"]["name"]
    await reach(tenants, name, state)
    await tenants.delete(name)
    await tenants.wait_gone(name)
    assert await admin.get(NAMESPACE, f"gpt-{name}") is None
