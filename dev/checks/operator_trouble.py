"""An operator whose nth write meets trouble: it dies there, is refused, or never hears the answer."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Any

from guestpost_operator.backends.errors import ConflictError, UnavailableError


class Trouble:
    """What becomes of the writes of one operator; see operator_faults.Calls.

    A dead one does nothing outside any more: every later call, reads too, fails without being made.

    Args:
        met: what was met is added here.
    """

    KINDS = ("dies before", "dies after", "409", "429", "500", "answer lost")

    def __init__(self, met: list[str]) -> None:
        self.dead = threading.Event()
        self._met = met
        self._kind, self._left, self._times = "", 0, 0

    def arm(self, kind: str, nth: int, times: int = 1) -> None:
        """Have the nth write from now on, and so many after it, meet this."""
        self._kind, self._left, self._times = kind, nth, times

    async def made(self, what: str, writes: bool, act: Callable[[], Awaitable[Any]]) -> Any:
        """Make a call, or not."""
        if self.dead.is_set():
            raise UnavailableError("this process is dead")
        if not writes or not self._kind:
            return await act()
        self._left -= 1
        if self._left >= 1 or self._left <= -self._times:
            return await act()
        self._met.append(f"{self._kind}: {what}")
        if self._kind == "409":
            raise ConflictError("injected")
        if self._kind in {"429", "500"}:
            raise UnavailableError("injected", retry_after=0.05 if self._kind == "429" else None)
        if self._kind == "dies before":
            self.dead.set()
            raise UnavailableError("this process died")
        await act()
        if self._kind == "dies after":
            self.dead.set()
        raise UnavailableError("the answer is lost")
