"""Which changes of a status are written at once, and which may wait as mere progress."""

from __future__ import annotations

from typing import Any

import pytest
from guestpost_operator.lifecycle.news import is_news


def told(**ready: Any) -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": "False", **ready}], "observedGeneration": 1}


def test_progress_may_wait() -> None:
    before = told(message="1 of 2 pods")
    assert not is_news(before, told(message="2 of 2 pods") | {"app": {"version": "1.4.1"}})


@pytest.mark.parametrize(
    "changes",
    [
        told(status="True"),
        {"observedGeneration": 2},
        # An erasure does not begin before the status says who asked for it, and when it begins.
        {"deletion": {"requestedBy": "Customer", "eraseAfter": "2026-12-01T10:00:00Z"}},
        {"contact": {"name": "Ann", "email": "ann@example.com"}},
    ],
)
def test_what_people_wait_for_or_is_acted_upon_is_written_at_once(changes: dict[str, Any]) -> None:
    before = told()
    assert is_news(before, before | changes)
    assert is_news(before | changes, before)
    assert not is_news(before | changes, before | changes)
