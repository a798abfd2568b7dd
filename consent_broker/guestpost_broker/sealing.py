"""Refresh tokens sealed for one tenant and one mailbox: worth nothing in anybody else's database.

`<key id>.<base 64 of nonce, ciphertext and tag>`, AES-256-GCM. The tenant's uid and the Google account's
`sub` are authenticated with it, so a token that is moved to another tenant, or to another mailbox of the
same one, does not open. Inside are the Google project whose client it belongs to, and the refresh token.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from guestpost_broker.keys import KeyRing

_NONCE = 12
_LONGEST = 8192


class SealError(Exception):
    """The token was not sealed for this tenant and mailbox, or it was tampered with."""


class UnknownKeyError(SealError):
    """The key that sealed it is not in the ring; the token may be good all the same."""


@dataclass(frozen=True)
class Holder:
    """Whom a token is sealed for: the tenant's uid, and the mailbox's Google account (`sub`)."""

    tenant_uid: str
    sub: str


@dataclass(frozen=True)
class Grant:
    """What a mailbox is used with: a refresh token, and the Google project whose client it belongs to."""

    project: str
    refresh_token: str

    def __repr__(self) -> str:
        return "Grant(…)"


def seal(grant: Grant, holder: Holder, keys: KeyRing, now: float) -> str:
    """Seal a grant with the newest key that makes at `now`, in seconds since the epoch."""
    key, nonce = keys.newest(now), os.urandom(_NONCE)
    content = json.dumps([grant.project, grant.refresh_token]).encode()
    sealed = AESGCM(key.key).encrypt(nonce, content, _context(holder, key.id))
    return f"{key.id}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"


def key_of(text: str) -> str:
    """The id of the key that a sealed grant names."""
    return text.partition(".")[0]


def unseal(text: str, holder: Holder, keys: KeyRing) -> Grant:
    """Open a sealed grant.

    Raises:
        UnknownKeyError: its key is not kept, or not known here yet.
        SealError: it is malformed, tampered with, or another tenant's or mailbox's.
    """
    identifier, separator, encoded = text.partition(".")
    if not separator or len(text) > _LONGEST:
        raise SealError("malformed")
    key = keys.named(identifier)
    if key is None:
        raise UnknownKeyError("no key for it")
    try:
        content = base64.b64decode(encoded, altchars=b"-_", validate=True)
        opened = AESGCM(key.key).decrypt(content[:_NONCE], content[_NONCE:], _context(holder, identifier))
        project, token = json.loads(opened)
    except (InvalidTag, ValueError) as error:
        raise SealError("it does not open for this tenant and mailbox") from error
    return Grant(project, token)


def _context(holder: Holder, key_id: str) -> bytes:
    return json.dumps(["guestpost-refresh-token", key_id, holder.tenant_uid, holder.sub]).encode()
