"""Matrices of lifecycles and faults, and how they are counted."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
from guestpost_operator import application
from guestpost_operator.backends import watches
from guestpost_operator.handlers import tenants as handler
from guestpost_operator.lifecycle import (
    controller,
    erasing,
    exports,
    requests,
    rollouts,
    rotation,
    support,
)
from operator_script import Fate, Point, spread
from operator_stage import Lifecycle, Object, Stage, Subject

T = TypeVar("T")

# Between two tries of something, and before progress is written: as in production they would add up to hours.
PAUSES = (
    (application, "START_RETRY_SECONDS", 0.2),
    (controller, "FIRST_BACKOFF", 0.05),
    (controller, "PROGRESS_SECONDS", 0.3),
    (erasing, "POLL_SECONDS", (0.05, 0.5)),
    (exports, "RETRY_SECONDS", 1.0),
    (handler, "FIRST_DELAY", 0.2),
    (handler, "MAX_DELAY", 1.0),
    (requests, "AGAIN_SECONDS", 0.1),
    (rollouts, "EVERY_SECONDS", 0.5),
    (rollouts, "TIDY_AFTER", 600),
    (rotation, "POLL_SECONDS", 0.2),
    (support, "RETRY_SECONDS", 1.0),
    (watches, "FIRST_BACKOFF", 0.05),
)
# Nothing is put off for longer then.
HURRIED_QUIET_SECONDS = 1.0

# Of everything, as much a day as a minute has room for.
PARTS = 80

# Tenants that are prepared, or suffer, at the same time; and faults that one of them suffers.
BATCH = 8
EACH = 6
# Tenants whose watch events do not arrive as they should.
WATCHED = 4


@dataclass
class Tally:
    """How many faults a lifecycle came through.

    Attributes:
        tried: points that were reached.
        lost: where the end was another one, and how.
        missed: points that were not reached this time: how often a status is written depends on timing.
    """

    lifecycle: str
    fault: str
    tried: int = 0
    lost: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, points: Sequence[Point], met: Sequence[Point], problem: str) -> None:
        """Add what one tenant came through."""
        self.tried += len(met)
        self.missed += [str(each) for each in points if each not in met]
        if problem:
            self.lost.append(f"{', '.join(map(str, met))}: {problem}")
            print(f"lost: {self.lost[-1]}", flush=True)

    @property
    def survived(self) -> int:
        """Points after which the end was the same as without."""
        return self.tried - len(self.lost)

    def __str__(self) -> str:
        missed = f", {len(self.missed)} not reached" if self.missed else ""
        return (
            f"{self.lifecycle:<13} {self.fault:<12} survived {self.survived:>4} of {self.tried:>4}"
            f"{missed} ({self.seconds:.0f} s)"
        )


async def crashes(
    stage: Stage, lifecycle: Lifecycle, points: Sequence[Point], wanted: Object, fault: str = "crash"
) -> Tally:
    """Have the operator die at each of these points, once each."""
    tally, begin = Tally(lifecycle.name, fault), time.monotonic()
    for batch in batches(points, BATCH):
        subjects = await stage.prepare(lifecycle, 1 if lifecycle.reuse else len(batch))
        for point, subject in zip(batch, itertools.cycle(subjects), strict=False):
            await _suffer(stage, lifecycle, [(subject, (point,))], wanted, tally)
        await stage.clear(subjects)
    tally.seconds = time.monotonic() - begin
    return tally


async def faults(
    stage: Stage, lifecycle: Lifecycle, points: Sequence[Point], wanted: Object, fate: Fate
) -> Tally:
    """Have a call fail at each of these points, several tenants at once and each of them several times."""
    tally, begin = Tally(lifecycle.name, fate.value), time.monotonic()
    if lifecycle.reuse:
        # It goes through it again and again: what begins it begins for all, so that no two can at a time.
        subjects = await stage.prepare(lifecycle, 1)
        for some in spread(points, EACH):
            await _suffer(stage, lifecycle, [(subjects[0], some)], wanted, tally)
        await stage.clear(subjects)
    else:
        for batch in batches(spread(points, EACH), BATCH):
            subjects = await stage.prepare(lifecycle, len(batch))
            await _suffer(stage, lifecycle, list(zip(subjects, batch, strict=True)), wanted, tally)
            await stage.clear(subjects)
    tally.seconds = time.monotonic() - begin
    return tally


async def watched(stage: Stage, lifecycle: Lifecycle, mode: str, wanted: Object) -> Tally:
    """Have no watch event arrive as it should."""
    tally, begin = Tally(lifecycle.name, f"watch {mode}"), time.monotonic()
    subjects = await stage.prepare(lifecycle, WATCHED)
    stage.script.watching = mode
    try:
        problems = await stage.play(lifecycle, [(subject, ()) for subject in subjects])
        for subject in subjects:
            problem = problems.get(subject.name) or await stage.differs(subject, wanted)
            tally.tried += 1
            if problem:
                tally.lost.append(problem)
    finally:
        stage.script.watching = ""
    await stage.clear(subjects)
    tally.seconds = time.monotonic() - begin
    return tally


async def _suffer(
    stage: Stage,
    lifecycle: Lifecycle,
    plans: Sequence[tuple[Subject, Sequence[Point]]],
    wanted: Object,
    tally: Tally,
) -> None:
    problems = await stage.play(lifecycle, plans)
    for subject, points in plans:
        problem = problems.get(subject.name) or await stage.differs(subject, wanted)
        tally.count(points, stage.script.met(subject.name), problem)


def hurry(patch: pytest.MonkeyPatch) -> None:
    """Have operators in this process wait a tenth as long as in production."""
    for module, name, seconds in PAUSES:
        patch.setattr(module, name, seconds)


def today(things: Sequence[T], seconds: Callable[[T], float] = lambda thing: 1.0) -> Sequence[T]:
    """Those of this run: part k of n by RELIABILITY_PART=k/n; by default each day another part.

    Args:
        things: neighbours are tried on the same day: what they have in common is done once.
        seconds: about how long one takes, so that no day has much more to do than another.
    """
    day = dt.datetime.now(dt.UTC).toordinal() % PARTS + 1
    number, _, parts = os.environ.get("RELIABILITY_PART", f"{day}/{PARTS}").partition("/")
    k, n = int(number), int(parts)
    ends = list(itertools.accumulate(map(seconds, things)))
    # Each belongs to the part that its middle lies in.
    middles = [(end - seconds(thing) / 2) / ends[-1] * n for thing, end in zip(things, ends, strict=True)]
    return [thing for thing, middle in zip(things, middles, strict=True) if k - 1 <= middle < k]


def share(items: Sequence[T], k: int, n: int) -> Sequence[T]:
    """The k-th of n parts of the items, counting from 1."""
    return items[len(items) * (k - 1) // n : len(items) * k // n]


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items, so many at a time."""
    for first in range(0, len(items), size):
        yield items[first : first + size]
