"""Room in the pod's folder for temporary files, which the kubelet ends the pod for when it is overfilled.

A form takes 45 MiB of it at most, and the message that is made of its files (25 MiB) 36 MiB more: three at a
time stay below the folder's 256 MiB. Smaller ones are kept in memory and need no room.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

AT_ONCE = 3
# Of more than 25 MiB of files the form itself says that they are too many, and keeps what was typed.
LARGEST = 45 << 20
# What Django keeps in memory.
SMALL = 1 << 20
_PATIENCE = 20.0


class BusyError(Exception):
    """There is no room at the moment."""


class Room:
    """Lets a few threads at a time write large temporary files.

    Args:
        at_once: how many.
        patience: seconds that the others wait.
    """

    def __init__(self, at_once: int = AT_ONCE, patience: float = _PATIENCE) -> None:
        self._places = threading.BoundedSemaphore(at_once)
        self._patience = patience
        self._own = threading.local()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Have room for as long as the block lasts; within another such block it is the same room.

        Raises:
            BusyError: others had it all the time.
        """
        if getattr(self._own, "taken", False):
            yield
            return
        if not self._places.acquire(timeout=self._patience):
            raise BusyError
        self._own.taken = True
        try:
            yield
        finally:
            self._own.taken = False
            self._places.release()


ROOM = Room()
