"""Two things that an export does beside its own work, each in a thread: fetching ahead, and writing behind.

The database, the checksums and the disk take about as long as the rest, and Python lets others run meanwhile.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from queue import Empty, Queue
from typing import IO, Generic, TypeVar

Item = TypeVar("Item")
# Pieces that wait to be written, each of half a megabyte at most.
_MOST_WAITING = 16
_LOOK = 0.05


@contextmanager
def ahead(source: Generator[Item, None, None]) -> Iterator[Iterator[Item]]:
    """What a generator gives; while one item is used, the next two are being made.

    Args:
        source: is run and closed by a thread, before the block ends.
    """
    thread = _Ahead(source)
    thread.start()
    try:
        yield thread.items()
    finally:
        thread.give_up()


class _Ahead(threading.Thread, Generic[Item]):
    def __init__(self, source: Generator[Item, None, None]) -> None:
        super().__init__(name="ahead", daemon=True)
        self._source = source
        # What was made, or why there is no more.
        self._found: Queue[Item | _End] = Queue(1)
        self._given_up = threading.Event()

    def run(self) -> None:
        end = _End()
        try:
            with closing(self._source):
                for item in self._source:
                    self._found.put(item)
                    if self._given_up.is_set():
                        return
        except Exception as error:  # whoever waits for the items is to have it
            end = _End(error)
        self._found.put(end)

    def items(self) -> Iterator[Item]:
        while not isinstance(item := self._found.get(), _End):
            yield item
        if item.failure is not None:
            raise item.failure

    def give_up(self) -> None:
        """End it; what nobody took is dropped."""
        self._given_up.set()
        while self.is_alive():
            try:
                self._found.get_nowait()
            except Empty:
                self.join(_LOOK)


@dataclass(frozen=True)
class _End:
    failure: Exception | None = None


class Behind:
    """Writes to a file and hashes what it writes, in the order in which it comes.

    Args:
        target: the file. It is nobody else's until `close`.

    Attributes:
        size: bytes taken so far.
    """

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self._digest = hashlib.sha256()
        self._waiting: Queue[bytes | None] = Queue(_MOST_WAITING)
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="behind", daemon=True)
        self._thread.start()
        self.size = 0

    def write(self, data: bytes) -> int:
        """Take bytes, which must not change any more.

        Raises:
            OSError: what came before could not be written.
        """
        if self._failure is not None:
            raise self._failure
        self._waiting.put(data)
        self.size += len(data)
        return len(data)

    def close(self) -> None:
        """Wait until all is written (OSError when it could not be)."""
        self.abandon()
        if self._failure is not None:
            raise self._failure

    def abandon(self) -> None:
        """End the thread, whatever has become of what it wrote."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()

    @property
    def sha256(self) -> str:
        """Of everything, after `close`."""
        return self._digest.hexdigest()

    def _run(self) -> None:
        while (data := self._waiting.get()) is not None:
            if self._failure is None:
                try:
                    self._target.write(data)
                    self._digest.update(data)
                except Exception as error:  # whoever gives the bytes is to have it
                    self._failure = error
