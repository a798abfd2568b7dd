"""The CRM's tables as JSON Lines and CSV: which, in which order, and with which columns.

Every table is either exported or named below with the reason why not; a test holds the two together.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Iterator
from itertools import islice
from types import SimpleNamespace
from typing import Any

from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Field, ManyToManyField, Model
from django.utils.encoding import is_protected_type

LEFT_OUT: dict[str, str] = {
    "auth.group": "not used",
    "auth.permission": "made by Django from the code",
    "contenttypes.contenttype": "made by Django from the code",
    "sessions.session": "who is signed in now; worth nothing elsewhere and a secret here",
    "accounts.authenticator": "a secret of this server; it is set up anew elsewhere",
    "accounts.recoverycode": "secrets of this server",
    "accounts.signin": "who is signed in now; means nothing elsewhere",
    "crypto.datakey": "keys never leave the tenant",
    "inbox.blob": "its content is in the mbox files and the drafts",
    "inbox.blobchunk": "its content is in the mbox files and the drafts",
    "inbox.part": "found again in the messages",
    "integrations.apitoken": "a secret of this server; other programs need new ones elsewhere",
    "integrations.delivery": "what was told to other programs, and is still to be told",
    "notices.notice": "what was written to people by this server, and is still to be written",
    "gmail.fetchitem": "what is still to be fetched from Gmail",
}
LEFT_OUT_COLUMNS: dict[str, set[str]] = {
    "accounts.person": {"password", "last_login"},
    "gmail.mailbox": {
        # Consent and the state of the synchronisation belong to this server.
        "refresh_token", "state", "history_id", "listing", "listing_page", "listing_count", "notified",
        "processed", "watch_expires_at", "synced_at", "error", "error_at", "compared_at", "difference",
        "listing_total", "listing_began_at", "notified_at", "unnoticed", "watch_error",
        "beat_at", "looked_at", "quota_per_minute", "fetch_rate", "labels_due",
    },
    "gmail.outboxmessage": {"raw"},
    "integrations.webhook": {"secret", "failing_since"},
    "outreach.draftfile": {"raw"},
    "inbox.message": {"raw", "listed_in", "search"},
}  # fmt: skip
_BATCH = 500
_JSON = DjangoJSONEncoder(ensure_ascii=False, separators=(",", ": "))
_AS_THEY_ARE = frozenset((str, int, bool, float, type(None)))
_JSON_CELL = json.JSONEncoder(ensure_ascii=False)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def exported() -> list[type[Model]]:
    """The models whose tables are exported, by label."""
    found = [model for model in apps.get_models() if model._meta.label_lower not in LEFT_OUT]
    return sorted(found, key=lambda model: model._meta.label_lower)


def columns(model: type[Model]) -> list[str]:
    """The names of a model's exported fields, without its key."""
    left_out = LEFT_OUT_COLUMNS.get(model._meta.label_lower, set())
    fields = [*model._meta.fields, *model._meta.many_to_many]
    return [field.name for field in fields if field.name not in left_out and not field.primary_key]


def records(model: type[Model]) -> Iterator[tuple[bytes, bytes]]:
    """A table in the order of its keys: each record as a line of JSON Lines and as one of CSV.

    The JSON Lines are what Django's serializer would write and its deserialiser reads: {"model", "pk",
    "fields"}, but times to the microsecond. Values are taken as the database gives them, without an instance
    around each, and no column is read that is not exported: the search's own are longer than all others
    together.

    In the CSV (RFC 4180) a text that a spreadsheet would take for a formula gets an apostrophe before it; the
    JSON Lines have the texts as they are (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    own, lists = _fields(model)
    names = [field.name for field in (*own, *lists)]
    label = str(model._meta)
    rows = model._default_manager.order_by("pk").values_list("pk", *(field.attname for field in own))
    for batch in _batches(rows.iterator(chunk_size=_BATCH)):
        keys = [row[0] for row in batch]
        related = [_related(field, keys) for field in lists]
        for key, *values in batch:
            plain = [
                value if value.__class__ in _AS_THEY_ARE else _plain(field, value)
                for field, value in zip(own, values, strict=True)
            ]
            plain += [each.get(key, []) for each in related]
            pk = _plain(model._meta.pk, key)
            line = _JSON.encode({"model": label, "pk": pk, "fields": dict(zip(names, plain, strict=True))})
            yield f"{line}\n".encode(), _csv([pk, *map(_cell, plain)])


def heading(model: type[Model]) -> bytes:
    """The first line of a table's CSV: the names of its columns."""
    return _csv(["id", *columns(model)])


def _fields(model: type[Model]) -> tuple[list[Field[Any, Any]], list[ManyToManyField[Any, Any]]]:
    """What is exported of a model: the fields that its table has, and the lists of others' keys."""
    names = set(columns(model))
    own = [field for field in model._meta.fields if field.name in names]
    return own, [field for field in model._meta.many_to_many if field.name in names]


def _batches(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch


def _related(field: ManyToManyField[Any, Any], keys: list[Any]) -> dict[Any, list[Any]]:
    """The keys that a many-to-many field has for each of these records, in the order of what they are of."""
    through: Any = field.remote_field.through
    source, target = (
        through._meta.get_field(name) for name in (field.m2m_field_name(), field.m2m_reverse_field_name())
    )
    rows = through._default_manager.filter(**{f"{source.name}__in": keys}).order_by(target.name)
    found: dict[Any, list[Any]] = {}
    for key, other in rows.values_list(source.attname, target.attname):
        found.setdefault(key, []).append(_plain(field.target_field, other))
    return found


def _plain(field: Field[Any, Any], value: Any) -> Any:
    """A value as JSON has it, by Django's rules but for times."""
    if value.__class__ in _AS_THEY_ARE:
        return value
    if isinstance(value, dt.datetime | dt.time):
        # Django's encoder cuts microseconds off, and what is cut to nothing comes back as another text.
        return value.isoformat().replace("+00:00", "Z")
    if not is_protected_type(value):
        record: Any = SimpleNamespace(**{field.attname: value})
        value = field.value_to_string(record)
    return value if isinstance(value, str | list | dict) else _JSON.default(value)


class _Line:
    """What a CSV writer writes to: it gives the line back."""

    def write(self, line: str) -> bytes:
        return line.encode()


_writerow = csv.writer(_Line()).writerow


def _csv(cells: list[Any]) -> bytes:
    line: Any = _writerow(cells)
    return bytes(line)


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return _JSON_CELL.encode(value)
    return str(value)
