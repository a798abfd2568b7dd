"""Which part of the matrices a day tries: all is tried on one of the days, none of which is much longer."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reliability import share, today


class Thing(NamedTuple):
    number: int
    seconds: float


THINGS = st.lists(st.floats(0.5, 25), min_size=1, max_size=50).map(
    lambda all_seconds: [Thing(number, seconds) for number, seconds in enumerate(all_seconds)]
)


def part(things: list[Thing], k: int, n: int) -> list[Thing]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RELIABILITY_PART", f"{k}/{n}")
        return list(today(things, lambda thing: thing.seconds))


@given(THINGS, st.integers(1, 20))
def test_each_is_tried_on_one_day_in_order(things, days):
    assert [each for k in range(1, days + 1) for each in part(things, k, days)] == things


@given(THINGS, st.integers(1, 20))
def test_a_day_is_longer_than_another_by_what_cannot_be_divided(things, days):
    usual, longest = sum(each.seconds for each in things) / days, max(each.seconds for each in things)
    for k in range(1, days + 1):
        assert sum(each.seconds for each in part(things, k, days)) <= usual + longest + 1e-6


@given(st.lists(st.integers(), max_size=30), st.integers(1, 8))
def test_shares_are_all_of_it(items, shares):
    assert [each for k in range(1, shares + 1) for each in share(items, k, shares)] == items
