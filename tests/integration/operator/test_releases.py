"""Releases: canaries, a soak, waves; halted by a failure; the database first; back again."""

import asyncio

import pytest
from guestpost_operator import revision
from guestpost_operator.api import names
from guestpost_operator.backends.errors import UnavailableError
from guestpost_operator.backends.kinds import CONFIG_MAP, DEPLOYMENT, JOB
from guestpost_operator.lifecycle import rollouts
from prometheus_client import REGISTRY

QUICK = {"canarySoakSeconds": 0, "waveSoakSeconds": 0, "failAfterSeconds": 2, "waveSize": 2}


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(rollouts, "EVERY_SECONDS", 0.2)


def condition(tenant, kind):
    return next(each for each in tenant["status"]["conditions"] if each["type"] == kind)


def release(version, **rollout):
    return {"tenants__images__crm": f"guestpost.local/crm:{version}", "rollout": {**QUICK, **rollout}}


async def image(admin, name, workload="web"):
    deployment = await admin.get(DEPLOYMENT, workload, f"gpt-{name}")
    return deployment["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")[2]


async def fleet(tenants, count, **spec):
    made = [(await tenants.create(**spec))["metadata"]["name"] for _ in range(count)]
    for name in made:
        await tenants.wait(name, "Ready")
    return made


async def at(tenants, admin, name, version):
    async def there():
        tenant = await tenants.get(name)
        status = tenant["status"]
        app = status.get("app", {})
        arrived = app.get("revision") == status.get("revision") and app.get("version") == version
        return tenant if arrived and condition(tenant, "Ready")["status"] == "True" else None

    found = await tenants.eventually(there, f"{name} to be at {version}")
    assert await image(admin, name) == await image(admin, name, "sync") == version
    return found


async def test_canaries_first_then_the_others_each_migrated_once_before_it_serves(
    start, tenants, workloads, admin, plane, configure
):
    first = await start(configure(**release("1.0.0")))
    [canary] = await fleet(tenants, 1, release={"channel": "Canary"})
    stable = await fleet(tenants, 3)
    await asyncio.to_thread(first.stop)

    mark = plane.audit.mark()
    await start(configure(**release("2.0.0", canarySoakSeconds=3)))
    await at(tenants, admin, canary, "2.0.0")
    assert {await image(admin, name) for name in stable} == {"1.0.0"}, "the canary's soak"
    for name in stable:
        status = (await at(tenants, admin, name, "2.0.0"))["status"]
        assert status["release"]["previousRevision"] != status["revision"]
    for name in (canary, *stable):
        ours = [
            f"{each.what.split()[1]} {each.name.partition('-')[0]}"
            for each in plane.audit.writes(mark)
            if each.agent == "guestpost-operator" and each.namespace == f"gpt-{name}" and each.code == 201
        ]
        assert ours == ["jobs migrate"], "once, and nothing else is made"
        writes = [each for each in plane.audit.writes(mark) if each.namespace == f"gpt-{name}"]
        names = [each.name for each in writes if each.agent == "guestpost-operator" and each.code < 300]
        assert names.index("web") > next(n for n, each in enumerate(names) if each.startswith("migrate-"))
    # What is through leaves nothing behind.
    assert await admin.find(JOB, f"gpt-{canary}") == []


async def test_a_migration_that_fails_leaves_the_old_crm_and_halts_the_rollout(
    start, tenants, workloads, admin, configure
):
    first = await start(configure(**release("1.0.0")))
    [canary] = await fleet(tenants, 1, release={"channel": "Canary"})
    [stable] = await fleet(tenants, 1)
    before = (await tenants.get(canary))["status"]["revision"]
    await asyncio.to_thread(first.stop)

    workloads.judge = lambda obj, status: {"active": 1} if obj["kind"] == "Job" else status
    second = await start(configure(**release("2.0.0")))
    tenant = await tenants.wait(canary, "UpgradeBlocked", "True", "UpgradeFailed")
    assert "Job migrate" in condition(tenant, "UpgradeBlocked")["message"]
    assert (condition(tenant, "Ready")["status"], tenant["status"]["app"]["version"]) == ("True", "1.0.0")
    assert await image(admin, canary) == await image(admin, canary, "sync") == "1.0.0"
    held = await tenants.wait(stable, "UpgradeBlocked", "True", "RolloutHalted")
    assert canary in condition(held, "UpgradeBlocked")["message"]
    assert condition(held, "Ready")["status"] == "True"
    await asyncio.to_thread(second.stop)

    # The chart is rolled back: nothing is blocked any more, and nobody else has noticed.
    await start(configure(**release("1.0.0")))
    await at(tenants, admin, canary, "1.0.0")

    async def arrived():
        status = (await tenants.get(canary))["status"]
        return status if "arrivedAt" in status["release"] else None

    status = await tenants.eventually(arrived, "the status to say that it is back")
    assert status["revision"] == status["app"]["revision"] == before
    assert status["release"]["previousRevision"] == tenant["status"]["revision"] != before
    assert status["release"]["arrivedAt"] >= status["release"]["movedAt"]
    for name in (canary, stable):
        await tenants.wait(name, "UpgradeBlocked", "False")
    assert "release" not in (await tenants.get(stable))["status"], "it was never moved"


async def test_a_tenant_that_fails_is_brought_back_by_its_version(
    start, tenants, workloads, admin, configure
):
    first = await start(configure(**release("21.0.0")))
    [bad, good] = await fleet(tenants, 2, release={"channel": "Canary"})
    await asyncio.to_thread(first.stop)

    def judge(obj, status):
        new = str(obj["spec"].get("template", "")).find("crm:22.0.0") >= 0
        ill = obj["kind"] == "Deployment" and obj["metadata"]["namespace"] == f"gpt-{bad}" and new
        return status | {"availableReplicas": None} if ill else status

    workloads.judge = judge
    await start(configure(**release("22.0.0")))
    await tenants.wait(bad, "UpgradeBlocked", "True", "UpgradeFailed")
    await at(tenants, admin, good, "22.0.0")
    await tenants.patch(bad, spec={"release": {"channel": "Pinned", "version": "21.0.0"}})
    tenant = await at(tenants, admin, bad, "21.0.0")
    assert condition(tenant, "UpgradeBlocked")["status"] == "False"

    await tenants.patch(bad, spec={"release": {"channel": "Pinned", "version": "9.9.9"}})
    tenant = await tenants.wait(bad, "UpgradeBlocked", "True", "UnknownVersion")
    assert "21.0.0, 22.0.0" in condition(tenant, "UpgradeBlocked")["message"]
    assert await image(admin, bad) == "21.0.0"
    fresh = (await tenants.create(release={"channel": "Pinned", "version": "9.9.9"}))["metadata"]["name"]
    await tenants.wait(fresh, "Stalled", "True", "UnknownVersion")
    await tenants.patch(fresh, spec={"release": {"channel": "Pinned", "version": "21.0.0"}})
    await at(tenants, admin, fresh, "21.0.0")


async def test_the_same_templates_and_values_restart_nobody(
    start, tenants, workloads, admin, plane, configure
):
    first = await start(configure(**release("1.0.0")))
    names = await fleet(tenants, 2)
    await asyncio.to_thread(first.stop)
    mark = plane.audit.mark()
    # Another operator, with what only concerns itself changed.
    await start(configure(**release("1.0.0", waveSize=7), operator__resyncSeconds=1800))
    other = (await tenants.create())["metadata"]["name"]
    await tenants.wait(other, "Ready")
    ours = [each for each in plane.audit.writes(mark) if each.agent == "guestpost-operator"]
    assert [each for each in ours if any(name in (each.name, each.namespace[4:]) for name in names)] == []


async def test_who_sleeps_is_migrated_when_it_wakes(start, tenants, workloads, admin, plane, configure):
    first = await start(configure(**release("1.0.0")))
    [name] = await fleet(tenants, 1)
    await tenants.patch(name, spec={"state": "Hibernated"})
    await tenants.wait(name, "Ready", "True", "Hibernated")
    await asyncio.to_thread(first.stop)
    mark = plane.audit.mark()
    await start(configure(**release("2.0.0")))

    async def moved():
        return (await tenants.get(name))["status"].get("release")

    await tenants.eventually(moved, "it to be given the new revision")
    assert await image(admin, name) == "1.0.0"
    await tenants.patch(name, spec={"state": "Running"})
    await at(tenants, admin, name, "2.0.0")
    writes = [each.name for each in plane.audit.writes(mark) if each.agent == "guestpost-operator"]
    migrated = next(n for n, each in enumerate(writes) if each.startswith("migrate-"))
    assert min(n for n, each in enumerate(writes) if each in ("web", "sync") and n > migrated) > migrated
    assert (await admin.get(DEPLOYMENT, "web", f"gpt-{name}"))["spec"]["replicas"] == 1


async def stored(admin):
    """When each stored revision of these tests' versions was last used; None when it is in use."""
    found = await admin.find(CONFIG_MAP, "guestpost-system", names.LABEL_REVISION)
    notes = [each["metadata"].get("annotations") or {} for each in found]
    return {each.get(names.ANNOTATION_VERSION): each.get(names.ANNOTATION_UNUSED) for each in notes}


async def test_a_revision_goes_when_nobody_has_needed_it_for_long(
    start, tenants, workloads, admin, configure, monkeypatch
):
    monkeypatch.setattr(rollouts, "TIDY_AFTER", 1)
    first = await start(configure(**release("11.0.0")))
    [follower, pinned] = await fleet(tenants, 2)
    await tenants.patch(pinned, spec={"release": {"channel": "Pinned", "version": "11.0.0"}})
    await asyncio.to_thread(first.stop)
    for version in ("12.0.0", "13.0.0", "14.0.0"):
        last = await start(configure(**release(version)))
        await at(tenants, admin, follower, version)
        await asyncio.to_thread(last.stop)

    # Kept for a month: what nobody uses is marked, and only that.
    lenient = await start(configure(**release("14.0.0")))

    async def marked():
        found = await stored(admin)
        return found if found["12.0.0"] else None

    found = await tenants.eventually(marked, "12.0.0 to be marked")
    assert [found[each] for each in ("11.0.0", "13.0.0", "14.0.0")] == [None, None, None]
    # A person may still go there, and takes the mark away.
    await tenants.patch(pinned, spec={"release": {"version": "12.0.0"}})
    await at(tenants, admin, pinned, "12.0.0")

    async def taken_back():
        return (await stored(admin))["12.0.0"] is None

    await tenants.eventually(taken_back, "the mark to go")
    await tenants.patch(pinned, spec={"release": {"channel": "Stable", "version": None}})
    await at(tenants, admin, pinned, "14.0.0")
    await asyncio.to_thread(lenient.stop)

    # Kept for no time at all: where the two came from stays, what is before that goes.
    strict = await start(configure(**release("14.0.0", keepRevisionsDays=0)))

    async def gone():
        found = await stored(admin)
        return found if "11.0.0" not in found else None

    assert {"12.0.0", "13.0.0", "14.0.0"} <= (await tenants.eventually(gone, "11.0.0 to go")).keys()
    await tenants.patch(pinned, spec={"release": {"channel": "Pinned", "version": "11.0.0"}})
    await tenants.wait(pinned, "UpgradeBlocked", "True", "UnknownVersion")
    await asyncio.to_thread(strict.stop)
    # Installed again, it is known again.
    config = configure(**release("11.0.0"))
    await start(config)
    await at(tenants, admin, pinned, "11.0.0")
    kept = await admin.get(CONFIG_MAP, revision.current(config).config_map, "guestpost-system")
    assert kept["metadata"]["annotations"].get(names.ANNOTATION_UNUSED) is None


SYSTEM = "guestpost-system"


class People:
    """Those who pause the rollout, and what they see of it."""

    def __init__(self, admin, tenants):
        self._admin, self._eventually = admin, tenants.eventually

    async def say(self, paused, reason=""):
        data = {"paused": paused, "reason": reason}
        await self._admin.merge(CONFIG_MAP, names.ROLLOUT, SYSTEM, {"data": data})

    async def stage(self, stage):
        async def told():
            return REGISTRY.get_sample_value("guestpost_rollout_stage", {"stage": stage})

        await self._eventually(told, f"the operator to tell that it is {stage}")

    async def planned(self, running, times=15):
        """Wait until the operator has looked, and so planned, so many times more."""
        looks = 0
        before = running.cluster.fault

        def count(method, path):
            nonlocal looks
            looks += path.endswith(f"/configmaps/{names.ROLLOUT}")
            return before(method, path)

        async def enough():
            return looks > times

        running.cluster.fault = count
        await self._eventually(enough, "the operator to plan")


@pytest.fixture
async def people(admin, tenants):
    yield People(admin, tenants)
    await admin.delete(CONFIG_MAP, names.ROLLOUT, SYSTEM, None)


async def moved(tenants, made):
    statuses = {name: (await tenants.get(name))["status"] for name in made}
    return {name for name, status in statuses.items() if "release" in status}


async def test_a_pause_in_a_wave_stops_it_outlives_the_operator_and_is_resumed(
    start, tenants, workloads, admin, configure, people
):
    first = await start(configure(**release("31.0.0")))
    made = await fleet(tenants, 5)
    await asyncio.to_thread(first.stop)
    config = configure(**release("32.0.0", waveSize=1, waveSoakSeconds=1))
    second = await start(config)

    async def begun():
        return len(await moved(tenants, made)) > 1

    await tenants.eventually(begun, "the waves to begin")
    await people.say("true", "Ticket 7: mail stands still")
    await people.stage("Paused")
    before = await moved(tenants, made)
    assert len(before) < 5
    for name in before:
        # Those on the way finish.
        await at(tenants, admin, name, "32.0.0")
    await people.planned(second)
    await asyncio.to_thread(second.stop)
    third = await start(config)
    await people.planned(third)
    assert await moved(tenants, made) == before
    for name in set(made) - before:
        await at(tenants, admin, name, "31.0.0")
    # A person's own word goes before it.
    [other, *_] = before
    await tenants.patch(other, spec={"release": {"channel": "Pinned", "version": "31.0.0"}})
    await at(tenants, admin, other, "31.0.0")

    await people.say("false")
    for name in set(made) - {other}:
        await at(tenants, admin, name, "32.0.0")


async def test_a_look_that_fails_and_who_deletes_it_end_no_pause_and_strange_words_are_one(
    start, tenants, workloads, admin, configure, people
):
    first = await start(configure(**release("41.0.0")))
    made = await fleet(tenants, 2)
    await people.say("yes", "Ticket 8")
    await asyncio.to_thread(first.stop)
    second = await start(configure(**release("42.0.0")))
    await people.stage("Paused")
    await admin.delete(CONFIG_MAP, names.ROLLOUT, SYSTEM, None)

    async def again():
        return await admin.get(CONFIG_MAP, names.ROLLOUT, SYSTEM)

    data = (await tenants.eventually(again, "the operator to make it again"))["data"]
    assert data["paused"] == "true"
    assert "'yes', and neither true nor false. Ticket 8" in data["reason"]

    def away(method, path):
        return UnavailableError("away") if path.endswith(f"/configmaps/{names.ROLLOUT}") else None

    second.cluster.fault = away
    await people.say("false")
    await people.planned(second)
    assert await moved(tenants, made) == set()
    second.cluster.fault = lambda method, path: None
    for name in made:
        await at(tenants, admin, name, "42.0.0")
