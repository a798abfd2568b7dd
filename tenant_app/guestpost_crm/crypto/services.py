"""AES-256-GCM under data keys that the tenant's key wraps (envelope encryption).

A sealed value is `version ‖ data key id ‖ nonce ‖ ciphertext and tag`; what it belongs to is
authenticated with it, so that a value moved to another row does not open.
"""

from __future__ import annotations

import base64
import binascii
import os
import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import transaction

from guestpost_crm.crypto.models import DataKey
from guestpost_crm.environment import SettingError, current, earlier, secret

_HEADER = struct.Struct(">BQ")
_VERSION = 1
_NONCE = 12


class DecryptionError(Exception):
    """The value was changed, belongs elsewhere, or its key is gone."""


def tenant_key() -> bytes:
    """The tenant's key, 32 bytes, from TENANT_KEY_FILE.

    Raises:
        SettingError: it is not such a key.
        DecryptionError: Google's KMS does not open it.
    """
    return _opened(secret(current().tenant_key_file, "TENANT_KEY_FILE"))


def earlier_keys() -> Iterator[bytes]:
    """Keys of the tenant before a rotation, each opened when its turn comes (errors as of `tenant_key`)."""
    for each in earlier(current().tenant_key_file):
        yield _opened(each)


@lru_cache(maxsize=4)
def _opened(text: bytes) -> bytes:
    """A key as its file has it: in base 64, or behind the name of the KMS key that wraps it and a colon."""
    name, _, encoded = text.rpartition(b":")
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        key = b""
    if name and key:
        from guestpost_crm.crypto import kms

        try:
            key = kms.unwrap(name.decode(), key, current().tenant_uid.encode())
        except kms.KmsError as error:
            raise DecryptionError(str(error)) from error
    if len(key) != 32:
        raise SettingError(
            "TENANT_KEY_FILE must hold 32 bytes in base 64, or a KMS key's name, a colon and what it wrapped"
        )
    return key


def _keys() -> Iterator[bytes]:
    yield tenant_key()
    yield from earlier_keys()


def encrypt(content: bytes, context: str) -> bytes:
    """Seal a value.

    Args:
        content: what to seal.
        context: what it belongs to, such as `mailbox/3/refresh-token`; needed again to open it.
    """
    identifier = _current()
    nonce = os.urandom(_NONCE)
    return (
        _HEADER.pack(_VERSION, identifier)
        + nonce
        + _cipher(identifier).encrypt(nonce, content, context.encode())
    )


def decrypt(sealed: bytes | memoryview, context: str) -> bytes:
    """Open a value that `encrypt` sealed with the same context.

    Raises:
        DecryptionError: it does not open.
    """
    try:
        version, identifier = _HEADER.unpack_from(sealed)
        if version != _VERSION:
            raise DecryptionError(f"unknown version {version}")
        nonce = sealed[_HEADER.size : _HEADER.size + _NONCE]
        # A view, for a slice of bytes would be a copy of all that is to be opened.
        content = memoryview(sealed)[_HEADER.size + _NONCE :]
        return _cipher(identifier).decrypt(nonce, content, context.encode())
    except (InvalidTag, struct.error, DataKey.DoesNotExist) as error:
        raise DecryptionError(f"{context}: it does not open") from error


def ensure_data_key() -> None:
    """Make the first data key when there is none.

    Called by `guestpost-crm migrate`, never while something is being sealed: a key that is made in a
    transaction that fails would be gone, and stay in memory.
    """
    if DataKey.objects.exists():
        return
    DataKey.objects.create(wrapped=_wrap(AESGCM.generate_key(256)))


@transaction.atomic
def rewrap() -> int:
    """Wrap the data keys with the tenant's key of now, where an earlier one did; returns how many.

    Called by `guestpost-crm migrate`, when every program of the tenant knows both keys. What is sealed with
    the data keys is not touched.

    Raises:
        DecryptionError: no key of the tenant opens one of them; nothing is changed then.
    """
    count = 0
    for row in DataKey.objects.select_for_update().order_by("pk"):
        wrapped = bytes(row.wrapped)
        if _unwrap(wrapped, [tenant_key()]) is not None:
            continue
        opened = _unwrap(wrapped, earlier_keys())
        if opened is None:
            raise DecryptionError("no key of this tenant opens its data keys")
        row.wrapped = _wrap(opened)
        row.save(update_fields=["wrapped"])
        count += 1
    return count


def _wrap(key: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(tenant_key()).encrypt(nonce, key, b"data-key")


def _unwrap(wrapped: bytes, keys: Iterable[bytes]) -> bytes | None:
    """The data key, if one of the tenant's keys wrapped it."""
    for key in keys:
        try:
            return AESGCM(key).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], b"data-key")
        except InvalidTag:
            continue
    return None


@lru_cache(maxsize=1)
def _current() -> int:
    """The data key that new values are sealed with (DataKey.DoesNotExist before the first migration)."""
    return int(DataKey.objects.latest("pk").pk)


@lru_cache(maxsize=16)
def _cipher(identifier: int) -> AESGCM:
    key = _unwrap(bytes(DataKey.objects.get(pk=identifier).wrapped), _keys())
    if key is None:
        raise DecryptionError("the tenant's key does not open the data keys")
    return AESGCM(key)


def forget_keys() -> None:
    """Drop keys held in memory, after a rotation or between tests."""
    _current.cache_clear()
    _cipher.cache_clear()
    _opened.cache_clear()
