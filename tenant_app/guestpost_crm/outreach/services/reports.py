"""Figures for reports; amounts of one currency, for nothing here knows rates."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, QuerySet, Sum
from django.db.models.functions import TruncMonth
from django.utils.translation import gettext as _

from guestpost_crm.outreach.models import Invoice, Order, Payment, Placement, Site
from guestpost_crm.outreach.models.orders import Stage
from guestpost_crm.outreach.models.placements import PlacementState
from guestpost_crm.outreach.money import cents, shown
from guestpost_crm.outreach.plots import Point

MONTHS, MOST_NICHES = 12, 12


def currencies() -> list[str]:
    """The currencies that orders and payments are in, the most used first."""
    rows = Order.objects.exclude(price=None).order_by().values_list("currency").annotate(count=Count("pk"))
    used = [code for code, _count in sorted(rows, key=lambda row: (-row[1], row[0]))]
    paid = Invoice.objects.order_by("currency").values_list("currency", flat=True).distinct()
    return list(dict.fromkeys([*used, *paid])) or ["USD"]


def months(today: dt.date) -> list[dt.date]:
    """The first days of the last twelve months, this one included."""
    first = today.replace(day=1)
    found = [first]
    while len(found) < MONTHS:
        first = (first - dt.timedelta(days=1)).replace(day=1)
        found.append(first)
    return found[::-1]


def spend(currency: str, today: dt.date) -> list[Point]:
    """What was paid in each of the last twelve months."""
    wanted = months(today)
    found = Payment.objects.filter(invoice__currency=currency, invoice__void=False, paid_on__gte=wanted[0])
    rows = found.annotate(month=TruncMonth("paid_on")).order_by().values_list("month").annotate(Sum("amount"))
    sums: dict[Any, Decimal] = dict(rows)
    return [
        Point(
            month.strftime("%m/%y"), sums.get(month, Decimal(0)), shown(sums.get(month, Decimal(0)), currency)
        )
        for month in wanted
    ]


def by_stage() -> list[Point]:
    """How many orders are at each stage."""
    counts = dict(Order.objects.order_by().values_list("stage").annotate(Count("pk")))
    return [
        Point(str(stage.label), counts.get(stage, 0), str(counts.get(stage, 0)), f"stage-{stage}")
        for stage in Stage
    ]


def price_by_niche(currency: str) -> list[Point]:
    """What a post costs on average at sites of each niche, of the niches with the most sites."""
    priced = Site.objects.filter(currency=currency, archived=False).exclude(price=None).exclude(niche="")
    rows = priced.order_by().values("niche").annotate(count=Count("pk"), average=Avg("price"))
    largest = sorted(rows, key=lambda row: (-row["count"], row["niche"]))[:MOST_NICHES]
    return [
        Point(
            f"{row['niche']} ({row['count']})",
            cents(row["average"]),
            shown(cents(row["average"]), currency),
        )
        for row in sorted(largest, key=lambda row: -row["average"])
    ]


_SPANS = ((3, "0-3"), (7, "4-7"), (14, "8-14"), (30, "15-30"), (None, "31+"))


def turnaround() -> tuple[list[Point], str]:
    """How many days passed from agreement to publication, and their average for people."""
    days = _days(Order.objects.exclude(agreed_on=None).exclude(published_on=None))
    counts = dict.fromkeys((name for _limit, name in _SPANS), 0)
    for each in days:
        counts[next(name for limit, name in _SPANS if limit is None or each <= limit)] += 1
    if not days:
        return [], ""
    average = _("%(days)s days on average") % {"days": f"{sum(days) / len(days):.1f}"}
    return [Point(name, count, str(count)) for name, count in counts.items()], average


def _days(found: QuerySet[Order]) -> list[int]:
    passed = ExpressionWrapper(F("published_on") - F("agreed_on"), output_field=DurationField())
    spans = found.annotate(passed=passed).values_list("passed", flat=True)
    return [max(0, span.days) for span in spans.iterator(chunk_size=2000)]


_MARKS = {PlacementState.LIVE: "good", PlacementState.LOST: "bad", PlacementState.NEVER: "bad"}


def placements() -> list[Point]:
    """How many placed links are in which state."""
    counts = dict(Placement.objects.order_by().values_list("state").annotate(Count("pk")))
    return [
        Point(str(state.label), counts[state], str(counts[state]), _MARKS.get(state, "warn"))
        for state in PlacementState
        if counts.get(state)
    ]
