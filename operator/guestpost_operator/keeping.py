"""What is kept in memory of each tenant, as little as it goes: there may be ten thousand. Pure."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]


def compact(body: Mapping[str, Any]) -> Object:
    """A copy of an object without the API server's book of who owns which field, each text in memory once."""
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    shared: Object = _shared({**body, "metadata": metadata})
    return shared


def fingerprint(*parts: object) -> bytes:
    """Stands for values that are compared and not used, by what `repr` says of them."""
    return hashlib.sha256(repr(parts).encode()).digest()[:16]


def _shared(value: Any) -> Any:
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, dict):
        return {sys.intern(name): _shared(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_shared(each) for each in value]
    return value
