"""Who moves when: canaries, soak, waves, halts; on made-up fleets over made-up days."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from guestpost_operator.lifecycle.rollouts import member
from guestpost_operator.rollout import Member, Releases, Stage
from guestpost_operator.settings import Strategy, Window
from hypothesis import given
from hypothesis import strategies as st
from made_up_fleets import LONG_AGO, NEW, POLICY, START, Fleet, fleet, tenant


def test_canaries_then_a_soak_then_waves() -> None:
    seen = fleet()
    assert seen.step().stage is Stage.CANARIES
    assert seen.moved() == ["c0", "c1"]
    assert seen.run(9).moves == {}, "the soak"
    assert seen.run(1.5).stage is Stage.WAVES
    first = [name for _, name, _ in seen.log[2:]]
    assert first == ["s0", "s1", "s2"]
    assert seen.run(0.5).moves == {}, "the wave's own soak"
    assert seen.run(5).stage is Stage.DONE
    assert len(seen.moved()) == len(set(seen.moved())) == 9


def test_without_canaries_one_tenant_goes_first() -> None:
    seen = fleet(canaries=0)
    seen.run(9)
    assert seen.moved() == ["s0"]
    seen.run(10)
    assert seen.at("r2") == {f"s{number}" for number in range(7)}


def test_a_canary_that_sleeps_proves_nothing() -> None:
    seen = fleet(canaries=0)
    seen.members["uid-c"] = tenant("c", canary=True, rests=True)
    seen.run(9)
    assert seen.moved() == ["s0"]
    assert seen.run(12).stage is Stage.DONE
    assert "c" in seen.at("r2")


def test_a_fleet_that_sleeps_just_moves() -> None:
    seen = Fleet(*(tenant(f"s{number}", rests=True) for number in range(7)))
    seen.run(1)
    assert len(seen.at("r2")) == 7


def test_a_failing_canary_halts_and_says_so() -> None:
    seen = fleet()
    seen.bad = {"r2"}
    made = seen.run(10)
    assert made.stage is Stage.HALTED
    assert seen.moved() == ["c0", "c1"], "nobody else"
    assert made.failed == ("c0", "c1")
    reason, message = made.blocked["uid-s0"]
    assert (reason, "c0, c1" in message, "waiting for pods" in message) == ("RolloutHalted", True, True)
    reason, message = made.blocked["uid-c0"]
    assert reason == "UpgradeFailed"
    assert "Pinned" in message
    # They recover: it goes on by itself, after another soak.
    seen.bad = set()
    assert seen.run(5).stage is Stage.CANARIES
    assert seen.run(20).stage is Stage.DONE


def test_a_failing_wave_halts() -> None:
    seen = fleet()
    seen.cursed = {"s1"}
    made = seen.run(40)
    assert made.stage is Stage.HALTED
    assert seen.at("r2") == {"c0", "c1", "s0", "s1", "s2"}
    assert made.blocked["uid-s3"][0] == "RolloutHalted"
    assert "uid-s0" not in made.blocked


def test_so_many_failures_may_be_allowed() -> None:
    seen = fleet(policy=POLICY.model_copy(update={"max_failures": 1}))
    seen.cursed = {"s1"}
    made = seen.run(60)
    assert (made.stage, made.failed) == (Stage.DONE, ("s1",))
    assert made.blocked["uid-s1"][0] == "UpgradeFailed"


def test_a_failure_long_after_the_move_is_not_the_moves() -> None:
    seen = fleet(stable=40)
    seen.run(18)
    settled = seen.at("r2") & {"s0", "s1", "s2"}
    assert settled
    late = seen.now
    seen.members["uid-s0"] = replace(
        seen.members["uid-s0"], ready=False, since=late, stalled=True, why="its disk is full"
    )
    seen.cursed = {"s0"}
    assert seen.plan().behind > 9
    assert seen.run(30).stage is Stage.DONE


def test_a_stalled_move_fails_at_once() -> None:
    seen = fleet()
    seen.bad = {"r2"}
    seen.step()
    seen.members["uid-c0"] = replace(seen.members["uid-c0"], stalled=True, why="quota is used up")
    made = seen.step()
    assert (made.stage, made.failed) == (Stage.HALTED, ("c0",))


def test_a_migration_that_does_not_end_fails_though_the_old_crm_is_well() -> None:
    seen = fleet()
    seen.step()
    for uid in ("uid-c0", "uid-c1"):
        seen.members[uid] = replace(seen.members[uid], arrived=None, ready=True, since=LONG_AGO)
    made = seen.run(6)
    assert (made.stage, made.failed) == (Stage.HALTED, ("c0", "c1"))
    assert "not migrated" in made.blocked["uid-c0"][1]


def test_the_next_release_may_be_the_cure() -> None:
    seen = fleet()
    seen.bad = {"r2"}
    seen.run(10)
    seen.releases = Releases(current="r3", version="3.0.0", newest={"3.0.0": "r3"})
    seen.run(30)
    assert seen.at("r3") == {each.name for each in seen.members.values()}


def test_rolling_back_needs_no_proof() -> None:
    seen = fleet()
    seen.cursed = {"s1"}
    seen.run(40)
    seen.cursed = set()
    before = seen.at("r2")
    seen.releases = Releases(current="r1", version="1.0.0", newest=NEW.newest)
    seen.log.clear()
    seen.run(1)
    assert seen.at("r1") == {each.name for each in seen.members.values()}
    assert set(seen.moved()) == before, "nobody but those who had moved"


def test_who_is_not_ready_before_waits_and_holds_nobody_up() -> None:
    seen = fleet()
    seen.members["uid-s0"] = tenant("s0", ready=False, why="no primary")
    seen.cursed = {"s0"}
    seen.members["uid-s0"] = replace(seen.members["uid-s0"], moved=None)
    ill = seen.members["uid-s0"]
    for _ in range(200):
        seen.step()
        seen.members["uid-s0"] = ill
    assert len(seen.at("r2")) == 8
    reason, message = seen.plan().blocked["uid-s0"]
    assert (reason, "no primary" in message) == ("NotReady", True)


@pytest.mark.parametrize("why", ["held", "pinned"])
def test_who_is_left_out(why: str) -> None:
    seen = fleet()
    facts: dict[str, Any] = {"held": True} if why == "held" else {"pinned": "1.0.0"}
    seen.members["uid-s0"] = tenant("s0", **facts)
    assert seen.run(30).behind == (1 if why == "held" else 0)
    assert seen.at("r1") == {"s0"}


def test_a_pinned_version_is_had_at_once_also_an_older_one() -> None:
    releases = Releases(current="r3", version="3.0.0", newest={"1.0.0": "r1", "2.0.0": "r2", "3.0.0": "r3"})
    closed = POLICY.model_copy(
        update={"strategy": Strategy.HOLD, "windows": [Window(start="03:00", duration_minutes=1)]}
    )
    seen = Fleet(
        tenant("up", pinned="2.0.0"),
        tenant("down", pinned="1.0.0", revision="r2", version="2.0.0", ready=False),
        policy=closed,
        releases=releases,
    )
    assert seen.step().moves == {"uid-up": "r2", "uid-down": "r1"}
    assert seen.step().moves == {}


def test_a_tenant_pinned_to_the_current_version_gets_new_templates_in_its_turn() -> None:
    seen = fleet(releases=Releases(current="r1b", version="1.0.0", newest={"1.0.0": "r1b"}))
    seen.members["uid-p"] = tenant("p", pinned="1.0.0")
    seen.run(5)
    assert "p" not in seen.moved()
    seen.run(30)
    assert "p" in seen.at("r1b")


def test_a_version_that_is_unknown_is_told_with_those_that_are() -> None:
    made = Fleet(tenant("p", pinned="1.4.9")).plan()
    reason, message = made.blocked["uid-p"]
    assert (reason, "1.0.0, 2.0.0" in message, dict(made.moves)) == ("UnknownVersion", True, {})


@pytest.mark.parametrize(
    ("strategy", "moved"), [(Strategy.HOLD, 0), (Strategy.IMMEDIATE, 9), (Strategy.WAVES, 2)]
)
def test_strategies(strategy: Strategy, moved: int) -> None:
    seen = fleet(policy=POLICY.model_copy(update={"strategy": strategy}))
    assert len(seen.step().moves) == moved


def test_new_tenants_get_what_is_proven() -> None:
    seen = fleet()
    assert seen.plan().usual == "r1"
    seen.run(5)
    assert seen.plan().usual == "r1"
    seen.run(6)
    assert seen.plan().usual == "r2"
    bad = fleet()
    bad.bad = {"r2"}
    assert bad.run(20).usual == "r1"
    assert Fleet().plan().usual == "r2", "there is nobody to prove it"


def test_a_steady_fleet_is_left_alone() -> None:
    seen = fleet()
    seen.run(40)
    made = seen.run(10_000 / 60)
    assert (made.stage, dict(made.moves), dict(made.blocked), made.behind) == (Stage.DONE, {}, {}, 0)


@given(
    stable=st.integers(0, 14),
    canaries=st.integers(0, 4),
    size=st.integers(1, 5),
    allowed=st.integers(0, 2),
    cursed=st.sets(st.integers(0, 13), max_size=3),
    sleeping=st.sets(st.integers(0, 13), max_size=3),
    seed=st.integers(0, 2**32),
)
def test_whatever_the_fleet_the_rules_hold(
    stable: int, canaries: int, size: int, allowed: int, cursed: set[int], sleeping: set[int], seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311  # how long things take, not a secret
    seen = fleet(
        stable, canaries, policy=POLICY.model_copy(update={"wave_size": size, "max_failures": allowed})
    )
    seen.cursed = {f"s{number}" for number in cursed}
    for number in sleeping & set(range(stable)):
        seen.members[f"uid-s{number}"] = tenant(f"s{number}", rests=True)
    for _ in range(600):
        before = dict(seen.members)
        made = seen.step(chance.choice([1, 5, 20, 60, 600]))
        moved = {seen.members[uid].name for uid in made.moves}
        if moved:
            under_way = {each.name for each in before.values() if each.moved and not each.ready} - set(
                made.failed
            )
            assert len(moved | under_way) <= size, "so many at a time"
        if canaries and any(name.startswith("s") for name in moved):
            proof = [before[f"uid-c{number}"] for number in range(canaries)]
            assert all(each.revision == "r2" and each.ready for each in proof), "canaries first"
        if len(made.failed) > allowed:
            assert not made.moves, "halted"
    failed = [each for each in seen.members.values() if not each.ready]
    if len(failed) <= allowed and (canaries or not failed):
        assert seen.at("r1") == set(), "everybody got there"
    assert len(seen.moved()) == len(set(seen.moved())), "once each"


def test_nobody_moves_while_the_window_is_closed() -> None:
    night = Window(start="02:00", duration_minutes=120)
    seen = fleet(policy=POLICY.model_copy(update={"windows": [night]}))
    seen.run(13 * 60)
    assert seen.moved() == [], "noon to one at night"
    for _ in range(4 * 24 * 6):
        seen.step(600)
    assert seen.at("r2") == {each.name for each in seen.members.values()}
    assert {when.hour for when, _, _ in seen.log} <= {2, 3}


def test_a_tenant_is_read_as_the_plan_sees_it() -> None:
    body = {
        "metadata": {"name": "acme", "uid": "u1", "resourceVersion": "5"},
        "spec": {
            "region": "europe-west1",
            "release": {"channel": "Pinned", "version": "1.0.0"},
            "state": "Hibernated",
        },
        "status": {
            "revision": "r2",
            "app": {"revision": "r1"},
            "release": {
                "previousRevision": "r1",
                "movedAt": "2026-03-02T12:00:00Z",
                "arrivedAt": "2026-03-02T12:00:30Z",
            },
            "conditions": [
                {
                    "type": "Ready",
                    "status": "False",
                    "lastTransitionTime": "2026-03-02T12:01:00Z",
                    "message": "why",
                },
                {"type": "Stalled", "status": "True"},
            ],
        },
    }
    assert member(body, {"r2": "2.0.0"}.__getitem__) == Member(
        uid="u1", name="acme", region="europe-west1", pinned="1.0.0", version="2.0.0", revision="r2",
        previous="r1", moved=START, arrived=START + timedelta(seconds=30), rests=True, ready=False,
        since=START + timedelta(minutes=1), stalled=True, why="why",
    )  # fmt: skip
    body["metadata"] |= {"annotations": {"guestpostcrm.com/paused": "true"}}
    assert member(body, lambda _: "").held
    assert member({"metadata": body["metadata"] | {"annotations": {}}}, lambda _: "").held, "not made yet"
