"""A token bucket below Gmail's quota that learns the account's limit from Gmail's answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

UNITS = {
    "getProfile": 5,
    "history.list": 2,
    "labels.list": 1,
    "messages.get": 20,
    "messages.list": 5,
    "messages.send": 100,
    "stop": 50,
    "watch": 100,
}
_RESERVE = 0.1
_LEAST = 120.0
_SLOWER = 0.7
# By the second; near the rate that was refused, belief comes back much more slowly than far below it.
_NEAR = 0.9
_GROWTH, _CAUTION = 0.2 / 60, 0.01 / 60
# Refusals of one moment are one: several calls were under way.
_MOMENT = 1.0
_FORGET = 3600.0


class Bucket:
    """Units that may be spent now; safe to use from several threads.

    Args:
        most: units a minute that Google grants at most.
        rate: what was learned before, in units a minute.
        clock: seconds, growing.
        sleep: waits.
    """

    def __init__(
        self,
        most: float,
        rate: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._most = most
        self._rate = min(most, max(_LEAST, rate if rate is not None else most))
        self._refused_rate: float | None = None
        self._refused_at = -_FORGET
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._level = self._rate / 6
        self._since = clock()

    @property
    def per_minute(self) -> float:
        """The rate that is kept to now."""
        return self._rate

    def spend(self, units: int, *, background: bool = False) -> None:
        """Wait until so many units may be spent, and spend them.

        Args:
            units: how many.
            background: leave a reserve for what people wait for.
        """
        while (wait := self._take(units, background=background)) > 0:
            self._sleep(min(wait, 5.0))

    def _take(self, units: int, *, background: bool) -> float:
        with self._lock:
            now = self._clock()
            burst = max(self._rate / 6, 120.0)
            self._level = min(burst, self._level + (now - self._since) * self._rate / 60)
            self._believe(now - self._since, now)
            self._since = now
            floor = burst * _RESERVE if background else 0.0
            if self._level - units >= floor:
                self._level -= units
                return 0.0
            return (units + floor - self._level) * 60 / self._rate

    def _believe(self, seconds: float, now: float) -> None:
        """Believe in more again, little by little, the more carefully the nearer to what was refused."""
        if now - self._refused_at > _FORGET:
            self._refused_rate = None
        near = self._refused_rate is not None and self._rate > _NEAR * self._refused_rate
        growth = _CAUTION if near else _GROWTH
        self._rate = min(self._most, self._rate * (1 + min(seconds, 60.0) * growth))

    def refused(self) -> None:
        """Gmail answered that the quota is used up: go slower, and remember where it was."""
        with self._lock:
            now = self._clock()
            if now - self._refused_at >= _MOMENT:
                self._refused_rate = self._rate
                self._rate = max(_LEAST, self._rate * _SLOWER)
            self._refused_at = now
            self._level = 0.0
            self._since = now
