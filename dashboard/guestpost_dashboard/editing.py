"""Editing what others may edit too: what changes, as a diff and as a patch, and where two changes meet. Pure.

Three objects are compared: what was loaded when somebody began, what they want, and what is there now.
Lists count as one value, as in a merge patch.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

from guestpost_dashboard import yamltext

Object = dict[str, Any]
# What the API server writes by itself, and what nobody edits.
_SERVERS = ("managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink")
# Annotations in which kubectl and the operator's framework keep what they saw last.
_NOTEBOOKS = ("/last-applied-configuration", "/last-handled-configuration")
ABSENT = "—"


@dataclass(frozen=True)
class Line:
    """A line of a diff: kept, added, removed, or a heading that says where it is."""

    kind: Literal["kept", "added", "removed", "place"]
    text: str


@dataclass(frozen=True)
class Conflict:
    """A value that somebody else has changed to something else meanwhile. Texts are YAML, or `ABSENT`."""

    path: tuple[str, ...]
    loaded: str
    wanted: str
    present: str


@dataclass(frozen=True)
class Merged:
    """What a change comes to on top of what is there now.

    Without conflicts `whole` is what is there with the change in it; values in conflict are as they are now.
    """

    whole: Object
    conflicts: tuple[Conflict, ...]


def editable(whole: Mapping[str, Any]) -> Object:
    """An object without what the API server and the operator write."""
    kept: Object = {key: deepcopy(value) for key, value in whole.items() if key != "status"}
    metadata = {key: value for key, value in kept.get("metadata", {}).items() if key not in _SERVERS}
    # The operator's, which lets go of an object when nothing is left of it.
    metadata.pop("finalizers", None)
    annotations = metadata.pop("annotations", {})
    notes = {key: value for key, value in annotations.items() if not key.endswith(_NOTEBOOKS)}
    if notes:
        metadata["annotations"] = notes
    first: Object = {key: kept.pop(key) for key in ("apiVersion", "kind") if key in kept}
    kept.pop("metadata", None)
    return {**first, "metadata": metadata, **kept}


def diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Line]:
    """What changes, as a unified diff of YAML; empty when nothing does."""
    return list(_lines(yamltext.dump(_sorted(before)), yamltext.dump(_sorted(after))))


def _lines(before: str, after: str) -> Iterator[Line]:
    unified = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3)
    for number, line in enumerate(unified):
        # The first two name the files.
        if number < 2:
            continue
        if line.startswith("@@"):
            yield Line("place", line)
        else:
            kind: dict[str, Literal["kept", "added", "removed"]] = {"+": "added", "-": "removed"}
            yield Line(kind.get(line[:1], "kept"), line[1:])


def _sorted(value: Any) -> Any:
    """With keys in one order, so that only values make a difference."""
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value, key=str)}
    return value


def merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> Object:
    """The least JSON merge patch (RFC 7386) that makes one object the other; empty when they are the same.

    None stands for a key that is not there, as in such a patch.
    """
    patch: Object = {}
    for key in (*before, *(key for key in after if key not in before)):
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            if inside := merge_patch(old, new):
                patch[key] = inside
        elif old != new:
            # An object in a patch is merged, so what takes another value's place names all that it has.
            patch[key] = deepcopy(new)
    return patch


def merged(loaded: Mapping[str, Any], wanted: Mapping[str, Any], present: Mapping[str, Any]) -> Merged:
    """Bring a change to what is there now.

    Args:
        loaded: what the change began with.
        wanted: what it is to be.
        present: what is there now.
    """
    conflicts: list[Conflict] = []
    whole = _merged(loaded, wanted, present, (), conflicts)
    return Merged(whole, tuple(conflicts))


def as_in(source: Mapping[str, Any], whole: Mapping[str, Any], path: tuple[str, ...]) -> Object:
    """An object with the value at a path as it is in another, also when it is not there."""
    key, *deeper = path
    changed = dict(whole)
    value = source.get(key)
    if deeper and isinstance(value, Mapping | None):
        inside = whole.get(key)
        value = as_in(value or {}, inside if isinstance(inside, Mapping) else {}, tuple(deeper))
    if value is None:
        changed.pop(key, None)
    else:
        changed[key] = deepcopy(value)
    return changed


def _merged(
    loaded: Mapping[str, Any],
    wanted: Mapping[str, Any],
    present: Mapping[str, Any],
    path: tuple[str, ...],
    conflicts: list[Conflict],
) -> Object:
    whole: Object = {}
    for key in dict.fromkeys((*present, *wanted, *loaded)):
        was, mine, now = loaded.get(key), wanted.get(key), present.get(key)
        if mine in (was, now):
            value = now
        elif now == was:
            value = mine
        elif isinstance(mine, Mapping) and isinstance(now, Mapping):
            inside = was if isinstance(was, Mapping) else {}
            value = _merged(inside, mine, now, (*path, key), conflicts)
        else:
            conflicts.append(Conflict((*path, key), _text(was), _text(mine), _text(now)))
            value = now
        if value is not None:
            whole[key] = deepcopy(value)
    return whole


def _text(value: Any) -> str:
    if value is None:
        return ABSENT
    return yamltext.dump(value).rstrip("\n")
