"""Which stored revisions go: never one that somebody needs, never before its time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from guestpost_operator.disuse import Verdict, judge, used
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MONTH = timedelta(days=30)
LONG_AGO, LATELY = NOW - timedelta(days=31), NOW - timedelta(days=29)


@pytest.mark.parametrize(
    ("body", "needed"),
    [
        ({}, set()),
        ({"spec": {"release": {"channel": "Stable"}}, "status": None}, set()),
        ({"status": {"revision": "r2"}}, {"r2"}),
        ({"status": {"revision": "r2", "app": {"revision": "r1"}}}, {"r1", "r2"}),
        ({"status": {"revision": "r2", "release": {"previousRevision": "r1"}}}, {"r1", "r2"}),
        ({"spec": {"release": {"channel": "Pinned", "version": "1.0.0"}}}, {"r1"}),
        ({"spec": {"release": {"channel": "Pinned", "version": "9.9.9"}}}, set()),
    ],
)
def test_what_a_tenant_needs(body: dict[str, Any], needed: set[str]) -> None:
    assert used([body], {"1.0.0": "r1", "2.0.0": "r2"}) == needed


def test_a_revision_is_marked_kept_and_removed() -> None:
    stored = {"used": None, "used-again": LONG_AGO, "idle": None, "resting": LATELY, "old": LONG_AGO}
    assert judge(stored, {"used", "used-again"}, MONTH, NOW) == Verdict(
        begin=frozenset({"idle"}), end=frozenset({"used-again"}), remove=frozenset({"old"})
    )


REVISIONS = st.sampled_from("abcdef")


@given(
    st.dictionaries(REVISIONS, st.none() | st.sampled_from([LONG_AGO, LATELY, NOW])),
    st.sets(REVISIONS),
    st.sampled_from([timedelta(0), MONTH]),
)
def test_nothing_needed_goes_and_nothing_goes_unmarked(
    stored: dict[str, datetime | None], needed: set[str], keep: timedelta
) -> None:
    verdict = judge(stored, needed, keep, NOW)
    assert not verdict.remove & needed
    assert all((since := stored[each]) is not None and NOW - since >= keep for each in verdict.remove)
    assert not verdict.begin & (verdict.remove | needed)
    assert verdict.end <= needed
    # What was done once needs not be done again.
    done: dict[str, datetime | None] = dict(stored)
    done |= dict.fromkeys(verdict.begin, NOW) | dict.fromkeys(verdict.end)
    again = judge({each: done[each] for each in done.keys() - verdict.remove}, needed, keep, NOW)
    assert not again.begin
    assert not again.end
