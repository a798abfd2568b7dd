"""Refresh tokens sealed for one tenant: worth nothing in anybody else's database.

`<key id>.<base 64 of nonce, ciphertext and tag>`, AES-256-GCM. The tenant's uid is authenticated with
it, so a token that moves to another tenant does not open. Inside are the account's `sub`, the Google
project whose client it belongs to, and the refresh token.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from guestpost_broker.config import SealKey

_NONCE = 12
_LONGEST = 8192


class SealError(Exception):
    """The token was not sealed for this tenant, or its key is gone."""


@dataclass(frozen=True)
class Grant:
    """What a tenant may use Google with: a refresh token and whose it is."""

    sub: str
    project: str
    refresh_token: str

    def __repr__(self) -> str:
        return "Grant(…)"


def seal(grant: Grant, tenant_uid: str, keys: Sequence[SealKey]) -> str:
    """Seal a grant for a tenant with the first key."""
    nonce = os.urandom(_NONCE)
    content = json.dumps([grant.sub, grant.project, grant.refresh_token]).encode()
    sealed = AESGCM(keys[0].key).encrypt(nonce, content, _context(tenant_uid, keys[0].id))
    return f"{keys[0].id}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"


def unseal(text: str, tenant_uid: str, keys: Sequence[SealKey]) -> Grant:
    """Open a sealed grant.

    Raises:
        SealError: it is malformed, another tenant's, or sealed by a key that is not kept any more.
    """
    identifier, _, encoded = text.partition(".")
    key = next((key for key in keys if key.id == identifier), None)
    if key is None or len(text) > _LONGEST:
        raise SealError("no key for it")
    try:
        content = base64.urlsafe_b64decode(encoded)
        opened = AESGCM(key.key).decrypt(content[:_NONCE], content[_NONCE:], _context(tenant_uid, identifier))
        sub, project, token = json.loads(opened)
    except (InvalidTag, ValueError) as error:
        raise SealError("it does not open for this tenant") from error
    return Grant(sub, project, token)


def _context(tenant_uid: str, key_id: str) -> bytes:
    return f"guestpost-refresh-token\0{key_id}\0{tenant_uid}".encode()
