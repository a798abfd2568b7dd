"""Who moves to another revision now: facts about all tenants in, moves and blocks out. Pure.

See docs/decisions/releases.md. Nothing is remembered between two plans: what happened is in the statuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from guestpost_operator.settings import Rollout, Strategy

NAMED = 3
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Stage(StrEnum):
    """How far the current revision is."""

    DONE = "Done"
    HELD = "Held"
    PAUSED = "Paused"
    CANARIES = "Canaries"
    WAVES = "Waves"
    HALTED = "Halted"


@dataclass(frozen=True)
class Pause:
    """Whether people let nobody begin a move, and why."""

    on: bool = False
    reason: str = ""

    @classmethod
    def read(cls, data: Mapping[str, str]) -> Pause:
        """What the data of their ConfigMap say; whatever is not plainly no is a pause."""
        said, reason = data.get("paused"), data.get("reason", "")
        if said in ("true", "false"):
            return cls(said == "true", reason)
        return cls(True, f"data.paused is {said!r}, and neither true nor false. {reason}".strip())


@dataclass(frozen=True, slots=True)
class Member:
    """A tenant as the rollout sees it.

    Attributes:
        canary: whether it takes releases first.
        pinned: version that it stays at, "" when it follows the rollout.
        version: of the CRM in the revision in force.
        revision: in force.
        previous: the one before, "" when there was none.
        moved: when it was given the revision in force, None when it was made with it.
        arrived: when web and sync went over to it, None as long as the database is not migrated for it.
        rests: nothing of it runs.
        since: when it became Ready, or stopped to be.
        stalled: it cannot go on without a person.
        why: what its condition Ready says.
        held: left out, for it is paused or being erased.
    """

    uid: str
    name: str
    region: str = ""
    canary: bool = False
    pinned: str = ""
    version: str = ""
    revision: str = ""
    previous: str = ""
    moved: datetime | None = None
    arrived: datetime | None = None
    rests: bool = False
    ready: bool = True
    since: datetime | None = None
    stalled: bool = False
    why: str = ""
    held: bool = False


@dataclass(frozen=True)
class Releases:
    """What there is to move to.

    Attributes:
        current: revision of this operator and its configuration.
        version: of the CRM in it.
        newest: version → the newest revision that has it, of all that are stored.
    """

    current: str
    version: str
    newest: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What is to be done now.

    Attributes:
        moves: uid → revision that the tenant gets now.
        blocked: uid → reason and message of its condition UpgradeBlocked.
        moving: uids of those that have moved and not settled yet.
        behind: how many have not got their revision.
        failed: names of those that the current revision failed at.
        usual: the revision that proved itself: what a new tenant of channel Stable gets.
    """

    stage: Stage
    moves: Mapping[str, str] = field(default_factory=dict)
    blocked: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    moving: frozenset[str] = frozenset()
    behind: int = 0
    failed: tuple[str, ...] = ()
    usual: str = ""


def plan(
    members: Iterable[Member],
    releases: Releases,
    policy: Rollout,
    now: datetime,
    opens: Callable[[str], bool] = lambda region: True,
    *,
    paused: bool = False,
) -> Plan:
    """Who moves now, and who is held up by what.

    Args:
        members: all tenants.
        releases: what there is to move to.
        policy: how to go about it.
        now: the time.
        opens: whether a region's maintenance window is open now.
        paused: nobody begins a move, but to another version that a person has written.
    """
    followers: list[Member] = []
    moves: dict[str, str] = {}
    blocked: dict[str, tuple[str, str]] = {}
    for each in members:
        target = _target(each, releases)
        if target is None:
            blocked[each.uid] = ("UnknownVersion", unknown_version(each.pinned, releases))
        elif target != releases.current:
            # A person has written this version: that is the window and the proof.
            if target != each.revision and not each.held:
                moves[each.uid] = target
        else:
            followers.append(each)
    fleet = _Fleet(followers, releases.current, policy, now)
    if paused:
        # Also where nobody is behind: the next release would wait.
        return fleet.plan(Stage.PAUSED, moves, {**blocked, **fleet.failures()})
    if policy.strategy is Strategy.IMMEDIATE:
        moves |= {each.uid: releases.current for each in fleet.behind if not each.held}
        return fleet.plan(Stage.DONE, moves, blocked)
    if policy.strategy is Strategy.HOLD:
        return fleet.plan(Stage.HELD if fleet.behind else Stage.DONE, moves, blocked)
    stage, chosen, held = fleet.next(opens)
    moves |= {each.uid: releases.current for each in chosen}
    return fleet.plan(stage, moves, {**blocked, **held})


def unknown_version(version: str, releases: Releases) -> str:
    """What is said about a version that no stored revision has."""
    known = ", ".join(sorted(releases.newest.keys() | {releases.version}))
    return (
        f"spec.release.version {version} is not one that this installation has run: {known}. "
        "Write one of these, or install the chart with that version first."
    )


def _target(member: Member, releases: Releases) -> str | None:
    """The revision that it shall have in the end; None when its version is unknown."""
    if member.pinned in ("", releases.version):
        return releases.current
    if member.pinned == member.version:
        return member.revision
    return releases.newest.get(member.pinned)


class _Fleet:
    """The tenants that follow one rollout, at one moment."""

    def __init__(self, members: Sequence[Member], current: str, policy: Rollout, now: datetime) -> None:
        self._members, self._current, self._policy, self._now = members, current, policy, now
        self.behind = [each for each in members if each.revision != current]
        # Made with it is no proof: what is proven is the move.
        self._moved = [each for each in members if each.revision == current and each.moved is not None]
        self.failed = [each for each in self._moved if self._fails(each)]

    def failures(self) -> dict[str, tuple[str, str]]:
        """What is said of those that the current revision failed at."""
        return {each.uid: self._failure(each) for each in self.failed}

    def next(
        self, opens: Callable[[str], bool]
    ) -> tuple[Stage, Sequence[Member], Mapping[str, tuple[str, str]]]:
        """How far it is, who moves now, and who is held up."""
        held = self.failures()
        free = [each for each in self.behind if not each.held]
        back = [each for each in free if each.previous == self._current]
        # What they had before needs no proof, only that not all of them start at once.
        going_back = self._some(back, self._flying(self._moved, timedelta(0)))
        ahead = [each for each in free if each.previous != self._current]
        able = [each for each in ahead if self._able(each)]
        held |= {each.uid: ("NotReady", _not_ready(each)) for each in ahead if not self._able(each)}
        if not self.behind:
            return Stage.DONE, [], held
        if len(self.failed) > self._policy.max_failures:
            halted = ("RolloutHalted", self._halted())
            return Stage.HALTED, going_back, held | {each.uid: halted for each in able}
        canaries = self._canaries(able)
        waiting = [each for each in able if each.uid in canaries]
        if waiting:
            soak = self._policy.canary_soak
            chosen = self._some(
                [each for each in waiting if opens(each.region)], self._flying(self._moved, soak)
            )
            return Stage.CANARIES, [*going_back, *chosen], held
        if not self._proven(canaries):
            return Stage.CANARIES, going_back, held
        flying = self._flying(self._moved, self._policy.wave_soak)
        open_now = [] if flying else [each for each in able if opens(each.region)]
        return Stage.WAVES, [*going_back, *self._some(open_now, 0)], held

    def plan(self, stage: Stage, moves: Mapping[str, str], blocked: Mapping[str, tuple[str, str]]) -> Plan:
        """The plan, with what is told of the fleet."""
        moving = [each for each in self._moved if not self._settled(each, timedelta(0)) and not each.rests]
        return Plan(
            stage=stage,
            moves=moves,
            blocked=blocked,
            moving=frozenset(each.uid for each in moving),
            behind=len(self.behind),
            failed=tuple(sorted(each.name for each in self.failed)),
            usual=self._usual(),
        )

    # -- What is said of one tenant

    def _age(self, member: Member) -> timedelta:
        """How long it has been as it is, since its last step."""
        return self._now - max(
            each for each in (member.moved, member.arrived, member.since, _LONG_AGO) if each
        )

    def _fell(self, member: Member) -> bool:
        """Whether it is not Ready, and was not for long after its move; later it is not the move's fault."""
        if member.ready or member.moved is None:
            return False
        if member.arrived is None or member.since is None:
            return True
        soak = self._policy.canary_soak if member.canary else self._policy.wave_soak
        return member.since - member.arrived <= max(soak, self._policy.fail_after)

    def _settled(self, member: Member, soak: timedelta) -> bool:
        """Whether it has been well for so long after its move."""
        if member.rests or member.held:
            return True
        if member.arrived is None:
            return False
        return self._age(member) >= soak if member.ready else not self._fell(member)

    def _fails(self, member: Member) -> bool:
        if member.rests or member.held or member.moved is None:
            return False
        if member.ready:
            # A migration that does not come to its end leaves the old CRM Ready.
            return member.arrived is None and self._now - member.moved >= self._policy.fail_after
        return self._fell(member) and (member.stalled or self._age(member) >= self._policy.fail_after)

    def _able(self, member: Member) -> bool:
        """Whether it may move: what happens to it then is the move's."""
        return member.ready or member.rests or self._hurt(member)

    def _hurt(self, member: Member) -> bool:
        """Whether a move to an earlier revision made it ill: the next one may be its cure."""
        return member.moved is not None and (member.arrived is None or self._fell(member))

    # -- What is said of many

    def _canaries(self, able: Sequence[Member]) -> set[str]:
        """Those who prove the revision: channel Canary; where there is none, the first tenant that runs."""
        running = [each for each in (*self._moved, *able) if not each.rests and not each.held]
        chosen = [each for each in running if each.canary]
        if chosen:
            return {each.uid for each in chosen}
        moved = [each for each in running if each.revision == self._current]
        first = min(moved, key=lambda each: (each.moved or self._now, each.uid), default=None)
        first = first or min(running, key=lambda each: each.name, default=None)
        return {first.uid} if first else set()

    def _proven(self, canaries: set[str]) -> bool:
        """Whether the canaries have been well for long enough; failures that are allowed are no proof."""
        failed = {each.uid for each in self.failed}
        judged = [each for each in self._moved if each.uid in canaries and each.uid not in failed]
        if canaries and not judged:
            return False
        return all(self._settled(each, self._policy.canary_soak) for each in judged)

    def _flying(self, moved: Iterable[Member], soak: timedelta) -> int:
        failed = {each.uid for each in self.failed}
        return sum(not self._settled(each, soak) and each.uid not in failed for each in moved)

    def _some(self, waiting: Iterable[Member], flying: int) -> list[Member]:
        room = max(0, self._policy.wave_size - flying)
        return sorted(waiting, key=lambda each: each.name)[:room]

    def _usual(self) -> str:
        """The current revision once it is proven; before, the one that most have."""
        followers = [each for each in self._members if each.revision]
        counts: dict[str, int] = {}
        for each in followers:
            counts[each.revision] = counts.get(each.revision, 0) + 1
        moved = [each for each in self._moved if not each.held]
        bad = len(self.failed) > self._policy.max_failures
        proven = any(self._settled(each, self._policy.canary_soak) for each in moved) and not bad
        if not counts or not self.behind or proven:
            return self._current
        others = [(count, revision) for revision, count in counts.items() if revision != self._current]
        return max(others)[1] if others else self._current

    # -- Words

    def _failure(self, member: Member) -> tuple[str, str]:
        limit, revision = f"{self._policy.fail_after_seconds:g} s", self._current
        return (
            "UpgradeFailed",
            f"it is not well {limit} after its move to revision {revision}: {_ill(member)} To bring it back, "
            "set spec.release to channel Pinned and the version that it had, or roll the chart back.",
        )

    def _halted(self) -> str:
        failed = sorted(self.failed, key=lambda each: each.name)
        named = ", ".join(each.name for each in failed[:NAMED])
        more = f" and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
        return (
            f"revision {self._current} failed at {named}{more}, so nobody else moves: {_ill(failed[0])} "
            "It goes on when they are well, or pinned to the version that they had."
        )


def _ill(member: Member) -> str:
    said = "its database is not migrated; see the logs of Job migrate" if member.ready else member.why
    return f"{said.rstrip('.')}."


def _not_ready(member: Member) -> str:
    return f"it moves when it is Ready, so that a failure can be told from one before: {member.why}"
