"""The token bucket: never above the quota, a reserve for people, slower when Gmail says so."""

from __future__ import annotations

import pytest
from guestpost_crm.gmail.quota import Bucket
from hypothesis import given
from hypothesis import strategies as st


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 1e-6)


@given(st.lists(st.tuples(st.sampled_from([1, 2, 5, 20, 100]), st.booleans()), max_size=300))
def test_no_minute_sees_more_than_the_quota_and_one_burst(calls: list[tuple[int, bool]]) -> None:
    clock = Clock()
    bucket = Bucket(6000, clock=clock, sleep=clock.sleep)
    spent: list[tuple[float, int]] = []
    for units, background in calls:
        bucket.spend(units, background=background)
        spent.append((clock.now, units))
    for begin, _ in spent:
        inside = sum(units for at, units in spent if begin <= at < begin + 60)
        assert inside <= 6000 + 1000 + 1


def test_a_backfill_leaves_a_reserve_for_people() -> None:
    clock = Clock()
    bucket = Bucket(6000, clock=clock, sleep=clock.sleep)
    while clock.now == 0:
        bucket.spend(20, background=True)
    begun = clock.now
    bucket.spend(100)
    assert clock.now - begun < 0.5


def test_a_refusal_slows_down_and_quiet_makes_it_trust_again() -> None:
    clock = Clock()
    bucket = Bucket(6000, clock=clock, sleep=clock.sleep)
    for _ in range(40):
        bucket.refused()
        clock.now += 2
    assert bucket.per_minute == 120
    begun = clock.now
    bucket.spend(100)
    assert clock.now > begun
    for _ in range(200):
        clock.now += 60
        bucket.spend(100)
    assert bucket.per_minute == 6000


def test_refusals_of_one_moment_are_one() -> None:
    clock = Clock()
    bucket = Bucket(6000, clock=clock, sleep=clock.sleep)
    clock.now += 10
    for _ in range(4):
        bucket.refused()
    assert bucket.per_minute == 6000 * 0.7


def test_what_was_learned_is_begun_with() -> None:
    assert Bucket(6000, 2500).per_minute == 2500
    assert Bucket(6000, 9000).per_minute == 6000


@pytest.mark.parametrize("granted", [600, 1500, 3000, 5000, 6000])
def test_it_learns_what_the_account_really_has(granted: int) -> None:
    """An account with a smaller quota than Google's tables say is used nearly in full, with few refusals."""
    clock = Clock()
    bucket = Bucket(6000, clock=clock, sleep=clock.sleep)
    spent, since, served, refused, begun = 0.0, 0.0, 0, 0, 0.0
    while clock.now < 3600:
        if clock.now > 600 and not begun:
            begun, served, refused = clock.now, 0, 0
        bucket.spend(20, background=True)
        spent = max(0.0, spent - (clock.now - since) * granted / 60)
        since = clock.now
        if spent + 20 > granted:
            refused += 1
            bucket.refused()
            clock.sleep(2)
        else:
            spent += 20
            served += 20
    assert served >= 0.8 * granted * (clock.now - begun) / 60
    assert refused <= 0.01 * served / 20
