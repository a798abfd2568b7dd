"""A token bucket below Gmail's quota that learns the account's limit from its answers."""

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


class Bucket:
    """Units that may be spent now; safe to use from several threads.

    Args:
        per_minute: what the account is believed to have.
        clock: seconds, growing.
        sleep: waits.
    """

    def __init__(
        self,
        per_minute: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._most = per_minute
        self._rate = per_minute
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._level = per_minute / 6
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
            self._since = now
            floor = burst * _RESERVE if background else 0.0
            if self._level - units >= floor:
                self._level -= units
                # Believe in the full quota again, little by little.
                self._rate = min(self._most, self._rate * (1 + units / 60_000))
                return 0.0
            return (units + floor - self._level) * 60 / self._rate

    def refused(self) -> None:
        """Gmail answered that the quota is used up: go slower."""
        with self._lock:
            self._rate = max(_LEAST, self._rate * 0.7)
            self._level = 0.0
            self._since = self._clock()
