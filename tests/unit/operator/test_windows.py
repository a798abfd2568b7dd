"""Maintenance windows: days, midnight, time zones, regions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from guestpost_operator.settings import Window
from guestpost_operator.windows import is_open


@pytest.mark.parametrize(
    ("window", "region", "when", "opens"),
    [
        ({}, "europe-west1", "2026-03-02T02:00", True),
        ({}, "europe-west1", "2026-03-02T03:59", True),
        ({}, "europe-west1", "2026-03-02T04:00", False),
        ({}, "europe-west1", "2026-03-02T01:59", False),
        ({"regions": ["us-east4"]}, "europe-west1", "2026-03-02T12:00", True),
        ({"regions": ["us-east4"]}, "us-east4", "2026-03-02T12:00", False),
        ({"time_zone": "America/New_York"}, "us-east4", "2026-03-02T07:30", True),
        ({"time_zone": "America/New_York"}, "us-east4", "2026-03-02T02:30", False),
        # New York has gone to summer time.
        ({"time_zone": "America/New_York"}, "us-east4", "2026-03-16T06:30", True),
        ({"days": ["Sat", "Sun"]}, "r", "2026-03-02T02:30", False),
        ({"days": ["Sat", "Sun"]}, "r", "2026-03-01T02:30", True),
        # Over midnight it belongs to the day on which it began.
        ({"days": ["Sun"], "start": "23:00", "duration_minutes": 180}, "r", "2026-03-02T01:30", True),
        ({"days": ["Mon"], "start": "23:00", "duration_minutes": 180}, "r", "2026-03-02T01:30", False),
    ],
)
def test_windows(window: dict[str, Any], region: str, when: str, opens: bool) -> None:
    made = Window(**{"start": "02:00", "duration_minutes": 120, **window})
    assert is_open([made], region, datetime.fromisoformat(when).replace(tzinfo=UTC)) is opens


def test_no_window_is_always_open() -> None:
    assert is_open([], "anywhere", datetime(2026, 3, 2, 12, tzinfo=UTC))
