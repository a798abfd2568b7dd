"""Placements: what is expected, when it is looked at, and what a look changes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from guestpost_crm.accounts.models import Person
from guestpost_crm.outreach.models import Order, OrderChange, Placement, PlacementCheck
from guestpost_crm.outreach.models.placements import PlacementState
from guestpost_crm.outreach.services.acting import acted

DAILY, SOON, WEEKLY = dt.timedelta(days=1), dt.timedelta(hours=1), dt.timedelta(days=7)
# Gone in two looks in a row is lost; a server that does not answer gets longer, for it may be down.
MISSES_TO_LOSE, FAILURES_TO_LOSE = 2, 7
# How long a look may take before somebody else may take the placement.
LEASE = dt.timedelta(minutes=10)
KEPT = 400
# What a correction of an order changes in its placement.
_FOLLOWED = (
    "url", "target_url", "anchor", "rel", "site", "state", "was_live", "misses", "failures", "next_check_at",
    "updated_at",
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """What a look at a page says of a placement.

    Attributes:
        outcome: `live`, `changed` (there, but not as agreed), `missing`, `unreachable`.
        problems: words for what is wrong, such as `nofollow`.
        findings: everything that was seen, for the history.
    """

    outcome: str
    problems: tuple[str, ...]
    findings: dict[str, Any]


@dataclass(frozen=True)
class Standing:
    """Where a placement stands; see Placement."""

    state: str
    was_live: bool
    misses: int
    failures: int


def decide(before: Standing, outcome: str) -> Standing:
    """Where a placement stands after a look."""
    if outcome in (PlacementState.LIVE, PlacementState.CHANGED):
        return Standing(outcome, was_live=True, misses=0, failures=0)
    if outcome == "missing":
        misses = before.misses + 1
        if before.state == PlacementState.LOST or (before.was_live and misses >= MISSES_TO_LOSE):
            return Standing(PlacementState.LOST, before.was_live, misses, 0)
        state = PlacementState.MISSING if before.was_live else PlacementState.NEVER
        return Standing(state, before.was_live, misses, 0)
    # No answer says nothing of the link: it neither confirms nor forgets a miss.
    failures = before.failures + 1
    if before.state == PlacementState.LOST or (before.was_live and failures >= FAILURES_TO_LOSE):
        return Standing(PlacementState.LOST, before.was_live, before.misses, failures)
    return Standing(PlacementState.UNREACHABLE, before.was_live, before.misses, failures)


def next_look(after: Standing) -> dt.timedelta:
    """How long until the next look."""
    if after.state == PlacementState.MISSING or (
        after.state == PlacementState.UNREACHABLE and after.failures == 1
    ):
        return SOON
    if after.state == PlacementState.LOST or after.misses > MISSES_TO_LOSE:
        return WEEKLY
    return DAILY


@transaction.atomic
def save(person: Person | None, placement: Placement) -> Placement:
    """Store a placement that a person made or changed; it is looked at soon.

    Raises:
        PermissionDenied: the person may only read.
    """
    new = placement.pk is None
    placement.next_check_at = timezone.now()
    placement.save()
    acted(person, "placement.created" if new else "placement.changed", f"placement:{placement.pk}")
    return placement


def follow(person: Person | None, order: Order) -> None:
    """See that the link of a published order is looked after.

    A page or target that was corrected in the order is corrected in the placement that came from it.
    """
    known = Placement.objects.filter(order=order).order_by("pk").first()
    if (placement := _followed(order, known)) is not None:
        save(person, placement)


def follow_all(orders: Iterable[Order]) -> None:
    """The same of many orders, in few statements and told on the audit log by whoever calls."""
    published = list(orders)
    # Locked, for a look may be writing what it found.
    rows = Placement.objects.select_for_update().filter(order__in=published).order_by("-pk")
    first = {each.order_id: each for each in rows}
    wanted = [each for order in published if (each := _followed(order, first.get(order.pk))) is not None]
    now = timezone.now()
    for each in wanted:
        each.next_check_at = each.updated_at = now
    known = [each for each in wanted if each.pk]
    Placement.objects.bulk_create([each for each in wanted if not each.pk], batch_size=1000)
    # As if they were new: bulk_update takes minutes for thousands.
    Placement.objects.bulk_create(
        known, batch_size=1000, update_conflicts=True, unique_fields=["id"], update_fields=_FOLLOWED
    )


def _followed(order: Order, known: Placement | None) -> Placement | None:
    """The placement of an order as it is to be stored; None when there is none, or all is as it was."""
    if not order.published_url or not order.target_url:
        return None
    wanted = {
        "url": order.published_url,
        "target_url": order.target_url,
        "anchor": order.anchor,
        "rel": order.link_policy,
        "site_id": order.site_id,
    }
    if known is None:
        return Placement(order=order, **wanted)
    if all(getattr(known, name) == value for name, value in wanted.items()):
        return None
    same_link = (known.url, known.target_url) == (order.published_url, order.target_url)
    for name, value in wanted.items():
        setattr(known, name, value)
    if not same_link:
        known.state, known.was_live, known.misses, known.failures = PlacementState.UNCHECKED, False, 0, 0
    return known


@transaction.atomic
def ask(person: Person, placement: Placement) -> None:
    """Have a placement looked at as soon as possible (PermissionDenied for readers)."""
    Placement.objects.filter(pk=placement.pk).update(next_check_at=timezone.now())
    acted(person, "placement.check-asked", f"placement:{placement.pk}")


@transaction.atomic
def stop(person: Person, placement: Placement) -> None:
    """Look at a placement no more, and take back its alert (PermissionDenied for readers)."""
    Placement.objects.filter(pk=placement.pk).update(next_check_at=None)
    acted(person, "placement.check-stopped", f"placement:{placement.pk}")
    placement.refresh_from_db()
    _alert(placement)


@transaction.atomic
def claim(now: dt.datetime) -> Placement | None:
    """Take the placement that has waited longest for a look; nobody else takes it during LEASE."""
    due = Placement.objects.filter(next_check_at__lte=now).order_by("next_check_at", "pk")
    placement = due.select_for_update(skip_locked=True).first()
    if placement is not None:
        placement.next_check_at = now + LEASE
        placement.save(update_fields=["next_check_at"])
    return placement


@transaction.atomic
def looked(claimed: Placement, look: Look, now: dt.datetime) -> Placement:
    """Keep what a look found, and raise or end the alert.

    What a person changed during the look counts: it is then looked at again at once.
    """
    placement = Placement.objects.select_for_update().get(pk=claimed.pk)
    if (placement.url, placement.target_url) != (claimed.url, claimed.target_url):
        return placement
    before = Standing(placement.state, placement.was_live, placement.misses, placement.failures)
    after = decide(before, look.outcome)
    placement.state, placement.was_live = after.state, after.was_live
    placement.misses, placement.failures = after.misses, after.failures
    placement.problems = list(look.problems)
    placement.checked_at = now
    if after.state != PlacementState.LOST:
        placement.lost_at = None
        if before.state == PlacementState.LOST:
            acted(None, "placement.found", f"placement:{placement.pk}")
    elif before.state != PlacementState.LOST:
        placement.lost_at = now
        acted(None, "placement.lost", f"placement:{placement.pk}")
    if placement.next_check_at == claimed.next_check_at and placement.next_check_at is not None:
        placement.next_check_at = now + next_look(after)
    placement.save()
    PlacementCheck.objects.create(placement=placement, at=now, state=after.state, findings=look.findings)
    _forget_old(placement)
    _alert(placement)
    return placement


def lost() -> int:
    """How many links are lost and still looked after."""
    # Every page asks: the statement itself takes a tenth of the time that it takes to be put together.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM placement WHERE state = %s AND next_check_at IS NOT NULL",
            [PlacementState.LOST.value],
        )
        return int(cursor.fetchone()[0])


def _forget_old(placement: Placement) -> None:
    """The newest KEPT looks are a year and more of daily ones."""
    old = placement.checks.order_by("-at", "-pk").values_list("pk", flat=True)[KEPT:]
    PlacementCheck.objects.filter(pk__in=list(old)).delete()


def _alert(placement: Placement) -> None:
    """The order's flag: any of its placements that are looked after is lost."""
    if placement.order_id is None:
        return
    lost = Placement.objects.filter(
        order=placement.order_id, state=PlacementState.LOST, next_check_at__isnull=False
    ).exists()
    order = Order.objects.select_for_update().get(pk=placement.order_id)
    if order.link_lost != lost:
        order.link_lost = lost
        order.save(update_fields=["link_lost", "updated_at"])
        OrderChange.objects.create(
            order=order, person=None, field="link_lost", old=str(not lost), new=str(lost)
        )
