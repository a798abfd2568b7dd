"""Whatever fails while a tenant goes through something, the end is the same as without faults.

`make reliability` tries all of it; `make test` each day another part, RELIABILITY_PART=k/n says which.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
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
MODES = ("dropped", "delayed", "repeated")
PROMISES = {"export": "P9.1", "rotate": "P8.1", "grant": "P6.1", "erase": "P9.2"}


def by_lifecycle(points: Sequence[tuple[str, Point]]) -> list[Any]:
    """Parameters of a test: each lifecycle with some of its points, and the promise that hangs on it."""
    found = []
    for name in LIFECYCLES:
        marks = [pytest.mark.promise(each) for word, each in PROMISES.items() if word == name.split()[0]]
        mine = [each for of, each in points if of == name]
        for number, some in enumerate(reliability.batches(mine, AT_ONCE), 1):
            found.append(pytest.param(name, some, id=f"{name}-{number}", marks=marks))
    return found


def usual(number: str | int) -> int:
    """How often a write is made, or on a machine with time for each piece of news: 2 of "2+"."""
    return int(str(number).removesuffix("+"))


def written(name: str) -> dict[str, int]:
    """The writes of a lifecycle, as often as they are tried."""
    return {what: usual(number) for what, number in WRITES[name].items()}


def sampled() -> list[tuple[str, Point]]:
    """Points for SIGKILL, the same ones each time."""
    chosen = random.Random(4)  # noqa: S311  # no secret
    found = []
    for name in LIFECYCLES:
        points = deaths(written(name))
        found += [(name, each) for each in chosen.sample(points, -(-len(points) // KILLED))]
    return found


CRASHES = by_lifecycle(today([(name, each) for name in LIFECYCLES for each in deaths(written(name))]))
KILLS = by_lifecycle(today(sampled()))
FAULTY = today([(name, fate) for name in LIFECYCLES for fate in FAULTS])
WATCHED = today([(name, mode) for name in LIFECYCLES for mode in MODES])


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


@pytest.mark.parametrize(("name", "points"), CRASHES)
async def test_the_end_is_the_same_wherever_the_operator_dies(
    stage: Stage, name: str, points: list[Point], record_property: Any
) -> None:
    recording = await stage.fault_free(LIFECYCLES[name])
    listed(name, recording.written)
    check(await reliability.crashes(stage, LIFECYCLES[name], points, recording.end), record_property)


@pytest.mark.parametrize(("name", "points"), KILLS)
async def test_the_end_is_the_same_wherever_the_process_is_killed(
    killed_stage: Stage, name: str, points: list[Point], record_property: Any
) -> None:
    recording = await killed_stage.fault_free(LIFECYCLES[name])
    tally = await reliability.crashes(killed_stage, LIFECYCLES[name], points, recording.end, "SIGKILL")
    check(tally, record_property)


@pytest.mark.parametrize(("name", "fate"), FAULTY, ids=[f"{name}-{fate.value}" for name, fate in FAULTY])
async def test_the_end_is_the_same_whichever_call_fails(
    stage: Stage, name: str, fate: Fate, record_property: Any
) -> None:
    recording = await stage.fault_free(LIFECYCLES[name])
    points = faults(recording.calls, recording.writes, fate)
    check(await reliability.faults(stage, LIFECYCLES[name], points, recording.end, fate), record_property)


@pytest.mark.parametrize(("name", "mode"), WATCHED, ids=[f"{name}-{mode}" for name, mode in WATCHED])
async def test_the_end_is_the_same_whatever_becomes_of_watch_events(
    stage: Stage, name: str, mode: str, record_property: Any
) -> None:
    recording = await stage.fault_free(LIFECYCLES[name])
    check(await reliability.watched(stage, LIFECYCLES[name], mode, recording.end), record_property)
