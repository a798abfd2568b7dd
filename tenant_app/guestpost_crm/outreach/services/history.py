"""The history of an order as people read it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext_lazy as _

from guestpost_crm.accounts.models import Person
from guestpost_crm.inbox.models import Message
from guestpost_crm.outreach.models import Contact, CustomField, Order, OrderChange, Site
from guestpost_crm.outreach.models.common import LinkPolicy
from guestpost_crm.outreach.models.custom import Target
from guestpost_crm.outreach.models.orders import Stage

MOST = 300
_LABELS = {
    "site_id": _("Site"), "contact_id": _("Contact"), "thread_id": _("Conversation"), "stage": _("Stage"),
    "anchor": _("Anchor text"), "target_url": _("Target address"), "link_policy": _("Link agreed"),
    "draft_url": _("Draft"), "draft_message_id": _("Draft in the mail"), "draft_part": _("Part of the mail"),
    "draft_file": _("Draft file"),
    "published_url": _("Published at"), "price": _("Price"), "currency": _("Currency"), "due_on": _("Due"),
    "assigned_id": _("Assigned to"), "notes": _("Notes"), "link_lost": _("Alert: link lost"),
}  # fmt: skip
_RECORDS: dict[str, Any] = {
    "site_id": Site, "contact_id": Contact, "assigned_id": Person, "draft_message_id": Message,
}  # fmt: skip
_WORDS = {
    "stage": dict(Stage.choices),
    "link_policy": dict(LinkPolicy.choices),
    "link_lost": {"True": _("yes"), "False": _("no")},
}


@dataclass
class Entry:
    """What one person changed in one go; `lines` are label, old and new value."""

    at: dt.datetime
    person: Person | None
    lines: list[tuple[str, str, str]] = field(default_factory=list)


def of(order: Order) -> list[Entry]:
    """The newest changes of an order, the newest first, those of one moment together."""
    found = list(order.changes.select_related("person")[:MOST])
    names = _names(found)
    custom = dict(CustomField.objects.filter(target=Target.ORDER).values_list("key", "label"))
    entries: list[Entry] = []
    for change in found:
        last = entries[-1] if entries else None
        together = dt.timedelta(seconds=1)
        if last is None or last.person != change.person or last.at - change.at > together:
            last = Entry(change.at, change.person)
            entries.append(last)
        label = str(
            _LABELS.get(change.field) or custom.get(change.field.removeprefix("custom."), change.field)
        )
        last.lines.append(
            (label, _value(change.field, change.old, names), _value(change.field, change.new, names))
        )
    return entries


def _names(changes: Iterable[OrderChange]) -> dict[tuple[str, str], str]:
    """The names of the records that changes tell of by their keys."""
    wanted: dict[str, set[str]] = {}
    for change in changes:
        if change.field in _RECORDS:
            wanted.setdefault(change.field, set()).update(each for each in (change.old, change.new) if each)
    return {
        (name, str(record.pk)): (record.subject or "?") if isinstance(record, Message) else str(record)
        for name, keys in wanted.items()
        for record in _RECORDS[name].objects.filter(pk__in=keys)
    }


def _value(name: str, value: str, names: dict[tuple[str, str], str]) -> str:
    if name in _RECORDS and value:
        return names.get((name, value), f"#{value}")
    return str(_WORDS.get(name, {}).get(value, value))
