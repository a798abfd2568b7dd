"""The CRM's tables as JSON Lines and CSV: which, in which order, and with which columns.

Every table is either exported or named below with the reason why not; a test holds the two together.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from django.apps import apps
from django.core.serializers import jsonl
from django.db.models import Model

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


def lines(model: type[Model]) -> Iterator[bytes]:
    """A table as JSON Lines in the order of its keys, in Django's own format: {"model", "pk", "fields"}."""
    names = columns(model)
    rows = model._default_manager.order_by("pk").iterator(chunk_size=_BATCH)
    while batch := list(islice(rows, _BATCH)):
        yield from _Lines().serialize(batch, fields=names).encode().splitlines(keepends=True)


class _Lines(jsonl.Serializer):
    """Django's own, with a record encoded in one go: `json.dump`, which it uses, goes Python's slow way."""

    def end_object(self, obj: Any) -> None:
        self.stream.write(f"{json.dumps(self.get_dump_object(obj), **self.json_kwargs)}\n")
        self._current = None


def spreadsheet(model: type[Model], source: Iterable[bytes]) -> Iterator[bytes]:
    """A table as CSV (RFC 4180) from its JSON Lines, a line for each record after the names of the columns.

    A text that a spreadsheet would take for a formula gets an apostrophe before it; the JSON Lines have the
    texts as they are (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    names = columns(model)
    yield _csv(["id", *names])
    for line in source:
        row = json.loads(line)
        yield _csv([row["pk"], *(_cell(row["fields"][name]) for name in names)])


def _csv(cells: list[Any]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text
