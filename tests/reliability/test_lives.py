"""Whatever people do to their tenants, in whatever order, with the operator killed and faults around it.

hypothesis draws the orders. `make test` tries a few, always the same; `make reliability` (all parts, 1/1)
many, drawn anew each time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import reliability
from guestpost_operator.lifecycle import controller
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from operator_lives import DAMAGES, Lives
from operator_trouble import Trouble
from operator_truth import HIBERNATED, RUNNING, SUSPENDED, Life

MOST = 3
ALL = os.environ.get("RELIABILITY_PART") == "1/1"
EXAMPLES, STEPS = (40, 30) if ALL else (3, 12)
# For all of them: many take longer than a test may.
SECONDS = 3600 if ALL else 600

which = st.integers(0, MOST - 1)
states = st.sampled_from([RUNNING, SUSPENDED, HIBERNATED])


class AnyOrder(RuleBasedStateMachine):
    """What may happen. Nothing waits for what comes of it but `rest`, which looks at what must hold."""

    lives: Lives

    def __init__(self) -> None:
        super().__init__()
        self.lives.begin()
        self.restarted = False

    @initialize(state=states, final_export=st.sampled_from(["Skip", "Required"]), slow=st.booleans())
    def first(self, state: str, final_export: str, slow: bool) -> None:
        """There is somebody to do something to."""
        self.lives.create(state, final_export, slow=slow)
        self.lives.create(RUNNING, "Skip", slow=not slow)
        self.lives.rest()

    def some(self, number: int, *, seen: bool = False) -> Life | None:
        """One of those that are there; `seen` for one that was well once."""
        there = [each for each in self.lives.lives if not each.erased and (each.seen or not seen)]
        return there[number % len(there)] if there else None

    @precondition(lambda self: len(self.lives.lives) < MOST)
    @rule(state=states, final_export=st.sampled_from(["Skip", "Required"]), slow=st.booleans())
    def create(self, state: str, final_export: str, slow: bool) -> None:
        self.lives.create(state, final_export, slow=slow)

    @precondition(lambda self: self.lives.lives)
    @rule(number=which, grows=st.booleans(), slow=st.booleans())
    def edit(self, number: int, grows: bool, slow: bool) -> None:
        if life := self.some(number):
            self.lives.edit(life, grows=grows, slow=slow)

    @precondition(lambda self: self.lives.lives)
    @rule(number=which, state=states, slow=st.booleans())
    def ask(self, number: int, state: str, slow: bool) -> None:
        if life := self.some(number):
            self.lives.ask(life, state, slow=slow)

    @precondition(lambda self: any(each.seen for each in self.lives.lives))
    @rule(number=which)
    def export(self, number: int) -> None:
        life = self.some(number, seen=True)
        if life and len(life.exports) < 2:
            self.lives.export(life)

    @precondition(lambda self: any(each.seen for each in self.lives.lives))
    @rule(number=which, level=st.sampled_from(["Browse", "Shell"]))
    def grant(self, number: int, level: str) -> None:
        life = self.some(number, seen=True)
        if life and len(life.grants) < 2:
            self.lives.grant(life, level)

    @precondition(lambda self: any(each.grants for each in self.lives.lives))
    @rule()
    def revoke(self) -> None:
        for life in self.lives.lives:
            if not life.erased:
                self.lives.revoke(life)

    @precondition(lambda self: self.lives.lives)
    @rule(number=which, asks=st.booleans())
    def erase(self, number: int, asks: bool) -> None:
        if life := self.some(number, seen=asks):
            self.lives.erase(life, asks=asks)

    @precondition(lambda self: any(each.seen for each in self.lives.lives))
    @rule(number=which, what=st.sampled_from(sorted(DAMAGES)))
    def damage(self, number: int, what: str) -> None:
        if life := self.some(number, seen=True):
            self.lives.damage(life, what)

    @precondition(lambda self: self.lives.lives)
    @rule(number=which)
    def fall_ill_or_get_well(self, number: int) -> None:
        if life := self.some(number):
            self.lives.fall_ill(life, ill=not life.ill)

    @precondition(lambda self: self.lives.lives)
    @rule(kind=st.sampled_from(Trouble.KINDS), nth=st.integers(1, 40), times=st.integers(1, 4))
    def trouble(self, kind: str, nth: int, times: int) -> None:
        self.lives.trouble.arm(kind, nth, times)

    @precondition(lambda self: self.lives.touched and not self.restarted)
    @rule()
    def restart(self) -> None:
        self.lives.restart()
        self.restarted = True

    @precondition(lambda self: self.lives.touched)
    @rule()
    def rest(self) -> None:
        self.lives.rest()
        self.restarted = False

    def teardown(self) -> None:
        """All of them end, and nothing is left."""
        if self.lives.broken:
            return
        self.lives.rest()
        for life in self.lives.lives:
            self.lives.erase(life, asks=False)
        self.lives.rest()


@pytest.fixture
def lives(plane: Any, addresses: None) -> Iterator[Lives]:
    with pytest.MonkeyPatch.context() as patch:
        reliability.hurry(patch)
        patch.setattr(controller, "FINALIZER_SECONDS", 2.0)
        with Lives(plane) as running:
            yield running


@pytest.mark.timeout(SECONDS)
@pytest.mark.promise("P8.2")
@pytest.mark.promise("P9.2")
def test_in_any_order_nobody_elses_is_touched_nothing_is_left_and_no_status_lies(lives: Lives) -> None:
    AnyOrder.lives = lives
    run_state_machine_as_test(
        AnyOrder,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=STEPS, derandomize=not ALL, database=None,
            deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
