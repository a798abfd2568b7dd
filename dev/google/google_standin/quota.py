"""Quota units, limits and counts.

https://developers.google.com/workspace/gmail/api/reference/quota
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable

from google_standin.errors import rate_limited

UNITS = {
    "getProfile": 5,
    "history.list": 2,
    "labels.get": 1,
    "labels.list": 1,
    "messages.attachments.get": 20,
    "messages.get": 20,
    "messages.insert": 25,
    "messages.list": 5,
    "messages.modify": 10,
    "messages.send": 100,
    "stop": 50,
    "threads.get": 40,
    "threads.list": 10,
    "watch": 100,
}
PER_USER = 6_000
PER_PROJECT = 1_200_000


class Quota:
    """Buckets that refill evenly over a minute, for each user and for each Google project.

    Args:
        clock: seconds, growing.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.per_user: int | None = PER_USER
        self.per_project: int | None = PER_PROJECT
        self._spent: dict[str, tuple[float, float]] = {}
        self.calls: dict[str, Counter[str]] = defaultdict(Counter)
        self.units: dict[str, Counter[str]] = defaultdict(Counter)
        self.refused: Counter[str] = Counter()

    def spend(self, account: str, method: str, project: str = "") -> None:
        """Count a call.

        Args:
            account: whose mailbox it is.
            method: such as messages.get.
            project: that the OAuth client belongs to; all clients without one share theirs.

        Raises:
            ApiError: 429, the limit is reached; nothing is spent then.
        """
        units = UNITS[method]
        now = self._clock()
        buckets = ((account, self.per_user), (f"project {project}", self.per_project))
        for key, limit in buckets:
            if limit is not None and self._level(key, limit, now) + units > limit:
                self.refused[account] += 1
                raise rate_limited()
        for key, limit in buckets:
            if limit is not None:
                self._spent[key] = (self._level(key, limit, now) + units, now)
        self.calls[account][method] += 1
        self.units[account][method] += units

    def _level(self, key: str, limit: int, now: float) -> float:
        spent, since = self._spent.get(key, (0.0, now))
        return max(0.0, spent - (now - since) * limit / 60)

    def usage(self) -> dict[str, dict[str, object]]:
        """Calls, units and refusals by account."""
        return {
            account: {
                "calls": dict(self.calls[account]),
                "units": dict(self.units[account]),
                "totalUnits": sum(self.units[account].values()),
                "refused": self.refused[account],
            }
            for account in sorted({*self.calls, *self.refused})
        }

    def forget(self) -> None:
        """Begin counting anew; what is spent stays spent."""
        self.calls.clear()
        self.units.clear()
        self.refused.clear()
