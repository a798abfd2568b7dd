"""Maintenance windows: when tenants of a region may be moved. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from guestpost_operator.settings import Day, Window

DAYS = tuple(Day)


def is_open(windows: Iterable[Window], region: str, now: datetime) -> bool:
    """Whether a region's tenants may be moved now.

    Args:
        windows: all of the installation.
        region: the tenant's. One that no window speaks of is always open.
        now: with a time zone.
    """
    own = [each for each in windows if not each.regions or region in each.regions]
    return not own or any(_covers(each, now) for each in own)


def _covers(window: Window, now: datetime) -> bool:
    zone = ZoneInfo(window.time_zone)
    length = timedelta(minutes=window.duration_minutes)
    today = now.astimezone(zone).date()
    # One that began yesterday may go on: a window is at most a day long.
    for date in (today, today - timedelta(days=1)):
        begin = datetime.combine(date, window.begins, tzinfo=zone).astimezone(UTC)
        if DAYS[date.weekday()] in window.days and begin <= now < begin + length:
            return True
    return False
