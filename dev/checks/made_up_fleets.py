"""Made-up tenants over made-up days, for tests of the rollout's plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from guestpost_operator.rollout import Member, Plan, Releases, plan
from guestpost_operator.settings import Rollout
from guestpost_operator.windows import is_open

START = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
POLICY = Rollout(canary_soak_seconds=600, wave_size=3, wave_soak_seconds=60, fail_after_seconds=300)
NEW = Releases(current="r2", version="2.0.0", newest={"1.0.0": "r1", "2.0.0": "r2"})
LONG_AGO = START - timedelta(days=30)


def tenant(name: str, **facts: Any) -> Member:
    """One that has been well at r1 for long, but for these facts."""
    return Member(
        uid=f"uid-{name}", name=name, **{"version": "1.0.0", "revision": "r1", "since": LONG_AGO, **facts}
    )


class Fleet:
    """Tenants that move as they are told, and take their time, or fail, by what is set for each.

    Attributes:
        paused: whether people have paused the rollout.
        bad: revisions that make their tenants ill.
        cursed: tenants that any move makes ill.
        log: when who moved to which revision.
    """

    def __init__(self, *members: Member, policy: Rollout = POLICY, releases: Releases = NEW) -> None:
        self.members = {each.uid: each for each in members}
        self.policy, self.releases, self.now = policy, releases, START
        self.paused = False
        self.bad: set[str] = set()
        self.cursed: set[str] = set()
        self.log: list[tuple[datetime, str, str]] = []

    def plan(self) -> Plan:
        """Who would move now."""

        def opens(region: str) -> bool:
            return is_open(self.policy.windows, region, self.now)

        members = self.members.values()
        return plan(members, self.releases, self.policy, self.now, opens, paused=self.paused)

    def step(self, seconds: float = 10) -> Plan:
        """One look; who is told to move does; then some time goes by, and what was rolling is through."""
        made = self.plan()
        for uid, revision in made.moves.items():
            old = self.members[uid]
            if old.revision == revision:
                raise AssertionError("told twice")
            version = next(
                (v for v, r in self.releases.newest.items() if r == revision), self.releases.version
            )
            changes: dict[str, Any] = {"revision": revision, "previous": old.revision, "moved": self.now}
            changes |= {"arrived": None if old.rests else self.now}
            if not old.rests:
                changes |= {"ready": False, "since": self.now, "why": "waiting for pods"}
            self.members[uid] = replace(old, **changes, version=version)
            self.log.append((self.now, old.name, revision))
        self.now += timedelta(seconds=seconds)
        for uid, each in self.members.items():
            ill = each.revision in self.bad or (each.name in self.cursed and each.moved is not None)
            if not each.ready and not ill:
                self.members[uid] = replace(each, ready=True, since=self.now, why="")
        return made

    def run(self, minutes: float) -> Plan:
        """Look every ten seconds, for so long; the last plan."""
        end = self.now + timedelta(minutes=minutes)
        made = self.step()
        while self.now < end:
            made = self.step()
        return made

    def moved(self) -> list[str]:
        """Who moved, in order."""
        return [name for _, name, _ in self.log]

    def at(self, revision: str) -> set[str]:
        """Who has a revision."""
        return {each.name for each in self.members.values() if each.revision == revision}


def fleet(stable: int = 7, canaries: int = 2, **options: Any) -> Fleet:
    """Tenants s0, s1 and so on, of channel Stable, and canaries c0, c1 and so on."""
    members = [tenant(f"s{number}") for number in range(stable)]
    members += [tenant(f"c{number}", canary=True) for number in range(canaries)]
    return Fleet(*members, **options)
