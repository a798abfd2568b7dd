"""A program at a pseudo-terminal, and somebody who sits there."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Mapping, Sequence

PATIENCE = 30.0


class Terminal:
    """As `kubectl exec -it` connects a person and a program.

    Args:
        command: the program and its arguments.
        environment: its variables; this process's by default.

    Attributes:
        process: the program.
        seen: all that it has shown so far.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._screen, inside = pty.openpty()
        self.process = subprocess.Popen(
            command, env=environment, stdin=inside, stdout=inside, stderr=inside, start_new_session=True
        )
        os.close(inside)
        self.seen = ""

    def read_until(self, text: str) -> str:
        """All that was shown, once this is among it (TimeoutError, EOFError)."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{text!r} is not in {self.seen!r}")
            if select.select([self._screen], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self._screen, 4096).decode(errors="replace")
                except OSError as ended:
                    raise EOFError(f"{text!r} is not in {self.seen!r}") from ended
        return self.seen

    def type(self, line: str) -> None:
        """A line and Return."""
        os.write(self._screen, f"{line}\r".encode())

    def close(self) -> None:
        """End the program, if it has not ended."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        os.close(self._screen)
