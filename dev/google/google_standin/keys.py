"""What the stand-in for Cloud KMS remembers."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from google_standin.errors import ApiError


@dataclass
class Version:
    """A version of a key; its material is gone once it is destroyed."""

    material: bytes
    state: str = "ENABLED"
    destroys_at: dt.datetime | None = None


@dataclass
class Key:
    """A CryptoKey; it and its name stay for ever, as at Google when this was written down."""

    labels: dict[str, str]
    scheduled: int
    versions: list[Version] = field(default_factory=list)
    policy: dict[str, Any] = field(default_factory=dict)
    changes: int = 0


class Kms:
    """The keys by full name.

    Attributes:
        rights: on key rings, of whoever does not say who it is; those of the operator (docs/installation.md).
    """

    def __init__(self) -> None:
        self.keys: dict[str, Key] = {}
        keys = (f"cryptoKeys.{verb}" for verb in ("create", "get", "getIamPolicy", "setIamPolicy"))
        versions = (f"cryptoKeyVersions.{verb}" for verb in ("list", "useToEncrypt", "destroy"))
        self.rights = frozenset(f"cloudkms.{right}" for right in (*keys, *versions))

    def key(self, name: str) -> Key:
        """The key of a name (ApiError 404)."""
        if name not in self.keys:
            raise ApiError(404, f"CryptoKey {name} not found.")
        return self.keys[name]
