"""Searching, filtering, sorting and counting; what addresses say; what open pages are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest
from guestpost_dashboard import plots, query
from guestpost_dashboard.fleet import Fleet, Results
from guestpost_dashboard.pages.streams import Shown
from guestpost_dashboard.query import COLUMNS, FACETS, SHOWS, Query
from hypothesis import given, settings
from hypothesis import strategies as st

PHASES = ("Running", "Provisioning", "Degraded", "Suspended")
REGIONS = ("europe-west1", "us-central1")


def body(name: str, version: int, phase: str, region: str, ready: bool) -> dict[str, Any]:
    condition = {
        "type": "Ready",
        "status": str(ready),
        "reason": phase,
        "lastTransitionTime": "2026-11-24T12:00:00Z",
    }
    return {
        "metadata": {
            "name": name,
            "resourceVersion": str(version),
            "creationTimestamp": "2026-11-24T11:00:00Z",
        },
        "spec": {"region": region, "plan": "Starter", "owner": {"name": name.upper()}},
        "status": {"phase": phase, "conditions": [condition]},
    }


steps = st.lists(
    st.tuples(
        st.sampled_from([f"t{number}" for number in range(12)]),
        st.sampled_from(PHASES),
        st.sampled_from(REGIONS),
        st.booleans(),
        st.booleans(),
    ),
    max_size=60,
)
queries = st.builds(
    Query,
    words=st.lists(st.sampled_from(["t1", "running", "europe", "zzz"]), max_size=2, unique=True).map(tuple),
    chosen=st.lists(st.sampled_from(REGIONS), max_size=2, unique=True).map(
        lambda found: (("region", tuple(found)),) if found else ()
    ),
    show=st.sampled_from(["", *SHOWS]),
    sort=st.sampled_from(["name", *COLUMNS]),
    down=st.booleans(),
    columns=st.lists(st.sampled_from(list(COLUMNS)), min_size=1, unique=True).map(
        lambda found: tuple(name for name in COLUMNS if name in found)
    ),
    page=st.integers(1, 3),
)


def apply(fleet: Fleet, found: list[tuple[str, str, str, bool, bool]]) -> dict[str, dict[str, Any]]:
    there: dict[str, dict[str, Any]] = {}
    for version, (name, phase, region, ready, gone) in enumerate(found):
        if gone:
            there.pop(name, None)
            fleet.forget(name)
        else:
            there[name] = body(name, version, phase, region, ready)
            fleet.observe(there[name])
    return there


@given(steps, queries)
def test_counts_and_results_are_those_of_a_fresh_fleet(found: Any, asked: Query) -> None:
    fleet, fresh = Fleet(), Fleet()
    fleet.find(asked)
    for each in apply(fleet, found).values():
        fresh.observe(each)
    assert list(fleet.find(asked).rows) == list(fresh.find(asked).rows)
    assert fleet.find(asked).total == sum(asked.matches(row) for row in fresh)
    for facet in (*FACETS, "show"):
        assert +fleet.count(facet) == +fresh.count(facet)


@given(steps, queries)
def test_the_order_is_the_one_that_was_asked_for(found: Any, asked: Query) -> None:
    fleet = Fleet()
    apply(fleet, found)
    keys = [asked.key(row) for row in fleet.find(asked).rows]
    assert keys == sorted(keys, reverse=asked.down)


@given(queries)
def test_an_address_says_all_of_what_is_shown(asked: Query) -> None:
    assert query.parse(parse_qsl(asked.encoded, keep_blank_values=True)) == asked


@given(
    st.lists(st.tuples(st.sampled_from(["q", "page", "sort", "columns", "show", "phase", "x"]), st.text()))
)
def test_any_address_is_understood(parameters: list[tuple[str, str]]) -> None:
    found = query.parse(parameters)
    assert found.page >= 1
    assert query.parse(parse_qsl(found.encoded, keep_blank_values=True)) == found


@settings(max_examples=60, deadline=None)
@given(steps, steps, queries)
def test_an_open_page_that_is_told_of_changes_shows_what_a_reload_would(
    first: Any, then: Any, asked: Query
) -> None:
    """The page's side is played by the order and the rows that were last sent."""
    fleet = Fleet()
    apply(fleet, first)
    shown = Shown(fleet, asked, lambda row: f"{row.name} {row.phase} {row.seen}")
    page: dict[str, Any] = {"order": (), "rows": {}, "summary": ""}

    def take(told: dict[str, Any] | None) -> None:
        if told is not None:
            page["rows"] = {
                name: each for name, each in {**page["rows"], **told["rows"]}.items() if name in told["order"]
            }
            page.update(order=told["order"], summary=told["summary"])

    take(shown.again())
    with fleet.subscribed() as subscription:
        for version, (name, phase, region, ready, gone) in enumerate(then, 1000):
            if gone:
                fleet.forget(name)
            else:
                fleet.observe(body(name, version, phase, region, ready))
            if version % 3 == 0:
                drawn = shown.rows(asyncio.run(subscription.changes(0)))
                page["rows"].update(drawn)
                if shown.stale:
                    take(shown.again())
        page["rows"].update(shown.rows(asyncio.run(subscription.changes(0))))
        if shown.stale:
            take(shown.again())
    now = fleet.find(asked)
    assert list(page["order"]) == [row.name for row in now.rows]
    assert page["summary"] == now.summary(len(fleet) if asked.narrow else None)
    assert page["rows"] == {row.name: f"{row.name} {row.phase} {row.seen}" for row in now.rows}


def test_pages_of_a_large_fleet_hold_a_hundred_each() -> None:
    fleet = Fleet()
    for number in range(250):
        fleet.observe(body(f"t{number:03}", number, "Running", REGIONS[0], ready=True))
    sizes = [len(fleet.find(Query(page=page)).rows) for page in (1, 2, 3)]
    assert sizes == [100, 100, 50]
    late = fleet.find(Query(page=9))
    assert (late.page, late.pages, len(late.rows)) == (3, 3, 50)
    assert late.summary(None) == "250 tenants, page 3 of 3"


@pytest.mark.parametrize(
    ("total", "of", "told"),
    [
        (0, None, "0 tenants"), (1, None, "1 tenant"), (2, None, "2 tenants"), (1, 1, "1 of 1 tenant"),
        (1, 1234, "1 of 1\u202f234 tenants"),
    ],
)  # fmt: skip
def test_how_many_there_are_is_said_as_people_say_it(total: int, of: int | None, told: str) -> None:
    assert Results((), total, 1, 1).summary(of) == told


def test_a_list_says_who_is_gone() -> None:
    fleet = Fleet()
    for name in ("a", "b"):
        fleet.observe(body(name, 1, "Running", REGIONS[0], ready=True))
    assert not fleet.listed
    fleet.keep_only({"b"})
    assert [row.name for row in fleet] == ["b"]
    assert fleet.listed


async def test_changes_that_come_together_are_told_together_with_what_was_before() -> None:
    fleet = Fleet()
    fleet.observe(body("a", 1, "Running", REGIONS[0], ready=True))
    with fleet.subscribed() as subscription:
        fleet.observe(body("a", 2, "Degraded", REGIONS[0], ready=False))
        fleet.observe(body("a", 2, "Degraded", REGIONS[0], ready=False))
        fleet.forget("a")
        changes = await subscription.changes(1)
        old, new = changes["a"]
        assert old is not None
        assert (old.phase, new) == ("Running", None)
        assert await subscription.changes(0.001) == {}
    fleet.observe(body("b", 3, "Running", REGIONS[0], ready=True))
    assert await subscription.changes(0.001) == {}


async def test_a_page_is_woken_when_the_watch_breaks_and_when_it_is_well_again() -> None:
    moments = iter([100.0, 200.0])
    fleet = Fleet(clock=lambda: next(moments))
    with fleet.subscribed() as subscription:
        fleet.fares("The API server does not answer.")
        assert await subscription.changes(5) == {}
        assert fleet.problem_since == 100.0
        fleet.fares("")
        assert await subscription.changes(5) == {}
        assert (fleet.problem, fleet.problem_since) == ("", 0.0)


@pytest.mark.parametrize(("seconds", "place"), [(0, 0), (30, 0), (31, 1), (600, 4), (3600, 5)])
def test_provisioning_times_by_length(seconds: float, place: int) -> None:
    found = plots.bars([seconds])
    assert [each.value for each in found] == [1 if number == place else 0 for number in range(len(found))]


def test_who_was_ready_later_than_within_an_hour_was_ready_before(tenant: Callable[..., Any]) -> None:
    fleet = Fleet()
    old = tenant("old")
    old["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    for each in (tenant("new"), old):
        fleet.observe(each)
    assert plots.provisioning_times(fleet) == [40]
    assert plots.figures(fleet).median == 40


def test_figures_of_a_fleet(tenant: Callable[..., Any]) -> None:
    moments = iter([60.0, 120.0, 180.0])
    fleet = Fleet(clock=lambda: next(moments))
    fleet.sample()
    fleet.keep_only(set())
    fleet.observe(tenant("good"))
    fleet.observe(tenant("bad", conditions={"Ready": ("False", "X"), "Stalled": ("True", "HostnameTaken")}))
    fleet.observe(tenant("moving", revision="r2", app={"revision": "r1", "version": "1.1.0"}))
    fleet.sample()
    found = plots.figures(fleet)
    assert {title: number for title, number, _, _ in found.tiles} == {
        "Tenants": 3, "Ready": 2, "Not ready": 1, "Releases under way": 1, "Blocked": 1,
    }  # fmt: skip
    assert found.blocked == (("Stalled", 1, "/?q=stalled&show=blocked"),)
    # Where it leads, those and no others are found.
    assert [each.name for each in fleet.find(Query(words=("stalled",), show="blocked")).rows] == ["bad"]
    assert {each.version: (each.here, each.leaving) for each in found.releases} == {
        "1.2.0": (2, 0), "1.1.0": (1, 1),
    }  # fmt: skip
    assert found.ready is not None
    assert (found.ready.least, found.ready.most, found.ready.begins) == (0, 2, 60.0)
    assert found.ready.points == "0.0,61.0 300.0,3.0"


def test_figures_of_nothing() -> None:
    found = plots.figures(Fleet())
    assert (found.ready, found.median, found.releases, found.blocked) == (None, None, (), ())
