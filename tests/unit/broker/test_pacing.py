"""Backfills share a project's quota: never more than there is, nobody left out, whatever comes and goes."""

from __future__ import annotations

import heapq
import random
from collections import defaultdict

from guestpost_broker.pacing import LEAST, RETRY_SECONDS, SECONDS, Pacer, Share
from hypothesis import given
from hypothesis import strategies as st

# Of one mailbox, where Gmail allows a user 6,000.
MOST = 5_400


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def pacer(budget: float, clock: Clock, settle: float = 0) -> Pacer:
    return Pacer(lambda project: budget, lambda: 6_000, clock, settle)


def test_one_alone_gets_what_one_mailbox_may_use() -> None:
    assert pacer(100_000, Clock()).share("p", "a", 9_999) == Share(MOST, SECONDS)


def test_one_that_wishes_for_less_gets_that() -> None:
    assert pacer(100_000, Clock()).share("p", "a", 40).units_per_minute == 40


def test_who_comes_later_waits_a_moment_and_then_has_an_equal_part() -> None:
    clock = Clock()
    shares = pacer(4_000, clock)
    assert shares.share("p", "a", MOST).units_per_minute == 4_000
    assert shares.share("p", "b", MOST) == Share(0, RETRY_SECONDS)
    clock.now = 10
    assert shares.share("p", "a", MOST).units_per_minute == 2_000
    assert shares.share("p", "b", MOST).units_per_minute == 2_000


def test_a_share_that_is_given_back_is_free_at_once() -> None:
    shares = pacer(MOST, Clock())
    shares.share("p", "a", MOST)
    assert shares.share("p", "a", 0).units_per_minute == 0
    assert shares.share("p", "b", MOST).units_per_minute == MOST


def test_a_share_ends_by_itself() -> None:
    clock = Clock()
    shares = pacer(MOST, clock)
    shares.share("p", "a", MOST)
    clock.now = SECONDS - 0.1
    assert shares.share("p", "b", MOST).units_per_minute == 0
    clock.now = SECONDS
    assert shares.share("p", "b", MOST).units_per_minute == MOST


def test_projects_do_not_share() -> None:
    shares = pacer(MOST, Clock())
    assert shares.share("p", "a", MOST) == shares.share("q", "a", MOST) == Share(MOST, SECONDS)
    assert shares.in_force("p") == (1, MOST, 0)


def test_a_broker_that_has_just_started_gives_nothing_until_its_predecessors_shares_have_ended() -> None:
    clock = Clock()
    old = pacer(MOST, clock)
    old.share("p", "a", MOST)
    new = pacer(MOST, clock, settle=SECONDS)
    clock.now = SECONDS - 1
    assert new.share("p", "b", MOST) == Share(0, RETRY_SECONDS)
    clock.now = SECONDS
    assert new.share("p", "b", MOST).units_per_minute == MOST
    assert old.in_force("p") == (0, 0, 0)


asked = st.tuples(st.integers(0, 40), st.integers(0, 20), st.integers(0, 8_000))


@given(st.integers(0, 30_000), st.lists(asked, max_size=200))
def test_shares_in_force_never_exceed_the_budget(budget: int, requests: list[tuple[int, int, int]]) -> None:
    """Whoever asks for whatever, whenever."""
    clock = Clock()
    shares = pacer(budget, clock)
    held: dict[int, tuple[int, float]] = {}
    for wait, mailbox, wanted in requests:
        clock.now += wait
        share = shares.share("p", str(mailbox), wanted)
        held[mailbox] = (share.units_per_minute, clock.now + share.seconds)
        assert sum(units for units, ends in held.values() if ends > clock.now) <= budget
        assert share.units_per_minute <= min(wanted, MOST)


@given(st.integers(1, 60))
def test_everybody_has_a_share_after_one_round_where_there_is_enough(mailboxes: int) -> None:
    clock = Clock()
    shares = pacer(LEAST * mailboxes, clock)
    for _ in range(2):
        for mailbox in range(mailboxes):
            shares.share("p", str(mailbox), MOST)
        clock.now += RETRY_SECONDS
    # Those that had more have asked again; those that waited ask once more.
    last = [shares.share("p", str(mailbox), MOST).units_per_minute for mailbox in range(mailboxes)]
    assert min(last) >= LEAST


def test_two_hundred_imports_at_once_are_all_served() -> None:
    """What one project carries, by two brokers that know nothing of each other, asked as syncs ask."""
    clock, chance = Clock(), random.Random(7)  # noqa: S311 - a simulation
    brokers = [pacer(1_200_000 * 0.6 / 2, clock) for _ in range(2)]
    asks = [(chance.uniform(0, 30), mailbox) for mailbox in range(200)]
    heapq.heapify(asks)
    units: dict[int, list[int]] = defaultdict(list)
    while clock.now < 900:
        clock.now, mailbox = heapq.heappop(asks)
        share = chance.choice(brokers).share("p", str(mailbox), MOST)
        if clock.now > 300:
            units[mailbox].append(share.units_per_minute)
        heapq.heappush(asks, (clock.now + share.seconds * (0.75 if share.units_per_minute else 1), mailbox))
    given_out = [sum(each) / len(each) for each in units.values()]
    assert len(given_out) == 200
    assert min(given_out) >= 1_500
    assert 480_000 <= sum(given_out) <= 720_000
