"""Deadlines of a lease: pure, by a clock that the tests turn."""

from __future__ import annotations

import math

import pytest
from guestpost_operator.backends.fence import Fence, NotLeaderError
from hypothesis import given
from hypothesis import strategies as st

BEGIN, END = 8.0, 12.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fence(clock: Clock) -> Fence:
    return Fence(BEGIN, END, clock)


def test_nothing_passes_before_the_first_renewal(fence: Fence) -> None:
    with pytest.raises(NotLeaderError):
        fence.pass_write()


def test_a_write_is_given_up_when_the_lease_ends(fence: Fence, clock: Clock) -> None:
    fence.renew(clock.now)
    assert fence.pass_write() == END
    clock.now += 7.5
    assert fence.pass_write() == END - 7.5
    clock.now += 0.5
    with pytest.raises(NotLeaderError):
        fence.pass_write()


def test_a_renewal_counts_from_when_it_was_sent(fence: Fence, clock: Clock) -> None:
    sent = clock.now
    clock.now += 5
    fence.renew(sent)
    assert fence.left() == BEGIN - 5


def test_a_closed_fence_stays_closed_until_the_next_renewal(fence: Fence, clock: Clock) -> None:
    fence.renew(clock.now)
    fence.close()
    with pytest.raises(NotLeaderError):
        fence.pass_write()
    fence.renew(clock.now)
    fence.pass_write()


def test_without_a_lease_everything_passes() -> None:
    assert Fence.open().pass_write() == math.inf


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 30)), max_size=30))
def test_no_write_outlives_the_lease(steps: list[tuple[bool, float]]) -> None:
    """Whatever is renewed when: what passes is answered or given up before another may take the lease."""
    clock = Clock()
    fence = Fence(BEGIN, END, clock)
    renewed = -math.inf
    for renews, wait in steps:
        clock.now += wait
        if renews:
            renewed = clock.now
            fence.renew(renewed)
        try:
            patience = fence.pass_write()
        except NotLeaderError:
            assert clock.now >= renewed + BEGIN
        else:
            assert clock.now + patience == pytest.approx(renewed + END)
