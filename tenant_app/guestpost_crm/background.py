"""A thread that works off what is due, and goes on whatever happens."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod

import structlog
from django.db import DatabaseError, close_old_connections, connection

_AFTER_FAILURE = 30.0
log = structlog.get_logger()


class Background(threading.Thread):
    """Does one step after the other while there is something to do, then looks again after a while.

    Attributes:
        beat: when it last did something, by the monotonic clock.
    """

    def __init__(self, name: str, quiet: float) -> None:
        super().__init__(name=name, daemon=True)
        self._quiet = quiet
        self._ended = threading.Event()
        self._woken = threading.Event()
        self.beat = time.monotonic()

    @abstractmethod
    def step(self) -> bool:
        """Do what is due; False when nothing is."""

    @abstractmethod
    def tidy(self) -> None:
        """Asked before each look for work, for what is done now and then."""

    def end(self) -> None:
        """Stop after what is being done now."""
        self._ended.set()
        self._woken.set()

    def wake(self) -> None:
        """Look for work at once."""
        self._woken.set()

    def run(self) -> None:
        """Work until ended; every failure is told, waited for and tried again."""
        while not self._ended.is_set():
            failed = False
            self._woken.clear()
            try:
                close_old_connections()
                self.tidy()
                while not self._ended.is_set() and self.step():
                    self.beat = time.monotonic()
            except DatabaseError as error:
                log.warning("database", part=self.name, problem=type(error).__name__)
                connection.close()
            except Exception as error:
                log.error("background work failed", part=self.name, problem=type(error).__name__)
                failed = True
            self.beat = time.monotonic()
            if not self._ended.is_set():
                self._woken.wait(_AFTER_FAILURE if failed else self._quiet)
        connection.close()
