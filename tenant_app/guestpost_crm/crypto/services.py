"""AES-256-GCM under data keys that the tenant's key wraps (envelope encryption).

A sealed value is `version ‖ data key id ‖ nonce ‖ ciphertext and tag`; what it belongs to is
authenticated with it, so that a value moved to another row does not open.
"""

from __future__ import annotations

import base64
import binascii
import os
import struct
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from guestpost_crm.crypto.models import DataKey
from guestpost_crm.environment import SettingError, current, secret

_HEADER = struct.Struct(">BQ")
_VERSION = 1
_NONCE = 12


class DecryptionError(Exception):
    """The value was changed, belongs elsewhere, or its key is gone."""


def tenant_key() -> bytes:
    """The tenant's key, 32 bytes, from TENANT_KEY_FILE (base 64).

    Raises:
        SettingError: it is not such a key.
    """
    try:
        key = base64.b64decode(secret(current().tenant_key_file, "TENANT_KEY_FILE"), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 32:
        raise SettingError("TENANT_KEY_FILE must hold 32 bytes in base 64")
    return key


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


def decrypt(sealed: bytes, context: str) -> bytes:
    """Open a value that `encrypt` sealed with the same context.

    Raises:
        DecryptionError: it does not open.
    """
    try:
        version, identifier = _HEADER.unpack_from(sealed)
        if version != _VERSION:
            raise DecryptionError(f"unknown version {version}")
        nonce = sealed[_HEADER.size : _HEADER.size + _NONCE]
        return _cipher(identifier).decrypt(nonce, sealed[_HEADER.size + _NONCE :], context.encode())
    except (InvalidTag, struct.error, DataKey.DoesNotExist) as error:
        raise DecryptionError(f"{context}: it does not open") from error


def ensure_data_key() -> None:
    """Make the first data key when there is none.

    Called by `guestpost-crm migrate`, never while something is being sealed: a key that is made in a
    transaction that fails would be gone, and stay in memory.
    """
    if DataKey.objects.exists():
        return
    nonce = os.urandom(_NONCE)
    wrapped = nonce + AESGCM(tenant_key()).encrypt(nonce, AESGCM.generate_key(256), b"data-key")
    DataKey.objects.create(wrapped=wrapped)


@lru_cache(maxsize=1)
def _current() -> int:
    """The data key that new values are sealed with (DataKey.DoesNotExist before the first migration)."""
    return int(DataKey.objects.latest("pk").pk)


@lru_cache(maxsize=16)
def _cipher(identifier: int) -> AESGCM:
    wrapped = bytes(DataKey.objects.get(pk=identifier).wrapped)
    try:
        return AESGCM(AESGCM(tenant_key()).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], b"data-key"))
    except InvalidTag as error:
        raise DecryptionError("the tenant's key does not open the data keys") from error


def forget_keys() -> None:
    """Drop keys held in memory, after a rotation or between tests."""
    _current.cache_clear()
    _cipher.cache_clear()
