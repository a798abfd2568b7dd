"""Orders: storing them with their history, moving them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from guestpost_crm.accounts.models import Person
from guestpost_crm.outreach.models import Order, OrderChange
from guestpost_crm.outreach.models.orders import Stage
from guestpost_crm.outreach.services import placements, stages
from guestpost_crm.outreach.services.acting import acted

# What the history tells of; keys of records stand for them, names are looked up when it is shown.
TRACKED = (
    "site_id", "contact_id", "thread_id", "stage", "anchor", "target_url", "link_policy", "draft_url",
    "draft_message_id", "draft_part", "published_url", "price", "currency", "due_on", "assigned_id", "notes",
    "link_lost",
)  # fmt: skip
SHOWN_IN_A_COLUMN = 25


class MoveError(Exception):
    """The order stays where it is; the message says why."""


def state_of(order: Order) -> dict[str, str]:
    """The values that the history compares."""
    values = {name: _text(getattr(order, name)) for name in TRACKED}
    return values | {f"custom.{key}": _text(value) for key, value in order.custom.items()}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:.2f}"
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def changes(before: dict[str, str], after: dict[str, str]) -> list[tuple[str, str, str]]:
    """Field, old and new value of everything that differs."""
    names = [*before, *(name for name in after if name not in before)]
    pairs = ((name, before.get(name, ""), after.get(name, "")) for name in names)
    return [(name, old, new) for name, old, new in pairs if old != new]


@transaction.atomic
def save(person: Person | None, order: Order) -> Order:
    """Store an order that was made or changed, and what changed.

    Args:
        person: who; None for the system.
        order: valid; compared with what is stored.

    Raises:
        PermissionDenied: the person may only read.
    """
    stored = Order.objects.select_for_update(of=("self",)).filter(pk=order.pk).first() if order.pk else None
    before = state_of(stored) if stored else {}
    if stored is None or stored.stage != order.stage:
        reached(order)
    order.save()
    differing = changes(before, state_of(order)) if stored else [("stage", "", order.stage)]
    OrderChange.objects.bulk_create(
        OrderChange(order=order, person=person, field=name[:60], old=old, new=new)
        for name, old, new in differing
    )
    if stored is None or differing:
        action = "order.changed" if stored else "order.created"
        acted(person, action, f"order:{order.pk}", fields=",".join(name for name, _old, _new in differing))
    if order.stage in (Stage.PUBLISHED, Stage.PAID):
        placements.follow(person, order)
    return order


def reached(order: Order) -> None:
    """Remember when an order came to the stages that reports measure between."""
    order.moved_at = timezone.now()
    today = timezone.localdate()
    if order.stage == Stage.AGREED and order.agreed_on is None:
        order.agreed_on = today
    if order.stage in (Stage.PUBLISHED, Stage.PAID) and order.published_on is None:
        order.published_on = today


@transaction.atomic
def move(person: Person, key: int, expected: str, to: str) -> Order:
    """Move an order to another stage.

    Args:
        person: who does it.
        key: of the order.
        expected: the stage that the person saw it at.
        to: where it goes.

    Raises:
        MoveError: somebody else moved it meanwhile, or something is missing for that stage.
        PermissionDenied: the person may only read.
    """
    order = Order.objects.select_for_update(of=("self",)).select_related("site").get(pk=key)
    if to not in Stage.values:
        raise MoveError(_("There is no such stage."))
    if order.stage != expected:
        raise MoveError(
            _("%(order)s was moved to “%(stage)s” by somebody else meanwhile. Nothing was changed.")
            % {"order": order.site, "stage": order.get_stage_display()}
        )
    if problem := stages.blocked(order, to):
        raise MoveError(f"{order.site}: {problem}")
    if to != order.stage:
        order.stage = to
        save(person, order)
    return order


class Card(NamedTuple):
    """What the board shows of an order: rows of the database, for records with all they have cost time."""

    key: int
    domain: str
    link_lost: bool
    anchor: str
    price: Decimal | None
    currency: str
    due_on: dt.date | None
    contact: str | None
    assigned: str | None


def columns(found: QuerySet[Order], wanted: Iterable[Stage]) -> dict[str, list[Card]]:
    """The orders of each stage that the board shows, the most urgent first, in two queries."""
    order = (F("due_on").asc(nulls_last=True), "-pk")
    first, *others = (
        found.filter(stage=stage).order_by(*order).values_list("pk", flat=True)[:SHOWN_IN_A_COLUMN]
        for stage in wanted
    )
    shown = Order.objects.filter(pk__in=list(first.union(*others, all=True))).order_by(*order)
    names = ("pk", "site__domain", "link_lost", "anchor", "price", "currency", "due_on", "contact__name")
    rows = shown.values_list("stage", *names, "assigned__name", "assigned__email")
    cards: dict[str, list[Card]] = {}
    for stage, *facts, name, address in rows:
        cards.setdefault(stage, []).append(Card._make((*facts, name or address)))
    return cards
