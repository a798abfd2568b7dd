"""The process dies, or something else happens, where a test wants it to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Killed(BaseException):
    """The process is gone: nothing catches this."""


class Death:
    """A wrapper of database statements that dies at the one that writes after so many others."""

    def __init__(self, others: int) -> None:
        self._others = others

    def __call__(self, execute: Any, sql: str, *rest: Any) -> Any:
        """Execute a statement, or die."""
        if sql.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE")):
            self._others -= 1
            if self._others == -1:
                raise Killed
        return execute(sql, *rest)


class Calls:
    """Calls to Gmail, before one of which something happens: the mailbox changes, or the process dies."""

    def __init__(self) -> None:
        self._others = 0
        self._act: Callable[[], None] | None = None

    @contextmanager
    def before(self, others: int, act: Callable[[], None]) -> Iterator[None]:
        """Within it, do something right before the call that follows so many others."""
        self._others, self._act = others, act
        try:
            yield
        finally:
            self._act = None

    def die(self) -> None:
        """Something to do: the process ends, at a call of the thread that also writes."""
        if threading.current_thread() is threading.main_thread():
            raise Killed
        self._others, self._act = 0, self.die

    def watching(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """A function that makes a call, as it is to be replaced."""

        def made(*arguments: Any) -> Any:
            if (act := self._act) is not None:
                self._others -= 1
                if self._others < 0:
                    self._act = None
                    act()
            return call(*arguments)

        return made
