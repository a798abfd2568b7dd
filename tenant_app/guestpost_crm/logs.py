"""What Django logs, without the messages of exceptions: a database quotes values in them, such as mail."""

from __future__ import annotations

import copy
import logging
import traceback
from types import TracebackType

_Error = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class Plain(logging.Formatter):
    """Writes where an exception came from and of which type it and those before it are, and no more."""

    def format(self, record: logging.LogRecord) -> str:
        """A record as text; what another formatter made of its exception is not used."""
        own = copy.copy(record)
        own.exc_text = None
        return super().format(own)

    def formatException(self, ei: _Error) -> str:  # noqa: N802 - the library's name
        """Places and types."""
        lines = []
        error: BaseException | None = ei[1]
        while error is not None:
            frames = traceback.extract_tb(error.__traceback__)
            lines += [f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
            lines.append(f"{type(error).__module__}.{type(error).__qualname__}")
            error = error.__cause__ or error.__context__
        return "\n".join(lines)
