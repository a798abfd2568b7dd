"""The customer's signature under an approval: what the operator lets somebody in for.

An account's name can be borrowed by a cluster admin, the key in this server's Secret can't.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from guestpost_crm.environment import SettingError, current, secret


def moment(time: dt.datetime) -> str:
    """A time as it is signed and as the API server keeps it: RFC 3339 in UTC, to the second."""
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def statement(tenant: str, grant: str, level: str, expires_at: str) -> bytes:
    """What is signed. The operator has the same words (guestpost_operator/support.py)."""
    return "\n".join(("guestpost support approval", tenant, grant, level, expires_at)).encode()


def sign(grant: str, level: str, expires_at: str) -> str:
    """The signature in base64.

    Raises:
        SettingError: this server has no key for it.
    """
    environment = current()
    try:
        raw = base64.b64decode(secret(environment.approval_key_file, "APPROVAL_KEY_FILE"), validate=True)
        key = Ed25519PrivateKey.from_private_bytes(raw)
    except (binascii.Error, ValueError):
        raise SettingError("APPROVAL_KEY_FILE must hold 32 bytes in base 64") from None
    return base64.b64encode(key.sign(statement(environment.tenant_uid, grant, level, expires_at))).decode()
