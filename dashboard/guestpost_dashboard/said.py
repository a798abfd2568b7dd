"""What the API server says of an object that was typed, beside the fields that it is about. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from guestpost_dashboard.forms import Field, name_of, path_of

NEEDED = "This is needed."
# What the API server adds when something needed is not there.
UNCHECKED = "some validation rules were not checked"
# How the API server says that the name is not there; a form asks for no generateName.
_NAMELESS = "name or generateName is required"
# How the API server begins what it says of a value: kind of trouble, the value as JSON, then the sentence.
_TROUBLE = re.compile(r"(Invalid value|Required value|Forbidden|Duplicate value): ")


@dataclass(frozen=True)
class Placed:
    """What is wrong: beside the fields by their names, and what is about no field that is shown."""

    fields: Mapping[str, Sequence[str]]
    general: Sequence[str]

    def __bool__(self) -> bool:
        return bool(self.fields or self.general)


def unfinished(placed: Placed) -> Placed:
    """What is worth saying while somebody still types: not yet what is needed and not there."""
    fields = {name: [each for each in said if each != NEEDED] for name, said in placed.fields.items()}
    general = [each for each in placed.general if not each.startswith(UNCHECKED)]
    return Placed({name: said for name, said in fields.items() if said}, general)


def placed(form: Field, causes: Iterable[tuple[str, str]], wrong: Mapping[str, str] | None = None) -> Placed:
    """Put what the API server says beside the fields that it is about.

    Args:
        form: the form that is shown.
        causes: field and message of each of the answer's causes.
        wrong: what `read` could not read; nothing else is said of those fields, for nothing else is known.
    """
    names = _names(form)
    fields: dict[str, list[str]] = {name: [said] for name, said in (wrong or {}).items()}
    general: list[str] = []
    for where, message in causes:
        said = sentence(message).removeprefix(f"{where} in body ")
        name = next((each for each in _upwards(where) if _known(each, names)), "")
        if not name:
            general.append(f"{where}: {said}" if path_of(where) and not said.startswith(where) else said)
        elif name not in (wrong or {}) and said not in fields.get(name, []):
            fields.setdefault(name, []).append(said)
    return Placed(fields, general)


def _names(form: Field) -> set[str]:
    return {form.name, *(name for each in form.fields for name in _names(each))} - {""}


def _upwards(where: str) -> Iterator[str]:
    path = path_of(where)
    for length in range(len(path), 0, -1):
        yield name_of(path[:length])


def _known(name: str, names: set[str]) -> bool:
    return re.sub(r"\[\d+\]", "[0]", name) in names


def sentence(message: str) -> str:
    """What the API server says of a value, without the value that it repeats."""
    found = _TROUBLE.match(message)
    if found is None:
        return NEEDED if message == "Required value" else message
    rest = message[found.end() :]
    if rest == _NAMELESS:
        return NEEDED
    if found[1] in ("Invalid value", "Duplicate value"):
        try:
            _, end = json.JSONDecoder().raw_decode(rest)
        except ValueError:
            # A value that is left out, or not written as JSON.
            return rest or message
        rest = rest[end:].removeprefix(": ")
    return rest or message
