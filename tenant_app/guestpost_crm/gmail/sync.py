"""Synchronising one mailbox with Gmail: the protocol of docs/mail-sync.md.

Everything that is found goes into the fetch queue in the transaction that moves the cursor, and leaves
it in the transaction that stores the message: a crash or a failure anywhere loses and repeats nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from guestpost_crm.gmail.api import Gmail
from guestpost_crm.gmail.errors import NotFoundError, RefusedError, UnavailableError
from guestpost_crm.gmail.fetching import Fetching, forget, relabel
from guestpost_crm.gmail.labels import LabelLists
from guestpost_crm.gmail.models import FetchItem, Label, Mailbox
from guestpost_crm.inbox.models import Message

# A history that Gmail refuses again and again is not answered by listing after listing.
_LIST_AGAIN = dt.timedelta(hours=1)
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
        self._labels: LabelLists | None = None

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
            if self._listed_in_vain():
                log.warning("history refused", mailbox=self.mailbox.pk)
                return False
            log.info("history expired", mailbox=self.mailbox.pk)
            self._begin_listing()
            return True
        Mailbox.objects.filter(pk=self.mailbox.pk, processed__lt=noticed).update(processed=noticed)
        Mailbox.objects.filter(pk=self.mailbox.pk).update(looked_at=timezone.now())
        return changed

    def _listed_in_vain(self) -> bool:
        """Whether Gmail has refused its history ever since the last listing began, a short while ago."""
        began, looked = self.mailbox.listing_began_at, self.mailbox.looked_at
        if began is None or (looked is not None and looked > began):
            return False
        return timezone.now() - began < _LIST_AGAIN

    def _begin_listing(self) -> None:
        profile = self._gmail.profile()
        self.read_labels()
        mailbox = self.mailbox
        mailbox.history_id = int(profile["historyId"])
        mailbox.listing += 1
        mailbox.listing_page = ""
        mailbox.listing_count = 0
        mailbox.listing_total = int(profile.get("messagesTotal", 0))
        mailbox.listing_began_at = timezone.now()
        # What was stored before may have got other labels while history was lost.
        mailbox.labels_due = Message.objects.filter(mailbox=mailbox).exists()
        mailbox.save(
            update_fields=[
                "history_id",
                "labels_due",
                "listing",
                "listing_page",
                "listing_count",
                "listing_total",
                "listing_began_at",
            ]
        )

    def read_labels(self) -> list[str]:
        """Names of labels; no change of them is told of, so they are read when one is not known.

        Returns:
            Gmail's ids of all of them.
        """
        labels = [
            Label(mailbox=self.mailbox, gmail_id=label["id"], name=label["name"])
            for label in self._gmail.labels()
        ]
        with transaction.atomic():
            Label.objects.filter(mailbox=self.mailbox).delete()
            Label.objects.bulk_create(labels)
        return [label.gmail_id for label in labels]

    def _read_history(self) -> bool:
        page, changed = "", False
        start = int(self.mailbox.history_id or 0)
        while True:
            answer = self._gmail.history(start, page)
            records = answer.get("history", [])
            page = answer.get("nextPageToken", "")
            # Numbers, however many digits: as text 999 would come after 1000.
            reached = int(records[-1]["id"]) if page and records else int(answer["historyId"])
            self._know_labels(records)
            with transaction.atomic():
                self._queue_added(records)
                for record in records:
                    self._apply(record)
                self._move_cursor(reached)
            changed = changed or bool(records)
            if not page:
                return changed

    def _know_labels(self, records: list[dict[str, Any]]) -> None:
        """Read the labels' names when a change names one that is new."""
        named = {
            label
            for record in records
            for key in ("messagesAdded", "labelsAdded")
            for entry in record.get(key, ())
            for label in [*entry.get("labelIds", ()), *entry["message"].get("labelIds", ())]
        }
        known = Label.objects.filter(mailbox=self.mailbox, gmail_id__in=named)
        if len(named) > known.count():
            self.read_labels()

    def _move_cursor(self, reached: int) -> None:
        if reached > int(self.mailbox.history_id or 0):
            self.mailbox.history_id = reached
            self.mailbox.save(update_fields=["history_id"])

    def _queue_added(self, records: list[dict[str, Any]]) -> None:
        """Have new messages fetched that a listing has not brought already."""
        added = [
            entry["message"]["id"]
            for record in records
            for entry in record.get("messagesAdded", ())
            if "DRAFT" not in entry["message"].get("labelIds", ())
        ]
        known = Message.objects.filter(mailbox=self.mailbox, gmail_id__in=added)
        stored = set(known.values_list("gmail_id", flat=True))
        self.queue([each for each in dict.fromkeys(added) if each not in stored], live=True)

    def _apply(self, record: dict[str, Any]) -> None:
        for entry in record.get("messagesDeleted", ()):
            forget(self.mailbox, entry["message"]["id"])
        for key, add in (("labelsAdded", True), ("labelsRemoved", False)):
            for entry in record.get(key, ()):
                self._change_labels(entry["message"]["id"], entry.get("labelIds", ()), add=add)

    def queue(self, identifiers: Iterable[str], *, live: bool) -> None:
        """Have messages fetched, each once; `live` before the backfill."""
        FetchItem.objects.bulk_create(
            [FetchItem(mailbox=self.mailbox, gmail_id=each, live=live) for each in identifiers],
            ignore_conflicts=True,
        )

    def queue_labels(self, identifiers: Iterable[str]) -> None:
        """Have the labels of stored messages read; one that is gone at Gmail is then removed."""
        FetchItem.objects.bulk_create(
            [FetchItem(mailbox=self.mailbox, gmail_id=each, labels_only=True) for each in identifiers],
            ignore_conflicts=True,
        )

    def _change_labels(self, identifier: str, labels: Iterable[str], *, add: bool) -> None:
        message = Message.objects.filter(mailbox=self.mailbox, gmail_id=identifier).first()
        if message is None:
            # A draft that was sent, or one that is queued: it is fetched with the labels it has then.
            if add != ("DRAFT" in labels):
                self.queue([identifier], live=True)
            return
        present = set(message.labels)
        relabel(message, present | set(labels) if add else present - set(labels))

    def list_page(self) -> bool:
        """Read one page of the full listing, the newest mail first, or then of its labels.

        Returns:
            False when no listing is under way.
        """
        mailbox = self.mailbox
        if mailbox.listing_page is None:
            return self._list_labels()
        try:
            answer = self._gmail.list_ids(mailbox.listing_page)
        except RefusedError as error:
            if not mailbox.listing_page or error.status != 400:
                raise
            # Tokens of pages do not live for ever: begin at the newest again, what is known costs little.
            log.info("listing begins again", mailbox=mailbox.pk)
            mailbox.listing_page, mailbox.listing_count = "", 0
            mailbox.save(update_fields=["listing_page", "listing_count"])
            raise UnavailableError("the listing begins again") from None
        identifiers = [item["id"] for item in answer.get("messages", ())]
        with transaction.atomic():
            known = Message.objects.filter(mailbox=mailbox, gmail_id__in=identifiers)
            stored = set(known.values_list("gmail_id", flat=True))
            self.queue([each for each in identifiers if each not in stored], live=False)
            known.update(listed_in=mailbox.listing)
            mailbox.listing_page = answer.get("nextPageToken")
            mailbox.listing_count += len(identifiers)
            mailbox.save(update_fields=["listing_page", "listing_count"])
            if mailbox.listing_page is None:
                # What a whole listing did not name is gone, unless it came after the listing began.
                left = Message.objects.filter(mailbox=mailbox, listed_in__lt=mailbox.listing)
                self.queue_labels(left.values_list("gmail_id", flat=True))
        return True

    def _list_labels(self) -> bool:
        if not self.mailbox.labels_due:
            return False
        if self._labels is None or self._labels.listing != self.mailbox.listing:
            self._labels = LabelLists(self.mailbox, self._gmail, self.read_labels(), self.queue_labels)
        if not self._labels.step():
            self._labels = None
            self.mailbox.labels_due = False
            self.mailbox.save(update_fields=["labels_due"])
        return True

    def next_items(self, most: int = 1) -> list[FetchItem]:
        """What to fetch next: new mail before the backfill, the newest first."""
        waiting = FetchItem.objects.filter(mailbox=self.mailbox)
        due = waiting.filter(Q(not_before=None) | Q(not_before__lte=timezone.now()))
        return list(due.order_by("-live", "id")[:most])

    def fetch(self, items: Iterable[FetchItem], stop: Callable[[], bool] = lambda: False) -> int:
        """Fetch messages one after the other, and store those that have come while the next are coming.

        A message that is gone is forgotten; one that fails stays queued and is tried again later, so
        that it holds up no other.

        Args:
            items: what to fetch; each is taken right before it is asked for.
            stop: whether to begin with no further one.

        Returns:
            How many of the items are done with for now.

        Raises:
            GmailError: of the mailbox as a whole: consent gone, quota used up, Gmail away. What was
                fetched before is stored.
        """
        return Fetching(self.mailbox, self._gmail).fetch(items, stop)
