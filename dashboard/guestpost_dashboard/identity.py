"""Who looks, and how the API server is told."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Person:
    """Somebody who signed in.

    Attributes:
        name: as the API server knows them.
        groups: as the API server knows them.
        token: what they prove themselves with; empty when they are impersonated.
        expires: when the proof ends, in seconds since 1970; 0 when it does not say.
    """

    name: str
    groups: tuple[str, ...] = ()
    token: str = ""
    expires: float = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", tuple(self.groups))

    def __repr__(self) -> str:
        return f"Person({self.name!r})"

    def dump(self) -> dict[str, Any]:
        """As JSON can hold it; impersonation alone needs the groups, and cookies are small."""
        return {**asdict(self), "groups": [] if self.token else list(self.groups)}


def headers(person: Person, own_token: str) -> list[tuple[str, str]]:
    """What a request to the API server carries, so that it is the person's.

    Args:
        person: who asks.
        own_token: the dashboard's, which only impersonation uses.
    """
    if person.token:
        return [("Authorization", f"Bearer {person.token}")]
    return [
        ("Authorization", f"Bearer {own_token}"),
        ("Impersonate-User", person.name),
        *(("Impersonate-Group", group) for group in person.groups),
    ]


def claims(token: str) -> Mapping[str, Any]:
    """What a JWT says, unverified: the API server verifies it. Empty when it is none."""
    try:
        _, middle, _ = token.split(".")
        said = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    except (ValueError, binascii.Error):
        return {}
    return said if isinstance(said, dict) else {}


def expiry(token: str) -> float:
    """When a token ends, in seconds since 1970; 0 when it does not say."""
    end = claims(token).get("exp", 0)
    return float(end) if isinstance(end, int | float) else 0
