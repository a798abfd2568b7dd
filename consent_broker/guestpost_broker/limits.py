"""A bound on how often one tenant may ask: a token bucket each, in bounded memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable


class RateLimit:
    """Allows `per_minute` calls a minute and key, `burst` of them at once.

    Args:
        per_minute: sustained rate.
        burst: how many may come together.
        most_keys: the least recently used are forgotten above this.
        clock: seconds, growing.
    """

    def __init__(
        self,
        per_minute: float,
        burst: int,
        most_keys: int = 20_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = per_minute / 60
        self._burst = burst
        self._most = most_keys
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, key: str) -> bool:
        """Take one call from a key's bucket, if there is one."""
        now = self._clock()
        level, since = self._buckets.pop(key, (float(self._burst), now))
        level = min(self._burst, level + (now - since) * self._rate)
        allowed = level >= 1
        self._buckets[key] = (level - 1 if allowed else level, now)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return allowed
