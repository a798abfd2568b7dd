"""Counting, and telling the counts."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator

from django.db import DatabaseError, connection
from django.db.models import Sum
from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from guestpost_crm.usage.models import Event, UsageCount


def count(event: Event) -> None:
    """Count an event once, today."""
    with connection.cursor() as cursor:
        # One statement, so that two at a time are two.
        cursor.execute(
            "INSERT INTO usage_count (day, event, count) VALUES (%s, %s, 1)"
            " ON CONFLICT (day, event) DO UPDATE SET count = usage_count.count + 1",
            [timezone.now().astimezone(dt.UTC).date(), event.value],
        )


def totals() -> dict[str, int]:
    """How often each event has happened so far."""
    rows = UsageCount.objects.values_list("event").annotate(Sum("count"))
    return {**dict.fromkeys(Event.values, 0), **dict(rows)}


WEEKS = 12


def by_week(now: dt.datetime) -> dict[Event, list[tuple[dt.date, int]]]:
    """How often each event happened in each of the last twelve weeks (UTC), by their Mondays."""
    today = now.astimezone(dt.UTC).date()
    monday = today - dt.timedelta(days=today.weekday())
    mondays = [monday - dt.timedelta(weeks=away) for away in range(WEEKS - 1, -1, -1)]
    counts: Counter[tuple[str, dt.date]] = Counter()
    rows = UsageCount.objects.filter(day__gte=mondays[0]).values_list("event", "day", "count")
    for event, day, number in rows:
        counts[event, day - dt.timedelta(days=day.weekday())] += number
    return {event: [(each, counts[event.value, each]) for each in mondays] for event in Event}


class UsageCollector(Collector):
    """The counts for Prometheus: `guestpost_usage_events_total` by event."""

    def collect(self) -> Iterator[Metric]:
        """Read the counts now."""
        family = CounterMetricFamily(
            "guestpost_usage_events", "How often people did something.", labels=["event"]
        )
        try:
            for event, number in sorted(totals().items()):
                family.add_metric([event], number)
        except DatabaseError:
            # Without the database there is nothing to tell of; the other metrics go on.
            return
        finally:
            connection.close()
        yield family
