"""Whatever fails while a tenant goes through something, the end is the same as without faults.

`make reliability` tries all of it; `make test` each day another part, RELIABILITY_PART=k/n says which.
"""

from __future__ import annotations

import operator
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import reliability
import yaml
from lifecycles import LIFECYCLES
from operator_script import FAULTS, Fate, Point, deaths, faults
from operator_stage import Stage
from reliability import Tally, today

# What is written outside during each lifecycle, and how often. A write that is not in the list is told of,
# and so is one of the list that is not made any more.
WRITES: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "writes.yaml").read_text())
# SIGKILL of the real process: every so manieth point, and at least one of each lifecycle.
KILLED = 16
# Points that one test tries, so that several processes have something to do to the end.
AT_ONCE = 16
# Tests that the calls of a lifecycle with many are divided among.
SHARES = {"erase": 4, "upgrade": 2, "rotate": 2}
MODES = ("dropped", "delayed", "repeated")
PROMISES = {"export": "P9.1", "rotate": "P8.1", "grant": "P6.1", "erase": "P9.2"}


def usual(number: str | int) -> int:
    """How often a write is made, or on a machine with time for each piece of news: 2 of "2+"."""
    return int(str(number).removesuffix("+"))


def written(name: str) -> dict[str, int]:
    """The writes of a lifecycle, as often as they are tried."""
    return {what: usual(number) for what, number in WRITES[name].items()}


@dataclass(frozen=True)
class Trial:
    """Something to be tried with a lifecycle.

    Attributes:
        fault: which test does it: dies, killed, fails, or watch.
        what: where the operator dies; how which share of calls fails; what becomes of watch events.
        seconds: about how long it takes.
    """

    fault: str
    lifecycle: str
    what: Any
    seconds: float


def trials() -> list[Trial]:
    """All that there is to try, one lifecycle after the other."""
    chosen = random.Random(4)  # noqa: S311  # no secret
    found = []
    for name in LIFECYCLES:
        points, shares = deaths(written(name)), SHARES.get(name, 1)
        found += [Trial("dies", name, each, 2.5) for each in points]
        # The same ones each time.
        found += [
            Trial("killed", name, each, 14) for each in chosen.sample(points, -(-len(points) // KILLED))
        ]
        found += [
            Trial("fails", name, (fate, k, shares), 25 if fate is Fate.SILENT else 10)
            for fate in FAULTS
            for k in range(1, shares + 1)
        ]
        found += [Trial("watch", name, mode, 8) for mode in MODES]
    return found


TODAY = today(trials(), operator.attrgetter("seconds"))


def one_each(fault: str) -> list[Any]:
    """Parameters of a test that tries one thing at a time."""
    return [
        pytest.param(
            each.lifecycle, each.what, id=f"{each.lifecycle}-{called(each.what)}", marks=marks(each.lifecycle)
        )
        for each in TODAY
        if each.fault == fault
    ]


def several_each(fault: str) -> list[Any]:
    """Parameters of a test that tries several points of a lifecycle at a time."""
    found = []
    for name in LIFECYCLES:
        points = [each.what for each in TODAY if (each.fault, each.lifecycle) == (fault, name)]
        for number, some in enumerate(reliability.batches(points, AT_ONCE), 1):
            found.append(pytest.param(name, some, id=f"{name}-{number}", marks=marks(name)))
    return found


def marks(name: str) -> list[Any]:
    """The promise that hangs on a lifecycle."""
    return [pytest.mark.promise(each) for word, each in PROMISES.items() if name.startswith(word)]


def called(what: Any) -> str:
    """What stands for it in a test's name: "dropped", "409", or "409-2" where there are several shares."""
    if isinstance(what, str):
        return what
    fate, k, shares = what
    return f"{fate.value}-{k}" if shares > 1 else str(fate.value)


def check(tally: Tally, record_property: Any) -> None:
    record_property("reliability", str(tally))
    print(f"\n{tally}", *tally.missed, *tally.lost, sep="\n  ")
    assert tally.lost == []
    assert tally.tried > 0


def listed(name: str, found: Counter[str]) -> None:
    """Hold what a fault-free run has written against the list."""
    print(f"\n{yaml.safe_dump({name: dict(sorted(found.items()))})}")
    assert set(found) == set(WRITES[name])
    for what, number in WRITES[name].items():
        # News that comes while the machine is busy is told together: how often is no fault.
        assert found[what] == number or (str(number).endswith("+") and found[what] > 0), what


@pytest.mark.parametrize(("name", "points"), several_each("dies"))
async def test_the_end_is_the_same_wherever_the_operator_dies(
    stage: Stage, name: str, points: list[Point], record_property: Any
) -> None:
    recording = await stage.fault_free(LIFECYCLES[name])
    listed(name, recording.written)
    check(await reliability.crashes(stage, LIFECYCLES[name], points, recording.end), record_property)


@pytest.mark.parametrize(("name", "points"), several_each("killed"))
async def test_the_end_is_the_same_wherever_the_process_is_killed(
    killed_stage: Stage, name: str, points: list[Point], record_property: Any
) -> None:
    recording = await killed_stage.fault_free(LIFECYCLES[name])
    tally = await reliability.crashes(killed_stage, LIFECYCLES[name], points, recording.end, "SIGKILL")
    check(tally, record_property)


@pytest.mark.parametrize(("name", "what"), one_each("fails"))
async def test_the_end_is_the_same_whichever_call_fails(
    stage: Stage, name: str, what: tuple[Fate, int, int], record_property: Any
) -> None:
    fate, k, shares = what
    recording = await stage.fault_free(LIFECYCLES[name])
    points = reliability.share(faults(recording.calls, recording.writes, fate), k, shares)
    check(await reliability.faults(stage, LIFECYCLES[name], points, recording.end, fate), record_property)


@pytest.mark.parametrize(("name", "mode"), one_each("watch"))
async def test_the_end_is_the_same_whatever_becomes_of_watch_events(
    stage: Stage, name: str, mode: str, record_property: Any
) -> None:
    recording = await stage.fault_free(LIFECYCLES[name])
    check(await reliability.watched(stage, LIFECYCLES[name], mode, recording.end), record_property)
