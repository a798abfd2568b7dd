"""Keys and passwords exchanged against a real API server, while the tenant runs."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from guestpost_operator.api import names
from guestpost_operator.backends.kinds import CLUSTER, DEPLOYMENT, SECRET
from guestpost_operator.credentials import EXCHANGED

ASK = names.ANNOTATION_ROTATE


class Vault:
    """What is seen of the keys of one tenant."""

    def __init__(self, admin: Any, tenants: Any, name: str) -> None:
        self.admin, self._tenants, self.name = admin, tenants, name
        self.namespace = f"gpt-{name}"

    async def ask(self, value: str) -> None:
        await self._tenants.patch(self.name, metadata={"annotations": {ASK: value}})

    async def wait(self, stage: str, **fields: str) -> dict[str, Any]:
        async def so() -> dict[str, Any] | None:
            keys = ((await self._tenants.get(self.name))["status"].get("keys")) or {}
            return keys if keys.items() >= {"stage": stage, **fields}.items() else None

        found: dict[str, Any] = await self._tenants.eventually(so, f"{stage} {fields}")
        return found

    async def read(self, name: str = names.SECRET_KEYS) -> dict[str, str]:
        secret = await self.admin.get(SECRET, name, self.namespace, whole=True)
        return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}

    async def stamp(self, deployment: str) -> str:
        found = await self.admin.get(DEPLOYMENT, deployment, self.namespace)
        annotations = found["spec"]["template"]["metadata"]["annotations"]
        return str(annotations["guestpostcrm.com/credentials"])

    async def expected_stamp(self, login: str) -> str:
        """Of sync: the Secrets that it uses."""
        uids = [
            (await self.admin.get(SECRET, name, self.namespace))["metadata"]["uid"]
            for name in (names.LOGINS[login], names.SECRET_KEYS)
        ]
        return hashlib.sha256("/".join(uids).encode()).hexdigest()[:16]

    async def mounted(self, deployment: str = "sync") -> str:
        """The Secret that its pods take their keys from."""
        found = await self.admin.get(DEPLOYMENT, deployment, self.namespace)
        volumes = {each["name"]: each for each in found["spec"]["template"]["spec"]["volumes"]}
        return str(volumes["keys"]["secret"]["secretName"])

    async def secrets(self) -> set[str]:
        return {each["metadata"]["name"] for each in await self.admin.find(SECRET, self.namespace)}

    async def url(self) -> str:
        found = await self.admin.get(DEPLOYMENT, "web", self.namespace)
        [container] = found["spec"]["template"]["spec"]["containers"]
        return next(str(each["value"]) for each in container["env"] if each["name"] == "DATABASE_URL")


@pytest.fixture
async def vault(tenants: Any, workloads: Any, admin: Any) -> Any:
    async def make(**spec: Any) -> Vault:
        name = (await tenants.create(**spec))["metadata"]["name"]
        await tenants.wait(name, "Ready")
        return Vault(admin, tenants, name)

    return make


@pytest.mark.promise("P8.1")
async def test_keys_and_passwords_are_exchanged_and_the_old_ones_go(
    start: Any, configure: Any, vault: Any, tenants: Any
) -> None:
    await start(configure(operator__keyOverlapSeconds=0))
    place = await vault()
    before, password = await place.read(), await place.read("db-credentials")
    await place.ask("monday")
    await place.wait("Rotated", requested="monday", login="crm_b")
    after = await place.read()
    assert set(after) == set(before)
    assert all(after[key] != before[key] for key in EXCHANGED)
    assert after["approval-key"] == before["approval-key"]
    assert (await place.read("db-credentials-b"))["username"] == "crm_b"
    assert (await place.url()).startswith("postgresql://crm_b:")

    async def renewed() -> bool:
        # The login that is not used any more has another password, and what runs is up to date.
        found = await place.read("db-credentials")
        return found["password"] != password["password"] and await place.stamp(
            "sync"
        ) == await place.expected_stamp("crm_b")

    await tenants.eventually(renewed, "another password for the idle login")
    assert await place.admin.get(SECRET, names.SECRET_KEYS_NEXT, place.namespace) is None
    await tenants.wait(place.name, "Ready")

    await place.ask("tuesday")
    again = await place.wait("Rotated", requested="tuesday")
    assert "login" not in again
    assert (await place.url()).startswith("postgresql://crm:")
    last = await place.read()
    assert all(last[key] not in (before[key], after[key]) for key in EXCHANGED)


@pytest.mark.promise("P8.1")
async def test_old_keys_verify_until_the_overlap_is_over(start: Any, vault: Any) -> None:
    await start()
    place = await vault()
    before = await place.read()
    await place.ask("monday")
    await place.wait("Switched")
    now = await place.read()
    for key in EXCHANGED:
        assert now[key] != before[key]
        assert now[f"{key}-fallbacks"] == before[key]


async def test_pods_of_different_keys_mount_secrets_of_different_names(
    start: Any, configure: Any, vault: Any, workloads: Any, tenants: Any
) -> None:
    """A kubelet gives a pod what it has read for a pod of before: of an immutable Secret it reads no more."""
    await start(configure(operator__keyOverlapSeconds=0))
    place = await vault()
    assert await place.mounted() == names.SECRET_KEYS
    rolled = []

    def noted(obj: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
        """Every pod template that there was: what it mounts."""
        if obj["kind"] == "Deployment":
            volumes = {each["name"]: each for each in obj["spec"]["template"]["spec"]["volumes"]}
            rolled.append((obj["metadata"]["name"], volumes["keys"]["secret"]["secretName"]))
        return status

    workloads.judge = noted
    await place.ask("monday")
    await place.wait("Rotated", requested="monday")

    async def one_left() -> bool:
        keys = (await place.admin.get(SECRET, names.SECRET_KEYS, place.namespace))["metadata"]["uid"]
        copies = await place.secrets() - {names.SECRET_KEYS, "web-tls", *names.LOGINS.values()}
        return copies == {names.mounted_keys(keys)}

    await tenants.eventually(one_left, "copies of before to go")
    for deployment in ("web", "sync"):
        used = [name for each, name in rolled if each == deployment and name != names.SECRET_KEYS]
        assert len(set(used)) == 3, "one for each stage"
        assert used[-1] == await place.mounted(deployment)
        assert await place.read(used[-1]) == await place.read()


async def test_no_stage_begins_before_all_programs_have_the_one_before(
    start: Any, configure: Any, vault: Any, workloads: Any, tenants: Any
) -> None:
    await start(configure(operator__keyOverlapSeconds=0))
    place = await vault()
    before = await place.read()
    rolled = []

    def stuck(obj: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
        """The new pods of sync do not come up."""
        if rolled or obj["metadata"]["name"] != "sync" or obj["metadata"]["generation"] == 1:
            return status
        return status | {"updatedReplicas": None}

    workloads.judge = stuck
    await place.ask("monday")
    await place.wait("Introduced")
    await tenants.wait(place.name, "ApplicationReady", "False")
    keys = await place.read()
    assert all(keys[key] == before[key] for key in EXCHANGED)
    assert (await place.url()).startswith("postgresql://crm:")
    rolled.append(True)
    deployment = await place.admin.get(DEPLOYMENT, "sync", place.namespace)
    await place.admin.merge(DEPLOYMENT, "sync", place.namespace, {"metadata": {"labels": {"look": "again"}}})
    assert deployment["metadata"]["generation"] > 1
    await place.wait("Rotated", requested="monday")


async def test_the_login_is_used_only_when_postgresql_knows_its_password(
    start: Any, configure: Any, vault: Any, workloads: Any, tenants: Any
) -> None:
    await start(configure(operator__keyOverlapSeconds=0))
    place = await vault()
    known = []

    def unknown(obj: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
        if known or "managedRolesStatus" not in status:
            return status
        return status | {"managedRolesStatus": {"byStatus": {"reconciled": ["crm"]}, "passwordStatus": {}}}

    workloads.judge = unknown
    await place.ask("monday")
    await place.wait("Introduced")

    async def declared() -> bool:
        cluster = await place.admin.get(CLUSTER, "db", place.namespace)
        return "managedRolesStatus" in cluster.get("status", {})

    await tenants.eventually(declared, "PostgreSQL to be told of the other login")
    assert (await place.url()).startswith("postgresql://crm:")
    known.append(True)
    await place.admin.merge(CLUSTER, "db", place.namespace, {"metadata": {"labels": {"look": "again"}}})
    await place.wait("Rotated", login="crm_b")


async def test_a_tenant_that_hibernates_is_exchanged_when_it_wakes(
    start: Any, configure: Any, vault: Any, tenants: Any
) -> None:
    await start(configure(operator__keyOverlapSeconds=0))
    place = await vault()
    before = await place.read()
    await tenants.patch(place.name, spec={"state": "Hibernated"})
    await tenants.wait(place.name, "Ready")
    await place.ask("monday")
    # What is asked for later is answered meanwhile.
    await tenants.patch(place.name, spec={"plan": "Growth"})
    await tenants.wait(place.name, "Ready")
    assert await place.read() == before
    await tenants.patch(place.name, spec={"state": "Running"})
    await place.wait("Rotated", requested="monday")


async def test_keys_that_wait_are_put_in_place_when_the_old_ones_are_gone(
    start: Any, configure: Any, vault: Any, tenants: Any, admin: Any
) -> None:
    """As after a crash at the worst moment, and with the labels off, so that no watch tells of it."""
    operator = await start(configure(operator__keyOverlapSeconds=3600))
    place = await vault()
    await place.ask("monday")
    await place.wait("Switched")
    keys = await admin.get(SECRET, names.SECRET_KEYS, place.namespace, whole=True)
    operator.stop()
    waiting = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": names.SECRET_KEYS_NEXT,
            "namespace": place.namespace,
            "labels": keys["metadata"]["labels"],
            "annotations": keys["metadata"]["annotations"]
            | {names.ANNOTATION_REPLACES: keys["metadata"]["uid"]},
        },
        "type": "Opaque",
        "immutable": True,
        "data": keys["data"],
    }
    await admin.create(SECRET, waiting)
    await admin.delete(SECRET, names.SECRET_KEYS, place.namespace, None)
    await start(configure(operator__keyOverlapSeconds=3600))

    async def back() -> bool:
        found = await admin.get(SECRET, names.SECRET_KEYS, place.namespace, whole=True)
        left = await admin.get(SECRET, names.SECRET_KEYS_NEXT, place.namespace)
        return found is not None and found["data"] == keys["data"] and left is None

    await tenants.eventually(back, "the keys to be back")
    await tenants.wait(place.name, "Ready")


async def test_keys_that_somebody_put_there_are_not_taken(
    start: Any, configure: Any, vault: Any, tenants: Any, admin: Any
) -> None:
    await start(configure(operator__keyOverlapSeconds=0))
    place = await vault()
    before = await place.read()
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": names.SECRET_KEYS_NEXT, "namespace": place.namespace},
        "stringData": {"tenant-key": "known", "django-secret-key": "known"},
    }
    query = {"fieldManager": "kubectl-create"}
    await admin.request("POST", SECRET.path(place.namespace), body, query=query)
    await place.ask("monday")
    await tenants.wait(place.name, "Stalled", "True", "SecretTaken")
    assert await place.read() == before
    await admin.delete(SECRET, names.SECRET_KEYS_NEXT, place.namespace, None)
    await place.wait("Rotated", requested="monday")


async def test_nothing_is_written_when_there_is_nothing_to_exchange(
    start: Any, configure: Any, vault: Any, plane: Any, tenants: Any
) -> None:
    await start(configure(operator__keyOverlapSeconds=0))
    place = await vault()
    await place.ask("monday")
    await place.wait("Rotated")
    await tenants.wait(place.name, "Ready")
    version = (await tenants.get(place.name))["metadata"]["resourceVersion"]
    await tenants.patch(place.name, metadata={"annotations": {names.ANNOTATION_REQUESTED: "now"}})

    async def looked() -> bool:
        return (await tenants.get(place.name))["metadata"]["resourceVersion"] != version

    await tenants.eventually(looked, "the annotation to be written")
    keys = await place.admin.get(SECRET, names.SECRET_KEYS, place.namespace)
    await tenants.wait(place.name, "Ready")
    assert (await place.admin.get(SECRET, names.SECRET_KEYS, place.namespace)) == keys
