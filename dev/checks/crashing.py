"""A crash before and after each thing that a program writes outside: recorded once, then tried one by one."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from guestpost_operator.backends.errors import UnavailableError

BEFORE, AFTER = "before", "after"


@dataclass(frozen=True, order=True)
class Point:
    """Where the program dies.

    Attributes:
        what: the write, as `Recorded` names it.
        nth: which of them, counting from 1.
        moment: before it is made, or after it was made and before its answer is known.
    """

    what: str
    nth: int
    moment: str

    def __str__(self) -> str:
        return f"{self.moment} {self.what}" + (f" ({self.nth})" if self.nth > 1 else "")


@dataclass
class Recorded:
    """Makes every call, and counts the writes; dies at a point if there is one.

    A dead program does nothing outside any more: every later call, reads too, fails without being made.

    Args:
        names: what differs between runs, as patterns, and what stands for it: {"gpt-t[0-9a-f]+": "NS"}.
        point: where to die; None lives on.

    Attributes:
        writes: how often each was made, by name.
        dead: set when the point was reached.
    """

    names: dict[str, str]
    point: Point | None = None
    writes: Counter[str] = field(default_factory=Counter)
    dead: threading.Event = field(default_factory=threading.Event)

    async def made(self, what: str, writes: bool, act: Callable[[], Awaitable[Any]]) -> Any:
        """Make a call; see operator_faults.Calls."""
        if self.dead.is_set():
            raise UnavailableError("this process is dead")
        if not writes:
            return await act()
        for pattern, name in self.names.items():
            what = re.sub(pattern, name, what)
        self.writes[what] += 1
        here = self.point is not None and (self.point.what, self.point.nth) == (what, self.writes[what])
        if here and self.point is not None and self.point.moment == BEFORE:
            self.dead.set()
            raise UnavailableError("this process died")
        answer = await act()
        if here:
            self.dead.set()
            raise UnavailableError("this process died")
        return answer


def points(writes: Counter[str]) -> Iterable[Point]:
    """Before and after each write that was recorded."""
    for what, number in sorted(writes.items()):
        for nth in range(1, number + 1):
            yield Point(what, nth, BEFORE)
            yield Point(what, nth, AFTER)
