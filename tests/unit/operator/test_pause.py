"""Who moves while people have paused the rollout: nobody but whom a person sends; on made-up fleets."""

from __future__ import annotations

import pytest
from guestpost_operator.rollout import Pause, Releases, Stage
from guestpost_operator.settings import Strategy
from made_up_fleets import NEW, POLICY, fleet, tenant


def test_a_pause_in_a_wave_lets_nobody_begin_and_those_on_the_way_finish() -> None:
    seen = fleet(stable=30)
    seen.cursed = {"s0"}
    while len(seen.moved()) < 5:
        seen.step()
    assert seen.plan().moving == {"uid-s0"}, "on the way"
    seen.cursed, seen.paused, moved = set(), True, seen.moved()
    made = seen.run(60)
    assert (made.stage, dict(made.moves), dict(made.blocked)) == (Stage.PAUSED, {}, {})
    assert (seen.moved(), made.moving, made.behind) == (moved, frozenset(), 27)
    seen.paused = False
    assert seen.run(60).stage is Stage.DONE
    assert len(seen.moved()) == 32


@pytest.mark.parametrize("strategy", Strategy)
def test_a_release_that_arrives_in_a_pause_waits_whatever_the_strategy(strategy: Strategy) -> None:
    seen = fleet(policy=POLICY.model_copy(update={"strategy": strategy}))
    seen.paused = True
    seen.members["uid-p"] = tenant("p", pinned="1.0.0", revision="r0", version="0.9.0")
    assert seen.run(30).stage is Stage.PAUSED
    assert [(name, revision) for _, name, revision in seen.log] == [("p", "r1")], "a person wrote it"


def test_a_pause_is_told_where_nobody_is_behind() -> None:
    seen = fleet()
    seen.run(40)
    seen.paused = True
    assert seen.plan().stage is Stage.PAUSED


def test_a_pause_stops_the_way_back_too_and_hides_no_failure() -> None:
    seen = fleet()
    seen.cursed = {"s1"}
    seen.run(40)
    seen.paused = True
    made = seen.run(1)
    assert (made.stage, made.failed) == (Stage.PAUSED, ("s1",))
    assert {uid: reason for uid, (reason, _) in made.blocked.items()} == {"uid-s1": "UpgradeFailed"}
    before = seen.at("r2")
    seen.releases = Releases(current="r1", version="1.0.0", newest=NEW.newest)
    seen.run(30)
    assert seen.at("r2") == before
    seen.paused = False
    seen.run(1)
    assert seen.at("r2") == set()


@pytest.mark.parametrize(
    ("data", "paused", "says"),
    [
        ({"paused": "false", "reason": ""}, False, ""),
        ({"paused": "false"}, False, ""),
        ({"paused": "true", "reason": "Ticket 7"}, True, "Ticket 7"),
        ({"paused": "False", "reason": "Ticket 7"}, True, "'False', and neither true nor false. Ticket 7"),
        ({"paused": "true\n"}, True, "neither true nor false"),
        ({"paused": ""}, True, "'', and neither"),
        ({}, True, "None, and neither"),
    ],
)
def test_what_is_not_plainly_no_is_a_pause(data: dict[str, str], paused: bool, says: str) -> None:
    found = Pause.read(data)
    assert (found.on, says in found.reason) == (paused, True)
    assert says or not found.reason
