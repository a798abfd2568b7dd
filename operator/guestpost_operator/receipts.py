"""Receipts of erasures: what they state, how they are signed, and how anybody checks one. Pure.

The signature is Ed25519 (RFC 8032) of the statement as canonical JSON (RFC 8785): it holds only strings,
whole numbers, truths, lists and maps with ASCII names, for which sorting and leaving out spaces is enough.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from guestpost_operator.api.tenant import DeletionStatus, Tenant
from guestpost_operator.deletion import STAFF
from guestpost_operator.revision import Object

ALGORITHM = "Ed25519"
VERIFIED, NOT_VERIFIED = "Verified", "NotVerified"


class ReceiptError(Exception):
    """A receipt is not genuine, or a key is none; the message says why."""


def name(tenant_uid: str) -> str:
    """Name of the receipt of a tenant."""
    return f"erasure-{tenant_uid}"


def statement(
    tenant: Tenant, record: DeletionStatus, steps: Sequence[str], completed_at: str, version: str
) -> Object:
    """What is stated about an erasure that is through.

    Args:
        tenant: with the reasons for which steps were given up.
        record: what was found, done and given up.
        steps: all of them, in order.
        completed_at: when the last absence was verified, RFC 3339.
        version: of the operator.
    """
    reasons = {each.step: each.reason for each in tenant.spec.deletion.abandon}
    told: list[Object] = []
    for step in steps:
        if step in record.abandoned:
            reason = reasons.get(step, "given up; the reason was removed from the tenant afterwards")
            told.append({"step": step, "outcome": NOT_VERIFIED, "reason": reason})
        else:
            told.append({"step": step, "outcome": VERIFIED})
    stated: Object = {
        "tenantUID": tenant.uid,
        "requestedBy": record.requested_by or STAFF,
        "startedAt": record.started_at,
        "completedAt": completed_at,
        "verified": not record.abandoned,
        "finalExport": _export(record),
        "removed": [each.model_dump() for each in sorted(record.found, key=lambda each: each.kind)],
        "steps": told,
        "operator": version,
    }
    return stated | ({"requestedAt": record.requested_at} if record.requested_at else {})


def _export(record: DeletionStatus) -> Object:
    if record.export is None:
        return {"outcome": "Abandoned"}
    sha256 = {"sha256": record.export.sha256} if record.export.sha256 else {}
    return {"outcome": record.export.outcome, **sha256}


def canonical(value: Any) -> bytes:
    """A value as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


@dataclass(frozen=True)
class SigningKey:
    """The key that signs receipts. Its private part never leaves the operator's namespace."""

    private: Ed25519PrivateKey

    @classmethod
    def generate(cls) -> SigningKey:
        """A new one."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, pem: bytes) -> SigningKey:
        """Read one from PKCS #8 in PEM (ReceiptError when it is none)."""
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError) as error:
            raise ReceiptError("the key for receipts cannot be read: it must be PKCS #8 in PEM") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ReceiptError("the key for receipts must be an Ed25519 key")
        return cls(key)

    def private_pem(self) -> bytes:
        """The whole key, PKCS #8 in PEM."""
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def public_pem(self) -> bytes:
        """Its public part in PEM."""
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def id(self) -> str:
        """See `key_id`."""
        return key_id(self.private.public_key())

    def sign(self, stated: Object) -> Object:
        """The spec of a receipt."""
        value = base64.b64encode(self.private.sign(canonical(stated))).decode()
        signature = {"algorithm": ALGORITHM, "keyID": self.id, "value": value}
        return {"statement": stated, "signature": signature}


def key_id(key: Ed25519PublicKey) -> str:
    """First 16 hexadecimal digits of the SHA-256 of the raw public key."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def public_keys(pems: Sequence[bytes]) -> dict[str, Ed25519PublicKey]:
    """Public keys by id; several may stand in one PEM (ReceiptError when one is none)."""
    found: dict[str, Ed25519PublicKey] = {}
    mark = b"-----END PUBLIC KEY-----"
    for pem in pems:
        for part in pem.split(mark)[:-1]:
            try:
                key = load_pem_public_key(part + mark)
            except ValueError as error:
                raise ReceiptError(f"a public key cannot be read: {error}") from error
            if not isinstance(key, Ed25519PublicKey):
                raise ReceiptError("public keys for receipts must be Ed25519 keys")
            found[key_id(key)] = key
    if not found:
        raise ReceiptError("there is no public key; give it as PEM (BEGIN PUBLIC KEY)")
    return found


def verify(receipt: Mapping[str, Any], keys: Mapping[str, Ed25519PublicKey]) -> Object:
    """Check a receipt.

    Args:
        receipt: the ErasureReceipt.
        keys: public keys that are trusted, by id.

    Returns:
        Its statement.

    Raises:
        ReceiptError: it is not genuine, or signed by a key that is not among these.
    """
    try:
        stated, signature = receipt["spec"]["statement"], receipt["spec"]["signature"]
        algorithm, key, value = signature["algorithm"], signature["keyID"], signature["value"]
        named, uid = receipt["metadata"]["name"], stated["tenantUID"]
        signed = base64.b64decode(value, validate=True)
    except (KeyError, TypeError, binascii.Error) as error:
        raise ReceiptError(f"this is no whole ErasureReceipt: {error}") from error
    if algorithm != ALGORITHM or key not in keys:
        raise ReceiptError(f"it is signed by {algorithm} key {key}, which is not among the trusted keys")
    try:
        keys[key].verify(signed, canonical(stated))
    except InvalidSignature:
        raise ReceiptError("the signature does not hold: the receipt was changed") from None
    if named != name(uid):
        raise ReceiptError(f"it is named {named}, but states the erasure of tenant {uid}")
    result: Object = stated
    return result
