"""The stand-in for Cloud KMS, driven by Google's own client."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest, Conflict, Forbidden, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import kms_v1
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceRestTransport
from google.oauth2.credentials import Credentials
from google_standin.testing import GoogleStandin

RING = "projects/p/locations/europe-west1/keyRings/crm"
SYNC = "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/ns/gpt-a/sa/sync"
OTHER = SYNC.replace("gpt-a", "gpt-b")


def client(google: GoogleStandin, member: str = "") -> Any:
    credentials = Credentials(member) if member else AnonymousCredentials()
    transport = KeyManagementServiceRestTransport(
        host=google.url.removeprefix("http://"), url_scheme="http", credentials=credentials
    )
    return kms_v1.KeyManagementServiceClient(transport=transport)


@pytest.fixture
def identifier() -> str:
    return f"gpt-{uuid.uuid4()}"


@pytest.fixture
def key(google: GoogleStandin, identifier: str) -> str:
    return make(google, identifier).name


def make(google: GoogleStandin, identifier: str, seconds: int = 86_400) -> Any:
    body = {
        "purpose": "ENCRYPT_DECRYPT",
        "labels": {"tenant-uid": "1"},
        "destroy_scheduled_duration": {"seconds": seconds},
    }
    request = {"parent": RING, "crypto_key_id": identifier, "crypto_key": body}
    return client(google).create_crypto_key(request=request)


def test_a_key_is_made_once_and_found(google: GoogleStandin, identifier: str) -> None:
    with pytest.raises(NotFound):
        client(google).get_crypto_key(name=f"{RING}/cryptoKeys/{identifier}")
    made = make(google, identifier)
    with pytest.raises(Conflict):
        make(google, identifier)
    found = client(google).get_crypto_key(name=made.name)
    assert found == made
    assert dict(found.labels) == {"tenant-uid": "1"}
    assert found.destroy_scheduled_duration.total_seconds() == 86_400
    assert found.primary.state.name == "ENABLED"


def test_a_day_is_the_least_that_a_destroyed_version_lasts(google: GoogleStandin, identifier: str) -> None:
    with pytest.raises(BadRequest, match="24 hours"):
        make(google, identifier, 3600)


def test_what_is_sealed_opens_with_the_same_key_and_context_only(google: GoogleStandin, key: str) -> None:
    kms, other = client(google), make(google, f"gpt-{uuid.uuid4()}").name
    sealed = kms.encrypt(
        request={"name": key, "plaintext": b"k" * 32, "additional_authenticated_data": b"tenant"}
    ).ciphertext
    ask = {"name": key, "ciphertext": sealed, "additional_authenticated_data": b"tenant"}
    assert kms.decrypt(request=ask).plaintext == b"k" * 32
    for wrong in (
        {"additional_authenticated_data": b"another"}, {"name": other}, {"ciphertext": sealed[:-1]},
        {"ciphertext": b"x"},
    ):  # fmt: skip
        with pytest.raises(BadRequest):
            kms.decrypt(request=ask | wrong)


def test_only_whom_the_policy_names_decrypts(google: GoogleStandin, key: str) -> None:
    kms = client(google)
    sealed = kms.encrypt(request={"name": key, "plaintext": b"secret"}).ciphertext
    ask = {"name": key, "ciphertext": sealed}
    with pytest.raises(Forbidden):
        client(google, SYNC).decrypt(request=ask)
    before = kms.get_iam_policy(request={"resource": key})
    binding = {"role": "roles/cloudkms.cryptoKeyDecrypter", "members": [SYNC]}
    kms.set_iam_policy(request={"resource": key, "policy": {"bindings": [binding], "etag": before.etag}})
    assert client(google, SYNC).decrypt(request=ask).plaintext == b"secret"
    with pytest.raises(Forbidden):
        client(google, OTHER).decrypt(request=ask)
    with pytest.raises(Conflict):
        kms.set_iam_policy(request={"resource": key, "policy": {"etag": before.etag}})
    assert [list(each.members) for each in kms.get_iam_policy(request={"resource": key}).bindings] == [[SYNC]]


def test_a_destroyed_version_opens_and_seals_nothing(google: GoogleStandin, key: str) -> None:
    kms = client(google)
    sealed = kms.encrypt(request={"name": key, "plaintext": b"secret"}).ciphertext
    [version] = kms.list_crypto_key_versions(parent=key)
    destroyed = kms.destroy_crypto_key_version(name=version.name)
    assert destroyed.state.name == "DESTROY_SCHEDULED"
    assert destroyed.destroy_time is not None
    with pytest.raises(BadRequest, match="not enabled"):
        kms.decrypt(request={"name": key, "ciphertext": sealed})
    with pytest.raises(BadRequest, match="no primary version"):
        kms.encrypt(request={"name": key, "plaintext": b"more"})
    with pytest.raises(BadRequest):
        kms.destroy_crypto_key_version(name=version.name)
