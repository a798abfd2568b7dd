"""The proof that nothing is missing: every id at Gmail against every id here, daily and after a backfill.

The right result is 0. What differs is put right at once and counted all the same, for it means that the
protocol has a hole.
"""

from __future__ import annotations

import datetime as dt

import structlog
from django.utils import timezone

from guestpost_crm.gmail import metrics
from guestpost_crm.gmail.api import Gmail
from guestpost_crm.gmail.errors import NotFoundError
from guestpost_crm.gmail.ids import Ids
from guestpost_crm.gmail.models import FetchItem, Mailbox
from guestpost_crm.gmail.sync import MailboxSync
from guestpost_crm.inbox import services as inbox
from guestpost_crm.inbox.models import Message

EVERY = dt.timedelta(days=1)
MOST_ASKED = 50
log = structlog.get_logger()


def due(mailbox: Mailbox) -> bool:
    """Whether there was none for a day, or since the last listing, and nothing is being listed."""
    if mailbox.history_id is None or not mailbox.is_listed:
        return False
    last, began = mailbox.compared_at, mailbox.listing_began_at
    if last is None or (began is not None and last < began):
        return not FetchItem.objects.filter(mailbox=mailbox, attempts=0).exists()
    return timezone.now() - last > EVERY


class Comparison:
    """One comparison, a page of Gmail's listing at each step, so that new mail is not held up.

    Args:
        sync: of the mailbox; it is level, and brought level again before the result is drawn.
        gmail: the same client.
    """

    def __init__(self, sync: MailboxSync, gmail: Gmail) -> None:
        self._sync = sync
        self._gmail = gmail
        self._began = timezone.now()
        self._page: str | None = ""
        self._there = Ids()

    def step(self) -> bool:
        """Read one page; True until the result is drawn.

        Raises:
            GmailError: call again later, nothing is lost.
        """
        if self._page is not None:
            answer = self._gmail.list_ids(self._page)
            self._there.add(item["id"] for item in answer.get("messages", ()))
            self._page = answer.get("nextPageToken")
            return True
        # What changed while listing is known after this, and is no difference.
        self._sync.catch_up()
        self._sync.read_labels()
        missing, suspects = self._differences()
        difference = self._fetch(missing) + self._remove(suspects)
        mailbox = self._sync.mailbox
        mailbox.compared_at = timezone.now()
        mailbox.difference = difference
        mailbox.save(update_fields=["compared_at", "difference"])
        metrics.DIFFERENCE.labels(mailbox.pk).set(difference)
        level = log.warning if difference else log.info
        level("compared with Gmail", mailbox=mailbox.pk, difference=difference)
        return False

    def _differences(self) -> tuple[list[str], list[str]]:
        """Ids that are at Gmail and neither stored nor queued here, and ids that are here alone."""
        mailbox, suspects = self._sync.mailbox, []
        here = Message.objects.filter(mailbox=mailbox).values_list("gmail_id", "stored_at")
        for gmail_id, stored_at in here.iterator(chunk_size=5000):
            if not self._there.seen(gmail_id) and stored_at < self._began:
                suspects.append(gmail_id)
        queued = FetchItem.objects.filter(mailbox=mailbox).values_list("gmail_id", flat=True)
        for gmail_id in queued.iterator(chunk_size=5000):
            self._there.seen(gmail_id)
        # What is queued will be asked for anyway, and removed when it is gone.
        asked = set(queued.filter(gmail_id__in=suspects))
        return list(self._there.unseen()), [each for each in suspects if each not in asked]

    def _fetch(self, missing: list[str]) -> int:
        """Have what is missing fetched; how many of it are still at Gmail."""
        # Beyond a few they are too many to have come or gone while this went on.
        lost = [each for each in missing[:MOST_ASKED] if self._at_gmail(each)] + missing[MOST_ASKED:]
        self._sync.queue(lost, live=True)
        return len(lost)

    def _remove(self, suspects: list[str]) -> int:
        """Remove what is too much; how many were gone at Gmail."""
        gone = [each for each in suspects[:MOST_ASKED] if not self._at_gmail(each)]
        mailbox = self._sync.mailbox
        for message in Message.objects.filter(mailbox=mailbox, gmail_id__in=gone).select_related(
            "thread", "raw"
        ):
            inbox.remove(message)
        # The others are asked for one by one, and removed when Gmail says that they are not there.
        self._sync.queue_labels(suspects[MOST_ASKED:])
        return len(gone) + len(suspects[MOST_ASKED:])

    def _at_gmail(self, identifier: str) -> bool:
        """Whether Gmail has a message now, drafts excepted."""
        try:
            return "DRAFT" not in self._gmail.message_labels(identifier)
        except NotFoundError:
            return False
