"""Whether this process may still write: asked by every backend right before each write.

A lease keeps two operators from working side by side only if the one that lost it knows in time. So its
clock counts from the moment at which the last renewal was *sent*, never goes back, and goes on while
the machine sleeps. What this leaves open is told in docs/decisions/leader-election.md.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Self

from guestpost_operator.backends.errors import BackendError


class NotLeaderError(BackendError):
    """The lease is another's, or its time has run out: nothing may be written any more."""

    reason = "NotLeader"


def boot_clock() -> float:
    """Seconds since the machine started, those that it was suspended for included (clock_gettime(2))."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Fence:
    """Two deadlines after each renewal: until when a write may begin, and until when it has to be answered.

    Args:
        begin: seconds after a renewal in which writes may begin.
        end: seconds after a renewal at which the last of them is given up; others take the lease no sooner.
        clock: seconds, never going back.
    """

    def __init__(self, begin: float, end: float, clock: Callable[[], float] = boot_clock) -> None:
        self._begin, self._end, self._clock = begin, end, clock
        self._renewed: float | None = None

    @classmethod
    def open(cls) -> Self:
        """One that lets everything pass: for programs that hold no lease, such as checks and tests."""
        fence = cls(math.inf, math.inf)
        fence.renew(0.0)
        return fence

    def renew(self, sent: float) -> None:
        """Count anew from the moment at which a renewal that succeeded was sent."""
        self._renewed = sent

    def close(self) -> None:
        """Let nothing pass from now on."""
        self._renewed = None

    def left(self) -> float:
        """Seconds in which writes may still begin; 0 or less when they may not."""
        return -math.inf if self._renewed is None else self._renewed + self._begin - self._clock()

    def pass_write(self) -> float:
        """Let one write pass.

        Returns:
            Seconds after which it has to be given up if it was not answered.

        Raises:
            NotLeaderError: it may not be made.
        """
        if self._renewed is None or self.left() <= 0:
            raise NotLeaderError("this operator does not hold the lease: it writes nothing")
        return self._renewed + self._end - self._clock()
