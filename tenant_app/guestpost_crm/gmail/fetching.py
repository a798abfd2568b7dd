"""Fetching what is queued: a message leaves the queue in the transaction that stores it."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from guestpost_crm.gmail import sending
from guestpost_crm.gmail.ahead import Fetched, downloaded
from guestpost_crm.gmail.api import Gmail, RawMessage
from guestpost_crm.gmail.errors import (
    GmailError,
    NotFoundError,
    RefusedError,
    TooLargeError,
    UnavailableError,
    word,
)
from guestpost_crm.gmail.models import FetchItem, Mailbox
from guestpost_crm.gmail.transfer import IN_MEMORY
from guestpost_crm.inbox import services as inbox
from guestpost_crm.inbox.models import Message

LONGEST_WAIT = 3600
# So many are stored together, or what has come in this time, in seconds, or as much as this, in bytes.
_MOST, _TOGETHER, _LARGE = 25, 0.2, 1 << 20
Got = tuple[FetchItem, RawMessage]
log = structlog.get_logger()


class Fetching:
    """Fetches messages of one mailbox; used by one thread.

    Args:
        mailbox: which.
        gmail: its client.
    """

    def __init__(self, mailbox: Mailbox, gmail: Gmail) -> None:
        self._mailbox = mailbox
        self._gmail = gmail

    def fetch(self, items: Iterable[FetchItem], stop: Callable[[], bool]) -> int:
        """Fetch messages; see MailboxSync.fetch."""
        batch, handled = _Batch(), 0
        with downloaded(self._gmail, items, stop, _TOGETHER) as results:
            try:
                for found in results:
                    if found is not None:
                        handled += 1
                        self._take(found, batch)
                    if batch.is_due(quiet=found is None):
                        self._store_and_close(batch)
                self._store_and_close(batch)
            except GmailError:
                self._store_and_close(batch)
                raise
            finally:
                batch.close()
        return handled

    def _take(self, found: Fetched, batch: _Batch) -> None:
        """Do what is to be done about an item, or put its message with those that are stored together."""
        item = found.item
        try:
            if found.error is not None:
                raise found.error
        except NotFoundError:
            forget(self._mailbox, item.gmail_id)
        except (RefusedError, TooLargeError) as error:
            self._postpone(item, word(error))
        except UnavailableError as error:
            self._postpone(item, word(error))
            raise
        else:
            if found.message is not None:
                batch.add(item, found.message)
            else:
                self._set_labels(item, found.labels)

    def _store_and_close(self, batch: _Batch) -> None:
        self._store(batch.got)
        batch.close()

    def _store(self, got: list[Got]) -> None:
        """Store messages in one transaction; when that fails for one of them, each in its own."""
        if not got:
            return
        try:
            with transaction.atomic():
                mail = [found for _, found in got if "DRAFT" not in found.labels]
                stored = inbox.store_all(self._mailbox, mail)
                for message, found in zip(stored, mail, strict=True):
                    sending.recognise(message, found.content)
                FetchItem.objects.filter(pk__in=[item.pk for item, _ in got]).delete()
        except (InterfaceError, OperationalError):
            # Of the database as a whole: the messages stay queued as they are.
            raise
        except Exception as error:
            if len(got) > 1:
                for each in got:
                    self._store([each])
                return
            log.error("a message could not be stored", mailbox=self._mailbox.pk, problem=type(error).__name__)
            self._postpone(got[0][0], "not_stored")

    def _set_labels(self, item: FetchItem, labels: Iterable[str]) -> None:
        with transaction.atomic():
            message = Message.objects.filter(mailbox=self._mailbox, gmail_id=item.gmail_id).first()
            if message is not None:
                relabel(message, labels)
            item.delete()

    def _postpone(self, item: FetchItem, reason: str) -> None:
        item.attempts += 1
        wait = min(2.0 ** min(item.attempts, 12), LONGEST_WAIT)
        item.not_before = timezone.now() + dt.timedelta(seconds=wait)
        item.error = reason[:60]
        item.save(update_fields=["attempts", "not_before", "error"])


class _Batch:
    """Messages that are stored together, soon."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self._size = 0
        self._until = 0.0

    def add(self, item: FetchItem, message: RawMessage) -> None:
        """One more."""
        if not self.got:
            self._until = time.monotonic() + _TOGETHER
        self.got.append((item, message))
        # One that lies on disk makes the next such one wait.
        self._size += message.size if message.size <= IN_MEMORY else _LARGE

    def is_due(self, *, quiet: bool) -> bool:
        """Whether to store them now; `quiet`: no other comes at the moment."""
        full = len(self.got) >= _MOST or self._size >= _LARGE
        return bool(self.got) and (quiet or full or time.monotonic() > self._until)

    def close(self) -> None:
        """Let go of their contents, and begin anew."""
        for _, message in self.got:
            message.content.close()
        self.got, self._size = [], 0


def forget(mailbox: Mailbox, identifier: str) -> None:
    """A message is no longer at Gmail: it goes here too."""
    FetchItem.objects.filter(mailbox=mailbox, gmail_id=identifier).delete()
    message = Message.objects.filter(mailbox=mailbox, gmail_id=identifier).first()
    if message is not None:
        inbox.remove(message)


def relabel(message: Message, labels: Iterable[str]) -> None:
    """Set a message's labels; what has become a draft is no mail any more."""
    if "DRAFT" in labels:
        inbox.remove(message)
    else:
        inbox.relabel(message, labels)
