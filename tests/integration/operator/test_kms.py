"""A tenant's key wrapped by a key in Google's KMS: whose it is, how it gets there, and that it ends."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from erasures import outcomes, receipt, removed
from google.api_core.exceptions import BadRequest, Forbidden
from google.cloud import kms_v1
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceRestTransport
from google.oauth2.credentials import Credentials
from google_standin.testing import GoogleStandin
from guestpost_operator.api import names
from guestpost_operator.backends.kinds import DEPLOYMENT, SECRET
from guestpost_operator.backends.kms import CloudKms, CryptoKey
from guestpost_operator.lifecycle.tenantkeys import DECRYPTER

RING = "projects/guestpost-dev/locations/europe-west1/keyRings/crm"
EGRESS = [{"ports": [{"port": 443, "protocol": "TCP"}]}]
KMS = {"kind": "KMS", "keyRing": "crm", "egress": EGRESS}


@pytest.fixture
def google(addresses: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleStandin]:
    with GoogleStandin(pubsub=False) as running:
        monkeypatch.setenv("KMS_EMULATOR_HOST", running.url.removeprefix("http://"))
        yield running


@pytest.fixture
async def kms(google: GoogleStandin) -> AsyncIterator[CloudKms]:
    """The test's own client."""
    client = CloudKms(timeout=5)
    yield client
    client.close()


def member(namespace: str, account: str) -> str:
    return names.principal("123", "dev.svc.id.goog", namespace, account)


def opened(google: GoogleStandin, wrapped: str, uid: str, caller: str) -> bytes:
    """What a program with some identity gets when it has the content of the Secret."""
    transport = KeyManagementServiceRestTransport(
        host=google.url.removeprefix("http://"), url_scheme="http", credentials=Credentials(caller)
    )
    name, _, sealed = wrapped.rpartition(":")
    request = {
        "name": name,
        "ciphertext": base64.b64decode(sealed),
        "additional_authenticated_data": uid.encode(),
    }
    return bytes(kms_v1.KeyManagementServiceClient(transport=transport).decrypt(request=request).plaintext)


async def secret(admin: Any, namespace: str) -> dict[str, str]:
    found = await admin.get(SECRET, names.SECRET_KEYS, namespace, whole=True)
    return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}


@pytest.mark.promise("P8.1")
async def test_only_the_tenants_own_programs_open_its_key(
    start: Any, configure: Any, tenants: Any, workloads: Any, admin: Any, google: GoogleStandin, kms: CloudKms
) -> None:
    await start(configure(tenants__keys=KMS))
    one, two = [(await tenants.create())["metadata"] for _ in range(2)]
    status = (await tenants.wait(one["name"], "Ready"))["status"]
    await tenants.wait(two["name"], "Ready")
    name = f"{RING}/cryptoKeys/gpt-{one['uid']}"
    assert status["keys"] == {"kmsKey": name}
    namespace, other = f"gpt-{one['name']}", f"gpt-{two['name']}"
    wrapped = (await secret(admin, namespace))["tenant-key"]
    assert wrapped.startswith(f"{name}:")

    keys = {
        opened(google, wrapped, one["uid"], member(namespace, account))
        for account in ("web", "sync", "export")
    }
    assert [len(key) for key in keys] == [32], "all get the same"
    for stranger in (
        member(other, "web"),
        member(namespace, "default"),
        member("guestpost-system", "operator"),
    ):
        with pytest.raises(Forbidden):
            opened(google, wrapped, one["uid"], stranger)
    with pytest.raises(BadRequest):
        opened(google, wrapped, two["uid"], member(namespace, "web"))
    assert await kms.get_policy(name) == {
        DECRYPTER: frozenset(member(namespace, account) for account in ("web", "sync", "export"))
    }
    found = await kms.get_key(name)
    assert found is not None
    assert one["name"] not in str(found), "what Google never forgets does not name the customer"


@pytest.mark.promise("P8.1")
async def test_an_exchange_takes_a_tenant_that_is_there_into_kms_and_back(
    start: Any, configure: Any, tenants: Any, workloads: Any, admin: Any, google: GoogleStandin, kms: CloudKms
) -> None:
    before = await start(configure())
    made = (await tenants.create())["metadata"]
    await tenants.wait(made["name"], "Ready")
    namespace = f"gpt-{made['name']}"
    plain = await secret(admin, namespace)
    before.stop()
    at_once = {"operator__keyOverlapSeconds": 0, "rollout": {"strategy": "Immediate"}}
    into = await start(configure(tenants__keys=KMS, **at_once))

    async def announced() -> bool:
        return "kmsKey" in ((await tenants.get(made["name"]))["status"].get("keys") or {})

    await tenants.eventually(announced, "the KMS key to be announced")
    assert await secret(admin, namespace) == plain, "nothing is exchanged unasked"

    async def exchange(word: str) -> dict[str, str]:
        await tenants.patch(made["name"], metadata={"annotations": {names.ANNOTATION_ROTATE: word}})

        async def over() -> bool:
            keys = (await tenants.get(made["name"]))["status"]["keys"]
            return (keys.get("stage"), keys.get("requested")) == ("Rotated", word)

        await tenants.eventually(over, "the exchange to be over")
        return await secret(admin, namespace)

    after = await exchange("monday")
    assert set(after) == set(plain)
    assert len(opened(google, after["tenant-key"], made["uid"], member(namespace, "web"))) == 32
    assert plain["tenant-key"] not in after.values()

    into.stop()
    await start(configure(**at_once))
    back = await exchange("tuesday")
    assert set(back) == set(plain)
    assert len(base64.b64decode(back["tenant-key"], validate=True)) == 32
    key = (await tenants.get(made["name"]))["status"]["keys"]["kmsKey"]
    assert len(await kms.live_versions(key)) == 1, "backups of before still open"
    await tenants.delete(made["name"])
    await tenants.wait_gone(made["name"])
    assert await kms.live_versions(key) == []


@pytest.mark.promise("P9.2")
async def test_erasure_destroys_the_key_and_the_receipt_counts_it(
    start: Any, configure: Any, tenants: Any, workloads: Any, admin: Any, google: GoogleStandin, kms: CloudKms
) -> None:
    await start(configure(tenants__keys=KMS))
    made = await tenants.create()
    name, uid = made["metadata"]["name"], made["metadata"]["uid"]
    status = (await tenants.wait(name, "Ready"))["status"]
    wrapped = (await secret(admin, f"gpt-{name}"))["tenant-key"]
    # Google fails meanwhile: that is no reason to let the tenant go.
    google.control.fault("kms.destroy", status=503, count=None)
    await tenants.delete(name)
    await tenants.wait(name, "DeletionBlocked", "True", "Unavailable")
    google.control.no_faults()
    await tenants.wait_gone(name)
    assert await kms.live_versions(status["keys"]["kmsKey"]) == []
    with pytest.raises(BadRequest, match="not enabled"):
        opened(google, wrapped, uid, member(f"gpt-{name}", "web"))
    stated = await receipt(admin, made)
    assert removed(stated)["CryptoKeyVersion"] == 1
    assert outcomes(stated)["Keys"] == "Verified"


async def test_a_key_of_that_name_that_is_not_ours_is_not_taken(
    start: Any, configure: Any, tenants: Any, workloads: Any, google: GoogleStandin, kms: CloudKms
) -> None:
    made = (await tenants.create())["metadata"]
    name = f"{RING}/cryptoKeys/gpt-{made['uid']}"
    await kms.create_key(CryptoKey(name, {"tenant-uid": "another"}))
    await start(configure(tenants__keys=KMS))
    await tenants.wait(made["name"], "Stalled", "True", "KmsKeyTaken")
    assert await kms.get_policy(name) == {}
    await tenants.delete(made["name"])
    await tenants.wait_gone(made["name"])
    assert len(await kms.live_versions(name)) == 1, "erasing the tenant does not touch it either"


async def test_rights_that_were_added_are_taken_back_and_an_outage_holds_up_nobody(
    start: Any, configure: Any, tenants: Any, workloads: Any, admin: Any, google: GoogleStandin, kms: CloudKms
) -> None:
    await start(configure(tenants__keys=KMS))
    name = (await tenants.create())["metadata"]["name"]
    key = (await tenants.wait(name, "Ready"))["status"]["keys"]["kmsKey"]
    right = await kms.get_policy(key)
    await kms.set_policy(key, {**right, "roles/cloudkms.admin": frozenset({"user:eve@example.com"})})
    await tenants.patch(name, metadata={"annotations": {names.ANNOTATION_REQUESTED: "now"}})

    async def back() -> bool:
        return await kms.get_policy(key) == right

    await tenants.eventually(back, "the policy to be as before")

    google.control.fault("kms.get", status=503, count=None)
    await tenants.patch(
        name, metadata={"annotations": {names.ANNOTATION_REQUESTED: "again"}}, spec={"plan": "Growth"}
    )
    await tenants.wait(name, "NamespaceReady", "False", "Unavailable")

    async def grown() -> bool:
        quota = await admin.request("GET", f"/api/v1/namespaces/gpt-{name}/resourcequotas")
        cluster = await admin.get(DEPLOYMENT, "web", f"gpt-{name}")
        return bool(quota["items"]) and cluster is not None

    await tenants.eventually(grown, "the tenant to run on")
    google.control.no_faults()
    await tenants.wait(name, "Ready")
