"""Bounds on how often somebody may ask: token buckets, in bounded memory."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """So many a minute, `burst` of them at once."""

    per_minute: float
    burst: int


# Of one tenant. A consent is begun by a person; a mailbox refreshes once an hour and asks for its share of
# the backfills once a minute; erasure revokes all that a tenant has.
RATES: Mapping[str, Rate] = {
    "begin": Rate(30, 20),
    "exchange": Rate(30, 20),
    "refresh": Rate(120, 60),
    "revoke": Rate(120, 60),
    "backfill": Rate(240, 120),
}
# Of one address whose tokens proved nothing; each such token costs a TokenReview.
STRANGERS = Rate(30, 10)


class RateLimit:
    """Allows calls at a rate, for each key.

    Args:
        rate: what is allowed.
        most_keys: the least recently used are forgotten above this.
        clock: seconds, growing.
    """

    def __init__(
        self, rate: Rate, most_keys: int = 20_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = rate.per_minute / 60
        self._burst = rate.burst
        self._most = most_keys
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str) -> int:
        """Whole seconds until a key's next call is allowed; 0 now. Takes nothing."""
        return math.ceil(max(0.0, 1 - self._level(key)) / self._per_second)

    def take(self, key: str) -> int:
        """Take one call from a key's bucket; returns 0, or else the seconds to wait and takes nothing."""
        if wait := self.wait(key):
            return wait
        self._buckets[key] = (self._level(key) - 1, self._clock())
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return 0

    def _level(self, key: str) -> float:
        now = self._clock()
        level, since = self._buckets.get(key, (float(self._burst), now))
        return min(self._burst, level + (now - since) * self._per_second)
