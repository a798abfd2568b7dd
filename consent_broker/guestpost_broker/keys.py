"""Keys that are rotated: one makes, all of them check or open.

A ring is a JSON list `[{"id", "key", "from"?}]`, the newest first: `key` is 32 bytes in base 64, `from` the
time (RFC 3339) from which a key makes; without it, always. A new key is put first with a `from` that
every replica has read it by, so none meets what it can't open. When no key's time has come, the one whose
comes first makes.
"""

from __future__ import annotations

import base64
import datetime as dt
import re
from dataclasses import dataclass

SIZE = 32
_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


class KeysError(ValueError):
    """What is given is no ring of keys; the message never holds a key."""


@dataclass(frozen=True)
class Key:
    """One key. `since`: seconds since the epoch from which it makes."""

    id: str
    key: bytes
    since: float = 0.0

    def __repr__(self) -> str:
        return f"Key({self.id!r})"


@dataclass(frozen=True)
class KeyRing:
    """Keys, the newest first."""

    keys: tuple[Key, ...]

    def newest(self, now: float) -> Key:
        """The key that makes at `now`, in seconds since the epoch."""
        makes = (key for key in self.keys if key.since <= now)
        return next(makes, min(self.keys, key=lambda key: key.since))

    def named(self, identifier: str) -> Key | None:
        """A key by its id, whether or not it makes yet."""
        return next((key for key in self.keys if key.id == identifier), None)


def parse(content: object) -> KeyRing:
    """A ring from what a file holds.

    Raises:
        KeysError: says what a ring is.
    """
    if not isinstance(content, list) or not content:
        raise KeysError('it must hold [{"id", "key": 32 bytes in base 64, "from"?}], at least one')
    keys = tuple(map(_key, content))
    if len({key.id for key in keys}) != len(keys):
        raise KeysError("two keys have the same id")
    return KeyRing(keys)


def _key(item: object) -> Key:
    if not isinstance(item, dict) or not {"id", "key"} <= item.keys() <= {"id", "key", "from"}:
        raise KeysError("every key has an id, a key and perhaps a from, and nothing else")
    identifier = str(item["id"])
    if not _ID.fullmatch(identifier):
        raise KeysError("ids of keys are 1 to 32 letters, digits, hyphens and underscores")
    try:
        key = base64.b64decode(str(item["key"]), validate=True)
        since = dt.datetime.fromisoformat(item["from"]) if "from" in item else None
    except (ValueError, TypeError):
        raise KeysError(f"key {identifier}: write key in base 64, and from as 2026-11-24T18:00:00Z") from None
    if len(key) != SIZE:
        raise KeysError(f"key {identifier} must have {SIZE} bytes")
    if since is not None and since.tzinfo is None:
        raise KeysError(f"key {identifier}: from needs a time zone, as in 2026-11-24T18:00:00Z")
    return Key(identifier, key, since.timestamp() if since else 0.0)
