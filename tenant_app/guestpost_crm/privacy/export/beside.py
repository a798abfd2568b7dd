"""Two things that an export does beside its own work, each in a thread: fetching ahead, and writing behind.

The database, the checksums and the disk take about as long as the rest, and Python lets others run meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Generic, TypeVar

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


@contextmanager
def behind(take: Callable[[bytes], object]) -> Iterator[Callable[[bytes], None]]:
    """A function that passes bytes on to another one, which a thread calls with them in their order.

    Whatever `take` raises comes out of a later call or of the block's end. When the block ends by itself,
    all was taken.

    Args:
        take: gets bytes, which must not change any more. It is nobody else's until the block ends.
    """
    thread = _Behind(take)
    thread.start()
    try:
        yield thread.put
    finally:
        thread.finish()
    thread.tell_failure()


class _Behind(threading.Thread):
    def __init__(self, take: Callable[[bytes], object]) -> None:
        super().__init__(name="behind", daemon=True)
        self._take = take
        self._waiting: Queue[bytes | None] = Queue(_MOST_WAITING)
        self._failure: Exception | None = None

    def put(self, data: bytes) -> None:
        self.tell_failure()
        self._waiting.put(data)

    def finish(self) -> None:
        self._waiting.put(None)
        self.join()

    def tell_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def run(self) -> None:
        while (data := self._waiting.get()) is not None:
            if self._failure is None:
                try:
                    self._take(data)
                except Exception as error:  # whoever gives the bytes is to have it
                    self._failure = error
