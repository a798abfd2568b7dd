"""A form made from a kind's OpenAPI schema, as the API server serves it; nothing here checks values. Pure.

The one who knows what is right is the API server: what was typed becomes an object, the object is given to
it, and what it says is put beside the fields. Only what can't become an object at all (a number that is none,
YAML that can't be read) is told here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Literal

from guestpost_dashboard import yamltext

Object = dict[str, Any]
Path = tuple[str | int, ...]
Kind = Literal["text", "long", "integer", "number", "choice", "flag", "group", "list", "yaml"]
# What one line can't hold is typed into a box.
LONG = 300
# Beyond that nobody looks for a field: it is typed as YAML.
DEEPEST = 6
_STRANGE = {"oneOf", "allOf", "anyOf", "not", "$ref", "x-kubernetes-int-or-string"}
_KINDS: Mapping[str, Kind] = {"integer": "integer", "number": "number", "boolean": "flag", "string": "text"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_STEP = re.compile(r"\.?([A-Za-z_][A-Za-z0-9_-]*)|\[(\d+)\]")


@dataclass(frozen=True)
class Field:
    """One field, or a group or list of them.

    Attributes:
        path: leads to its value in the object; a list's item has the index 0 in it.
        kind: what it is typed into.
        fixed: it can't be changed once the object is there.
        most: items of a list.
        fields: a group's, or the one that says how a list's items are.
    """

    path: Path
    kind: Kind
    label: str
    description: str = ""
    required: bool = False
    fixed: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    minimum: int | float | None = None
    maximum: int | float | None = None
    most: int | None = None
    fields: tuple[Field, ...] = ()

    @property
    def name(self) -> str:
        """What the field is called in a posted form, and in what the API server says of it."""
        return name_of(self.path)

    @property
    def id(self) -> str:
        """The same for attributes of HTML and selectors."""
        return re.sub(r"[^A-Za-z0-9]+", "-", self.name).strip("-")

    def is_touched(self, texts: Mapping[str, str], wrong: Mapping[str, Sequence[str]]) -> bool:
        """Whether a group holds more than its defaults, or something wrong, and so has to be open."""
        if any(name == self.name or name.startswith((f"{self.name}.", f"{self.name}[")) for name in wrong):
            return True
        for field in plain_fields(self):
            usual = "" if field.default is None or field.kind == "list" else text_of(field, field.default)
            if rows(field, texts) if field.kind == "list" else texts.get(field.name, usual) != usual:
                return True
        return False

    def every(self, texts: Mapping[str, str]) -> list[tuple[str, str]]:
        """Name and id of every field, group and list in it, of the items that are shown as well."""
        inside = [self.at(index) for index in rows(self, texts)] if self.kind == "list" else self.fields
        own = [(self.name, self.id)] if self.path else []
        return [*own, *(each for field in inside for each in field.every(texts))]

    def at(self, index: int) -> Field:
        """A list's item number `index`."""
        return _moved(self.fields[0], len(self.path), index)


def _moved(field: Field, place: int, index: int) -> Field:
    path = (*field.path[:place], index, *field.path[place + 1 :])
    return replace(field, path=path, fields=tuple(_moved(each, place, index) for each in field.fields))


def name_of(path: Path) -> str:
    """A path as the API server writes it, such as spec.deletion.abandon[0].reason."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def path_of(name: str) -> Path:
    """What `name_of` made a name of; empty when it is no such name."""
    path: list[str | int] = []
    at = 0
    while at < len(name):
        found = _STEP.match(name, at)
        if found is None:
            return ()
        path.append(found[1] if found[2] is None else int(found[2]))
        at = found.end()
    return tuple(path)


# -- schema to form --------------------------------------------------------------------------------------


def schema_of(document: Mapping[str, Any], kind: str) -> Object:
    """A kind's schema from a document of /openapi/v3.

    Args:
        document: of the kind's group and version.
        kind: such as GuestPostTenant.

    Raises:
        LookupError: the document doesn't know the kind.
    """
    for schema in document.get("components", {}).get("schemas", {}).values():
        if any(each.get("kind") == kind for each in schema.get("x-kubernetes-group-version-kind", [])):
            found: Object = schema
            return found
    raise LookupError(f"the API server does not know the kind {kind}: is GuestPostCRM's chart installed?")


def form_of(schema: Mapping[str, Any]) -> Field:
    """The form for a kind: its name, then its spec."""
    name = Field(
        ("metadata", "name"),
        "text",
        "Name",
        "Becomes part of everything that is made for it, and can't be changed. Lower-case letters, digits "
        "and hyphens.",
        required=True,
        fixed=True,
    )
    spec = field_of(schema.get("properties", {}).get("spec", {}), ("spec",), required=True)
    return Field((), "group", str(schema.get("description", "")), fields=(name, spec))


def field_of(schema: Mapping[str, Any], path: Path, *, required: bool = False) -> Field:
    """The field for a value of which the schema is known; YAML for a shape that has no field of its own."""
    words = str(schema.get("description", "")).strip()
    default = deepcopy(schema.get("default"))
    field = Field(path, "yaml", label(path), words, required, _is_fixed(schema), default)
    kind, choices = schema.get("type"), schema.get("enum")
    if _STRANGE & schema.keys() or len(path) > DEEPEST:
        return field
    if kind == "object":
        return _group(field, schema)
    if kind == "array":
        return _list(field, schema)
    if kind == "string" and choices:
        return replace(field, kind="choice", choices=tuple(map(str, choices)))
    found = _KINDS.get(str(kind))
    if found is None or choices or schema.get("format") == "byte":
        return field
    if found == "text" and schema.get("maxLength", 0) >= LONG:
        found = "long"
    return replace(field, kind=found, minimum=schema.get("minimum"), maximum=schema.get("maximum"))


def _group(field: Field, schema: Mapping[str, Any]) -> Field:
    properties = schema.get("properties", {})
    strange = schema.get("additionalProperties") or schema.get("x-kubernetes-preserve-unknown-fields")
    if not properties or strange or not all(map(_NAME.fullmatch, properties)):
        return field
    needed = schema.get("required", [])
    fields = [field_of(of, (*field.path, name), required=name in needed) for name, of in properties.items()]
    # The API server sorts fields by name. What has to be filled in comes first, what is folded away last.
    fields.sort(key=lambda each: (not each.required, each.kind in ("group", "list", "yaml")))
    return replace(field, kind="group", fields=tuple(fields))


def _list(field: Field, schema: Mapping[str, Any]) -> Field:
    item = field_of(schema.get("items", {}), (*field.path, 0))
    plain = ("text", "long", "integer", "number", "choice")
    flat = item.kind == "group" and all(each.kind in (*plain, "flag") for each in item.fields)
    if not flat and item.kind not in plain:
        return field
    return replace(field, kind="list", fields=(item,), most=schema.get("maxItems"))


def _is_fixed(schema: Mapping[str, Any]) -> bool:
    rules = schema.get("x-kubernetes-validations", [])
    return any(str(each.get("rule", "")).strip() == "self == oldSelf" for each in rules)


def label(path: Path) -> str:
    """What a field is called for people: googleProject is Google project."""
    name = next((step for step in reversed(path) if isinstance(step, str)), "")
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).split()
    words = [word if word.isupper() and len(word) > 1 else word.lower() for word in words]
    if words[-1:] == ["seconds"] and len(words) > 1:
        words[-1] = "(seconds)"
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def plain_fields(field: Field) -> Iterator[Field]:
    """Every field in a group that holds one value, YAML and lists as a whole."""
    if field.kind == "group":
        for each in field.fields:
            yield from plain_fields(each)
    else:
        yield field


def part(form: Field, names: Sequence[str], needed: Sequence[str] = ()) -> Field:
    """A form with some of the fields of another.

    Args:
        form: the other.
        names: of the fields. One of a list's first item, such as spec.deletion.abandon[0].reason, is asked
            for by itself: its name is the last part, here reason.
        needed: those that have to be filled in here, whatever the schema says.
    """
    chosen = []
    for name in names:
        found = _found(form, path_of(name))
        inside = any(isinstance(step, int) for step in found.path)
        path = found.path[-1:] if inside else found.path
        chosen.append(replace(found, path=path, required=found.required or name in needed))
    return replace(form, fields=tuple(chosen))


def _found(form: Field, path: Path) -> Field:
    for field in form.fields:
        if field.path == path:
            return field
        if field.path == path[: len(field.path)]:
            return _found(field, path)
    raise LookupError(f"the form has no field {name_of(path)}")


# -- object to what is shown, and back -------------------------------------------------------------------


def shown(form: Field, whole: Mapping[str, Any]) -> dict[str, str]:
    """What the fields of a form hold for an object, by name; defaults where it holds nothing."""
    texts: dict[str, str] = {}
    for field in plain_fields(form):
        value = value_at(whole, field.path)
        texts |= _texts(field, field.default if value is None else value)
    return texts


def _texts(field: Field, value: Any) -> dict[str, str]:
    if field.kind == "list" and isinstance(value, list):
        texts: dict[str, str] = {}
        for index, item in enumerate(value):
            for each in plain_fields(field.at(index)):
                inside = value_at({"item": item}, ("item", *each.path[len(field.path) + 1 :]))
                texts |= _texts(each, inside)
        return texts
    return {} if value is None else {field.name: text_of(field, value)}


def text_of(field: Field, value: Any) -> str:
    """A value as it is typed."""
    if field.kind == "yaml" or isinstance(value, dict | list):
        return yamltext.dump(value).rstrip("\n")
    return str(value).lower() if isinstance(value, bool) else str(value)


def value_at(whole: Any, path: Path) -> Any:
    """The value that a path leads to, None where there is none."""
    for step in path:
        if isinstance(step, str) and isinstance(whole, Mapping):
            whole = whole.get(step)
        elif isinstance(step, int) and isinstance(whole, list) and step < len(whole):
            whole = whole[step]
        else:
            return None
    return whole


def rows(field: Field, texts: Mapping[str, str]) -> list[int]:
    """The indices of a list's items that were typed or are shown, in order."""
    begin = re.compile(re.escape(field.name) + r"\[(\d{1,4})\]")
    return sorted({int(found[1]) for name in texts if (found := begin.match(name))})


def read(
    form: Field, posted: Mapping[str, str], base: Mapping[str, Any] | None = None, *, sparse: bool = True
) -> tuple[Object, dict[str, str]]:
    """The object that was typed.

    A field that was left empty is left out. A field that was not posted at all stays as in `base`.

    Args:
        form: made by `form_of`.
        posted: texts by the names of fields; others are left alone.
        base: what was loaded; what the form does not know of it stays.
        sparse: whether a default is left out where `base` says nothing, for the API server to fill in.

    Returns:
        The object, and what could not be read, by name of the field.
    """
    whole: Object = deepcopy(dict(base or {}))
    wrong: dict[str, str] = {}
    for field in plain_fields(form):
        if field.kind == "list":
            if (value := _read_list(field, posted, wrong)) is _ABSENT:
                continue
        elif field.name in posted:
            value = _read_one(field, posted[field.name], wrong)
        else:
            continue
        held = value_at(base or {}, field.path)
        usual = sparse and held is None and value == field.default
        if value is None or usual or (value == [] and held != []):
            # What was not there is not taken out: an empty group that is there stays.
            if held is not None:
                _remove(whole, field.path)
        else:
            _put(whole, field.path, value)
    return whole, wrong


_ABSENT = object()


def _read_list(field: Field, posted: Mapping[str, str], wrong: dict[str, str]) -> Any:
    if field.name not in posted and not rows(field, posted):
        return _ABSENT
    items: list[Any] = []
    for index in rows(field, posted):
        item = field.at(index)
        given = {each: _read_one(each, posted.get(each.name, ""), wrong) for each in plain_fields(item)}
        filled = {each: value for each, value in given.items() if value is not None}
        # A row in which nothing was written is no item.
        if all(value == each.default for each, value in filled.items()):
            continue
        if item.kind == "group":
            items.append({str(each.path[-1]): value for each, value in filled.items()})
        else:
            items.extend(filled.values())
    return items


def _read_one(field: Field, text: str, wrong: dict[str, str]) -> Any:
    """What a text means, None for nothing; why it can't be read goes into `wrong`."""
    typed = text.replace("\r\n", "\n") if field.kind in ("long", "yaml") else text.strip()
    if not typed.strip():
        return None
    try:
        return _meant(field, typed)
    except yamltext.UnreadableError as error:
        wrong[field.name] = str(error)
    except ValueError:
        wrong[field.name] = f"{typed[:40]} is no number; write digits alone"
    return typed


def _meant(field: Field, typed: str) -> Any:
    if field.kind == "flag":
        return typed == "true"
    if field.kind == "integer":
        return int(typed)
    if field.kind == "number":
        number = float(typed)
        if not math.isfinite(number):
            raise ValueError
        return number
    return yamltext.load(typed) if field.kind == "yaml" else typed


def _put(whole: Object, path: Path, value: Any) -> None:
    for step in path[:-1]:
        inside = whole.get(str(step))
        if not isinstance(inside, dict):
            inside = whole[str(step)] = {}
        whole = inside
    whole[str(path[-1])] = value


def _remove(whole: Object, path: Path) -> None:
    """Take a value out, and the groups that it leaves empty."""
    trail = [whole]
    for step in path[:-1]:
        inside = trail[-1].get(str(step))
        if not isinstance(inside, dict):
            return
        trail.append(inside)
    trail[-1].pop(str(path[-1]), None)
    for depth in range(len(trail) - 1, 0, -1):
        if trail[depth]:
            return
        trail[depth - 1].pop(str(path[depth - 1]), None)
