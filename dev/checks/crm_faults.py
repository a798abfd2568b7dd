"""The process dies where a test wants it to."""

from __future__ import annotations

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
