"""Synchronising one mailbox with Gmail: the protocol of docs/mail-sync.md.

Everything that is found goes into the fetch queue in the transaction that moves the cursor, and leaves
it in the transaction that stores the message: a crash or a failure anywhere loses and repeats nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

import structlog
from django.db import OperationalError, transaction
from django.db.models import Q
from django.utils import timezone

from guestpost_crm.gmail.api import Gmail, GmailError, NotFoundError, RefusedError, UnavailableError
from guestpost_crm.gmail.models import FetchItem, Label, Mailbox
from guestpost_crm.inbox import services as inbox
from guestpost_crm.inbox.models import Message

LONGEST_WAIT = 3600
log = structlog.get_logger()


class MailboxSync:
    """One mailbox's synchronisation; used by one thread at a time.

    Args:
        mailbox: which.
        gmail: its client.
    """

    def __init__(self, mailbox: Mailbox, gmail: Gmail) -> None:
        self.mailbox = mailbox
        self._gmail = gmail

    def catch_up(self) -> bool:
        """Bring the cursor to Gmail's newest change; returns whether anything had changed.

        Raises:
            GmailError: what is stored and queued so far stays; the next call goes on.
        """
        self.mailbox.refresh_from_db()
        noticed = self.mailbox.notified
        if self.mailbox.history_id is None:
            self._begin_listing()
        try:
            changed = self._read_history()
        except NotFoundError:
            # Too old for Gmail: list everything again. The new cursor is read before the listing, so
            # no change falls between the two.
            log.info("history expired", mailbox=self.mailbox.pk)
            self._begin_listing()
            changed = True
        Mailbox.objects.filter(pk=self.mailbox.pk, processed__lt=noticed).update(processed=noticed)
        return changed

    def _begin_listing(self) -> None:
        profile = self._gmail.profile()
        self._keep_labels()
        mailbox = self.mailbox
        mailbox.history_id = int(profile["historyId"])
        mailbox.listing += 1
        mailbox.listing_page = ""
        mailbox.listing_count = 0
        mailbox.save(update_fields=["history_id", "listing", "listing_page", "listing_count"])

    def _keep_labels(self) -> None:
        for label in self._gmail.labels():
            Label.objects.update_or_create(
                mailbox=self.mailbox, gmail_id=label["id"], defaults={"name": label["name"]}
            )

    def _read_history(self) -> bool:
        page, changed = "", False
        start = int(self.mailbox.history_id or 0)
        while True:
            answer = self._gmail.history(start, page)
            records = answer.get("history", [])
            page = answer.get("nextPageToken", "")
            # Numbers, however many digits: as text 999 would come after 1000.
            reached = int(records[-1]["id"]) if page and records else int(answer["historyId"])
            with transaction.atomic():
                for record in records:
                    self._apply(record)
                self._move_cursor(reached)
            changed = changed or bool(records)
            if not page:
                return changed

    def _move_cursor(self, reached: int) -> None:
        if reached > int(self.mailbox.history_id or 0):
            self.mailbox.history_id = reached
            self.mailbox.save(update_fields=["history_id"])

    def _apply(self, record: dict[str, Any]) -> None:
        for entry in record.get("messagesAdded", ()):
            message = entry["message"]
            if "DRAFT" not in message.get("labelIds", ()):
                self.queue([message["id"]], live=True)
        for entry in record.get("messagesDeleted", ()):
            self._forget(entry["message"]["id"])
        for key, add in (("labelsAdded", True), ("labelsRemoved", False)):
            for entry in record.get(key, ()):
                self._change_labels(entry["message"]["id"], entry.get("labelIds", ()), add=add)

    def queue(self, identifiers: Iterable[str], *, live: bool, listing: int = 0) -> None:
        """Have messages fetched, each once; `live` before the backfill, `listing` is what named them."""
        FetchItem.objects.bulk_create(
            [
                FetchItem(mailbox=self.mailbox, gmail_id=identifier, live=live, listing=listing)
                for identifier in identifiers
            ],
            ignore_conflicts=True,
        )

    def _change_labels(self, identifier: str, labels: Iterable[str], *, add: bool) -> None:
        message = Message.objects.filter(mailbox=self.mailbox, gmail_id=identifier).first()
        if message is None:
            # A draft that was sent, or one that is queued: it is fetched with the labels it has then.
            if add and "DRAFT" not in labels:
                self.queue([identifier], live=True)
            return
        present = set(message.labels)
        inbox.relabel(message, present | set(labels) if add else present - set(labels))

    def _forget(self, identifier: str) -> None:
        FetchItem.objects.filter(mailbox=self.mailbox, gmail_id=identifier).delete()
        message = Message.objects.filter(mailbox=self.mailbox, gmail_id=identifier).first()
        if message is not None:
            inbox.remove(message)

    def list_page(self) -> bool:
        """Read one page of the full listing, the newest mail first; False when none is under way."""
        mailbox = self.mailbox
        if mailbox.listing_page is None:
            return False
        answer = self._gmail.list_ids(mailbox.listing_page)
        identifiers = [item["id"] for item in answer.get("messages", ())]
        with transaction.atomic():
            known = Message.objects.filter(mailbox=mailbox, gmail_id__in=identifiers)
            stored = set(known.values_list("gmail_id", flat=True))
            known.update(listed_in=mailbox.listing)
            self.queue(
                [each for each in identifiers if each not in stored], live=False, listing=mailbox.listing
            )
            self._queue_labels(stored)
            mailbox.listing_page = answer.get("nextPageToken")
            mailbox.listing_count += len(identifiers)
            mailbox.save(update_fields=["listing_page", "listing_count"])
            if mailbox.listing_page is None:
                self._remove_unlisted()
        return True

    def _queue_labels(self, stored: set[str]) -> None:
        """What is stored already may have got other labels while history was lost."""
        FetchItem.objects.bulk_create(
            [FetchItem(mailbox=self.mailbox, gmail_id=each, labels_only=True) for each in stored],
            ignore_conflicts=True,
        )

    def _remove_unlisted(self) -> None:
        """What a whole listing did not name is gone at Gmail, unless it came after the listing began."""
        mailbox = self.mailbox
        gone = Message.objects.filter(mailbox=mailbox, listed_in__lt=mailbox.listing)
        for message in gone.select_related("thread", "raw"):
            try:
                self._gmail.message_labels(message.gmail_id)
            except NotFoundError:
                inbox.remove(message)
            else:
                message.listed_in = mailbox.listing
                message.save(update_fields=["listed_in"])

    def next_item(self) -> FetchItem | None:
        """The next message to fetch: new mail before the backfill, the newest first."""
        return (
            FetchItem.objects.filter(mailbox=self.mailbox)
            .filter(Q(not_before=None) | Q(not_before__lte=timezone.now()))
            .order_by("-live", "id")
            .first()
        )

    def fetch(self, item: FetchItem) -> None:
        """Fetch one message and store it.

        A message that is gone is forgotten; one that fails stays queued and is tried again later, so
        that it holds up no other.

        Raises:
            GmailError: of the mailbox as a whole: consent gone, quota used up, Gmail away.
        """
        try:
            if item.labels_only:
                self._fetch_labels(item)
            else:
                self._fetch_content(item)
        except NotFoundError:
            self._forget(item.gmail_id)
        except RefusedError as error:
            self._postpone(item, error.reason or str(error.status))
        except UnavailableError:
            self._postpone(item, "unavailable")
            raise
        except (GmailError, OperationalError):
            # Of the mailbox or the database as a whole: the message stays queued as it is.
            raise
        except Exception as error:
            log.error("a message could not be stored", mailbox=self.mailbox.pk, problem=type(error).__name__)
            self._postpone(item, type(error).__name__)

    def _fetch_labels(self, item: FetchItem) -> None:
        labels = self._gmail.message_labels(item.gmail_id)
        with transaction.atomic():
            message = Message.objects.filter(mailbox=self.mailbox, gmail_id=item.gmail_id).first()
            if message is not None:
                inbox.relabel(message, labels)
            item.delete()

    def _fetch_content(self, item: FetchItem) -> None:
        found = self._gmail.message(item.gmail_id, background=not item.live)
        with found.content, transaction.atomic():
            if "DRAFT" not in found.labels:
                message = inbox.store(
                    self.mailbox, found.id, found.thread, found.labels, found.received_at, found.content
                )
                if message.listed_in != self.mailbox.listing:
                    message.listed_in = self.mailbox.listing
                    message.save(update_fields=["listed_in"])
            item.delete()

    def _postpone(self, item: FetchItem, reason: str) -> None:
        item.attempts += 1
        wait = min(2.0 ** min(item.attempts, 12), LONGEST_WAIT)
        item.not_before = timezone.now() + dt.timedelta(seconds=wait)
        item.error = reason[:60]
        item.save(update_fields=["attempts", "not_before", "error"])
