"""The CRM opens the tenant's key by Google's KMS, once, and says so when it cannot."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PARENT = "projects/guestpost-dev/locations/europe-west1/keyRings/crm"
Mount = Callable[..., None]


def standin(google: Any) -> Any:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import kms_v1
    from google.cloud.kms_v1.services.key_management_service.transports import (
        KeyManagementServiceRestTransport,
    )

    transport = KeyManagementServiceRestTransport(
        host=google.url.removeprefix("http://"), url_scheme="http", credentials=AnonymousCredentials()
    )
    return kms_v1.KeyManagementServiceClient(transport=transport)


@pytest.fixture
def key(google: Any, request: pytest.FixtureRequest) -> str:
    """A CryptoKey of this test."""
    identifier = request.node.name[:63]
    body = {"parent": PARENT, "crypto_key_id": identifier, "crypto_key": {"purpose": "ENCRYPT_DECRYPT"}}
    return str(standin(google).create_crypto_key(request=body).name)


@pytest.fixture
def mount(
    crm: None, clean_crm: None, google: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Mount]:
    """Puts lines where the Secret is mounted: the first is in use, the others were."""
    from guestpost_crm import environment
    from guestpost_crm.crypto.services import forget_keys

    path = tmp_path / "tenant-key"
    monkeypatch.setenv("TENANT_KEY_FILE", str(path))
    monkeypatch.setenv("KMS_EMULATOR_HOST", google.url.removeprefix("http://"))

    def put(now: str, *before: str) -> None:
        path.write_text(now, encoding="ascii")
        Path(f"{path}-fallbacks").write_text("\n".join(before), encoding="ascii")
        environment.current.cache_clear()
        forget_keys()

    yield put
    monkeypatch.undo()
    environment.current.cache_clear()
    forget_keys()


def wrapped(google: Any, key: str, plain: bytes, uid: str = "") -> str:
    """As the operator wraps it."""
    from guestpost_crm.environment import current

    context = (uid or current().tenant_uid).encode()
    body = {"name": key, "plaintext": plain, "additional_authenticated_data": context}
    sealed = standin(google).encrypt(request=body).ciphertext
    return f"{key}:{base64.b64encode(sealed).decode()}"


@pytest.mark.promise("P8.1")
def test_a_key_goes_from_the_secret_into_kms_and_everything_opens(
    mount: Mount, google: Any, key: str
) -> None:
    from guestpost_crm.crypto.services import decrypt, encrypt, rewrap

    plain, new = base64.b64encode(b"k" * 32).decode(), wrapped(google, key, b"n" * 32)
    mount(plain)
    from guestpost_crm.crypto.models import DataKey
    from guestpost_crm.crypto.services import ensure_data_key

    DataKey.objects.all().delete()
    ensure_data_key()
    sealed = encrypt(b"a refresh token", "mailbox/1")
    for stage in ((plain, new), (new, plain)):
        mount(*stage)
        assert decrypt(sealed, "mailbox/1") == b"a refresh token"
    assert rewrap() == 1
    mount(new)
    assert decrypt(sealed, "mailbox/1") == b"a refresh token"


def test_kms_is_asked_once_and_an_outage_afterwards_is_not_felt(mount: Mount, google: Any, key: str) -> None:
    from guestpost_crm.crypto.services import decrypt, encrypt, tenant_key

    mount(wrapped(google, key, b"k" * 32))
    assert tenant_key() == b"k" * 32
    google.control.fault("kms.decrypt", status=503, count=None)
    try:
        assert decrypt(encrypt(b"more", "mailbox/2"), "mailbox/2") == b"more"
    finally:
        google.control.no_faults()


def test_an_earlier_key_that_is_lost_does_not_matter_when_it_is_not_needed(
    mount: Mount, google: Any, key: str
) -> None:
    from guestpost_crm.crypto.services import decrypt, encrypt

    now = base64.b64encode(b"k" * 32).decode()
    mount(now, wrapped(google, key, b"o" * 32).replace(key, f"{key}-gone"))
    assert decrypt(encrypt(b"more", "mailbox/2"), "mailbox/2") == b"more"


@pytest.mark.parametrize("how", ["destroyed", "another tenant's", "refused"])
def test_what_kms_does_not_open_is_said_without_the_key(
    mount: Mount, google: Any, how: str, request: pytest.FixtureRequest
) -> None:
    from guestpost_crm.crypto.services import DecryptionError, tenant_key

    kms = standin(google)
    body = {"crypto_key": {"purpose": "ENCRYPT_DECRYPT"}, "crypto_key_id": f"refused-{how[:4]}"}
    name = kms.create_crypto_key(request={"parent": PARENT, **body}).name
    line = wrapped(google, name, b"k" * 32, "another" if how == "another tenant's" else "")
    mount(line)
    if how == "destroyed":
        [version] = kms.list_crypto_key_versions(parent=name)
        kms.destroy_crypto_key_version(name=version.name)
    elif how == "refused":
        google.control.fault("kms.decrypt", status=403)
    with pytest.raises(DecryptionError, match="KMS does not open the tenant's key") as raised:
        tenant_key()
    assert line.rpartition(":")[2] not in str(raised.value)
