"""How fast messages are fetched, for the estimate of when a backfill is through."""

from __future__ import annotations

import time
from collections.abc import Callable

_EVERY = 10.0
_WEIGHT = 0.3


class Pace:
    """Messages a minute, smoothed over about a minute.

    Args:
        clock: seconds, growing.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._fetched = 0
        self._rate: float | None = None

    def count(self, fetched: int) -> None:
        """So many more were fetched."""
        self._fetched += fetched

    def news(self) -> float | None:
        """The rate, when it is time to tell it again."""
        elapsed = self._clock() - self._since
        if elapsed < _EVERY:
            return None
        measured = self._fetched * 60 / elapsed
        if self._fetched:
            old = measured if self._rate is None else self._rate
            self._rate = old + _WEIGHT * (measured - old)
        self._since, self._fetched = self._clock(), 0
        return self._rate
