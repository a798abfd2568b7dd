"""What must not grow with the square of the number of tenants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from guestpost_operator.rollout import Member, Releases, plan
from guestpost_operator.settings import Rollout

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=30)
POLICY = Rollout(canary_soak_seconds=600, wave_size=3)
NEW = Releases(current="r2", version="2.0.0", newest={"1.0.0": "r1", "2.0.0": "r2"})


class Incomparable(Member):
    """A tenant that must not be compared with others: with ten thousand that would be 100 million times."""

    __slots__ = ()
    __hash__ = Member.__hash__

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared")


@pytest.mark.parametrize("previous", ["", "r2"])
@pytest.mark.parametrize("canaries", [0, 2])
def test_a_plan_compares_no_tenant_with_another(canaries: int, previous: str) -> None:
    """Going ahead, and going back."""
    members = [
        Incomparable(
            uid=str(number), name=str(number), revision="r1", previous=previous, since=LONG_AGO,
            canary=number < canaries, ready=number % 7 > 0,
        )
        for number in range(100)
    ]  # fmt: skip
    made = plan(members, NEW, POLICY, NOW)
    assert len(made.moves) == (POLICY.wave_size if previous else 1)
