"""A first import keeps to the share that the broker gives it."""

from __future__ import annotations

from typing import Any

import pytest
from guestpost_crm.gmail.broker import BrokerError
from guestpost_crm.gmail.share import UNTOLD, Share

MESSAGE = 20


class Mailbox:
    sub = "1001"

    def token(self) -> str:
        return "sealed"

    def renew_token(self, sealed: str) -> None:
        raise AssertionError("a share renews nothing")


class Broker:
    """Gives what it is told to; `asked` holds what was wished for."""

    def __init__(self, *answers: tuple[int, float] | None) -> None:
        self.answers = list(answers)
        self.asked: list[int] = []

    def backfill(self, sub: str, sealed: str, wanted: int) -> tuple[int, float]:
        assert (sub, sealed) == ("1001", "sealed")
        self.asked.append(wanted)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise BrokerError("unreachable", "")
        return answer


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def import_for(share: Share, time: Time, seconds: float) -> int:
    """Import as fast as the share allows; returns how many messages."""
    end, count = time.now + seconds, 0
    while time.now < end:
        if wait := share.wait(MESSAGE):
            time.now += wait
        else:
            count += 1
    return count


def share_of(broker: Any, time: Time) -> Share:
    return Share(Mailbox(), lambda: 6_000.0, broker, time)


@pytest.mark.parametrize("rate", [300, 1_200, 5_400])
def test_it_imports_as_fast_as_it_may_and_no_faster(rate: int) -> None:
    time = Time()
    count = import_for(share_of(Broker((rate, 60.0)), time), time, 600)
    assert rate * 10 / MESSAGE * 0.95 <= count <= rate * 10 / MESSAGE * 1.02


def test_it_asks_before_the_share_ends_and_wishes_for_what_gmail_allows() -> None:
    time, broker = Time(), Broker((1_200, 60.0))
    import_for(share_of(broker, time), time, 450)
    assert set(broker.asked) == {6_000}
    assert 10 <= len(broker.asked) <= 11


def test_without_a_share_it_waits_as_long_as_it_was_told() -> None:
    time, broker = Time(), Broker((0, 20.0), (1_200, 60.0))
    share = share_of(broker, time)
    assert share.wait(MESSAGE) == 20.0
    time.now += 19
    assert share.wait(MESSAGE) == 1.0
    time.now += 1
    assert share.wait(MESSAGE) == 0.0


def test_a_share_that_is_taken_away_is_not_used_up() -> None:
    time = Time()
    share = share_of(Broker((5_400, 60.0), (0, 20.0)), time)
    assert share.wait(MESSAGE) == 0.0
    time.now += 50
    assert share.wait(MESSAGE) == 20.0


def test_a_broker_that_says_nothing_stops_no_import() -> None:
    time = Time()
    count = import_for(share_of(Broker(None), time), time, 600)
    assert UNTOLD * 10 / MESSAGE * 0.9 <= count <= UNTOLD * 10 / MESSAGE * 1.05


def test_a_share_is_given_back_once() -> None:
    time, broker = Time(), Broker((1_200, 60.0))
    share = share_of(broker, time)
    share.give_back()
    share.wait(MESSAGE)
    share.give_back()
    share.give_back()
    assert broker.asked == [6_000, 0]
    share.wait(MESSAGE)
    assert broker.asked == [6_000, 0, 6_000]
