"""The real process, killed while it provisions: started again, the end is the same; and what it says."""

from __future__ import annotations

import pytest
from guestpost_operator.api import names
from guestpost_operator.backends.kinds import CLUSTER, NAMESPACE, OWNED, SECRET
from operator_process import Process

TENANTS = 4


@pytest.fixture
def process(addresses, tmp_path, configure):
    made = Process(tmp_path, configure())
    yield made
    made.stop()


async def found(admin, tenant):
    """Kind, name and uid of all that is the tenant's."""
    selector = f"{names.LABEL_TENANT_UID}={tenant['metadata']['uid']},{names.LABEL_MANAGED_BY}"
    kinds = [kind for kind in OWNED if not kind.optional or kind is CLUSTER]
    items = [each for kind in kinds for each in await admin.find(kind, None, selector)]
    return {
        (each["kind"], each["metadata"]["name"].replace(tenant["metadata"]["name"], "NAME")) for each in items
    }


async def test_killed_while_it_provisions(process, tenants, workloads, admin, pubsub, plane):
    mark = plane.audit.mark()
    process.start()
    made = [await tenants.create() for _ in range(TENANTS)]

    async def written(count):
        """Wait until the operator has made so many writes."""

        async def enough():
            ours = [each for each in plane.audit.writes(mark) if each.agent == "guestpost-operator"]
            return len(ours) >= count

        await tenants.eventually(enough, f"{count} writes")

    # In the first tenants' namespaces, in their Secrets, and in the middle of what follows.
    for count in (3, 30):
        await written(count)
        process.kill()
        keys = {
            each["metadata"]["name"]: await admin.get(SECRET, "crm-keys", f"gpt-{each['metadata']['name']}")
            for each in made
        }
        process.start()
    for each in made:
        await tenants.wait(each["metadata"]["name"], "Ready")

    contents = [await found(admin, each) for each in made]
    assert all(each == contents[0] for each in contents)
    assert len(contents[0]) > 15
    for each in made:
        name = each["metadata"]["name"]
        status = (await tenants.get(name))["status"]
        key = await admin.get(SECRET, "crm-keys", f"gpt-{name}")
        assert keys[name] is None or keys[name]["metadata"]["uid"] == key["metadata"]["uid"], "made once"
        subscription = await pubsub.get_subscription(status["messaging"]["subscription"])
        assert subscription.topic == status["messaging"]["topic"]

    # What it says of itself: one JSON object a line, with tenant and step, and metrics without names.
    lines = [line for line in process.lines() if line.get("event") in {"namespace created", "topic created"}]
    assert {line["step"] for line in lines} == {"namespace", "messaging"}
    assert {line["tenant"] for line in lines} == {each["metadata"]["name"] for each in made}
    ready = 'guestpost_tenants{phase="Running",state="Running"}'
    assert float(process.metric(ready)[0].rpartition(" ")[2]) >= TENANTS
    assert not [line for line in process.metric("") if made[0]["metadata"]["name"] in line]

    # Killed once more, while it erases.
    for each in made:
        await tenants.delete(each["metadata"]["name"])
    process.kill()
    process.start()
    for each in made:
        await tenants.wait_gone(each["metadata"]["name"])
        assert await admin.get(NAMESPACE, f"gpt-{each['metadata']['name']}") is None
