"""Backfills share what a Google project's quota has left for them.

Gmail counts units for each user and for the project as a whole: a few hundred first imports at full speed
would leave nothing for the mail that arrives meanwhile. So a sync that imports asks for a share, a lease of
a rate for a minute, and asks again before it ends. A share is remembered in memory and nowhere else:

- Each replica gives out its part of the project's backfill budget only, so the replicas need not know of each
  other; whoever asks another replica next time is counted at both until the old share ends.
- A replica that has just started gives nothing until every share that its predecessor may have given has
  ended.

Together the shares that are in force never exceed the budget, whatever is restarted. (While a rolling update
runs one replica more than usual, they exceed it by that replica's part at most; the budget leaves room.)
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

SECONDS = 60
RETRY_SECONDS = 20
# The length of a share, and what a predecessor may take to end.
SETTLE_SECONDS = SECONDS + 30
# Part of a project's quota; the rest is for mail that arrives, for what people do, and for a replica more
# than usual while brokers are replaced.
BUDGET = 0.6
# One mailbox gets at most this part of what Gmail allows a user, and at least fifteen messages a minute: for
# less it would rather wait for its turn.
MAILBOX = 0.9
LEAST = 300


@dataclass(frozen=True)
class Share:
    """Units a minute for `seconds`; or none, and then ask again after so many."""

    units_per_minute: int
    seconds: int


@dataclass(frozen=True)
class _Lease:
    units: float
    ends: float


class Pacer:
    """Gives shares of this replica's part of the budget.

    Args:
        budget: units a minute that this replica may give out, by project.
        user: units a minute that Gmail allows one user.
        clock: seconds, growing.
        settle: seconds after the start in which nothing is given.
    """

    def __init__(
        self,
        budget: Callable[[str], float],
        user: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        settle: float = SETTLE_SECONDS,
    ) -> None:
        self._budget = budget
        self._user = user
        self._clock = clock
        self._begins = clock() + settle
        self._leases: dict[str, dict[str, _Lease]] = defaultdict(dict)
        self._waiting: dict[str, dict[str, float]] = defaultdict(dict)

    def share(self, project: str, mailbox: str, wanted: int) -> Share:
        """A share for a mailbox; it replaces the one that the mailbox has.

        Args:
            project: the Google project whose quota is used.
            mailbox: anything that names the mailbox.
            wanted: units a minute; 0 gives the present share back.
        """
        now = self._clock()
        leases, waiting = self._forget_ended(project, now)
        leases.pop(mailbox, None)
        waiting.pop(mailbox, None)
        if wanted <= 0:
            return Share(0, RETRY_SECONDS)
        budget = self._budget(project)
        free = budget - sum(lease.units for lease in leases.values())
        fair = budget / (len(leases) + len(waiting) + 1)
        units = int(min(max(fair, LEAST), wanted, self._user() * MAILBOX, free))
        if units < min(wanted, LEAST) or now < self._begins:
            # Who waits is counted, so that the others' next shares are smaller.
            waiting[mailbox] = now + 3 * RETRY_SECONDS
            return Share(0, RETRY_SECONDS)
        leases[mailbox] = _Lease(units, now + SECONDS)
        return Share(units, SECONDS)

    def in_force(self, project: str) -> tuple[int, float, int]:
        """How many mailboxes have a share, how many units a minute all of them, and how many wait."""
        leases, waiting = self._forget_ended(project, self._clock())
        return len(leases), sum(lease.units for lease in leases.values()), len(waiting)

    def _forget_ended(self, project: str, now: float) -> tuple[dict[str, _Lease], dict[str, float]]:
        leases, waiting = self._leases[project], self._waiting[project]
        for name in [name for name, lease in leases.items() if lease.ends <= now]:
            del leases[name]
        for name in [name for name, ends in waiting.items() if ends <= now]:
            del waiting[name]
        return leases, waiting
