"""Downloading ahead: a thread asks Gmail for the next messages while the one before them is being stored.

One call is under way at a time, and nothing is read of the database here but the access token.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection

from guestpost_crm.gmail.api import Gmail, RawMessage
from guestpost_crm.gmail.errors import GmailError, NotFoundError, RefusedError, TooLargeError
from guestpost_crm.gmail.models import FetchItem

# Small messages that may wait to be stored; of larger ones there is one (transfer.Content).
_MOST_WAITING = 32
_LOOK = 0.05
# These are of one message; every other error ends the whole.
_OF_ONE = (NotFoundError, RefusedError, TooLargeError)


@dataclass(frozen=True)
class Fetched:
    """What Gmail said of an item: a message, or the labels that were asked for, or an error."""

    item: FetchItem
    message: RawMessage | None = None
    labels: tuple[str, ...] = ()
    error: GmailError | None = None

    def close(self) -> None:
        """Let go of the message's content."""
        if self.message is not None:
            self.message.content.close()


@contextmanager
def downloaded(
    gmail: Gmail, items: Iterable[FetchItem], stop: Callable[[], bool], patience: float
) -> Iterator[Iterator[Fetched | None]]:
    """Download while the block works.

    Args:
        gmail: nobody else uses it meanwhile.
        items: what to ask for; taken one by one, right before the call.
        stop: whether to begin no further call.
        patience: seconds.

    Yields:
        What came, in the order of `items`, up to the first error that is not of one message alone; None
        whenever nothing has come for `patience`. Whoever takes it closes it.
    """
    ahead = _Ahead(gmail, items, stop)
    ahead.start()
    try:
        yield ahead.results(patience)
    finally:
        ahead.give_up()


class _Ahead(threading.Thread):
    """The thread that downloads."""

    def __init__(self, gmail: Gmail, items: Iterable[FetchItem], stop: Callable[[], bool]) -> None:
        super().__init__(name="downloads", daemon=True)
        self._gmail = gmail
        self._items = items
        self._stop_asked = stop
        self._given_up = threading.Event()
        self._failure: Exception | None = None
        self._found: queue.Queue[Fetched | None] = queue.Queue(_MOST_WAITING)

    def run(self) -> None:
        """Download until there is nothing more to do."""
        try:
            for item in self._items:
                found = self._fetch(item)
                self._found.put(found)
                fatal = found.error is not None and not isinstance(found.error, _OF_ONE)
                if fatal or self._given_up.is_set() or self._stop_asked():
                    break
        except Exception as error:
            self._failure = error
        finally:
            self._end()

    def _end(self) -> None:
        """Say that nothing more comes, whatever happens: somebody waits for that without a limit."""
        try:
            # An access token that was renewed has been written down.
            connection.close()
        except Exception as error:
            self._failure = self._failure or error
        finally:
            self._found.put(None)

    def _fetch(self, item: FetchItem) -> Fetched:
        try:
            if item.labels_only:
                return Fetched(item, labels=self._gmail.message_labels(item.gmail_id))
            return Fetched(item, self._gmail.message(item.gmail_id, background=not item.live))
        except GmailError as error:
            return Fetched(item, error=error)

    def results(self, patience: float) -> Iterator[Fetched | None]:
        """What came, see `downloaded`; then, if there was one, the failure that no answer of Gmail's is."""
        while True:
            try:
                found = self._found.get(timeout=patience)
            except queue.Empty:
                yield None
                continue
            if found is not None:
                yield found
            elif self._failure is not None:
                raise self._failure
            else:
                return

    def give_up(self) -> None:
        """End, and close what nobody took."""
        self._given_up.set()
        while self.is_alive():
            self._close_waiting()
            self.join(_LOOK)
        self._close_waiting()

    def _close_waiting(self) -> None:
        while True:
            try:
                found = self._found.get_nowait()
            except queue.Empty:
                return
            if found is not None:
                found.close()
