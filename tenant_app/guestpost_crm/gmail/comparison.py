"""The nightly proof that nothing is missing: every id at Gmail against every id here.

The right result is 0. What differs is put right at once and counted all the same, for it means that the
protocol has a hole.
"""

from __future__ import annotations

import datetime as dt

import structlog
from django.utils import timezone

from guestpost_crm.gmail import metrics
from guestpost_crm.gmail.api import Gmail, NotFoundError
from guestpost_crm.gmail.models import FetchItem, Mailbox
from guestpost_crm.gmail.sync import MailboxSync
from guestpost_crm.inbox import services as inbox
from guestpost_crm.inbox.models import Message

EVERY = dt.timedelta(days=1)
log = structlog.get_logger()


def due(mailbox: Mailbox) -> bool:
    """Whether a day has passed since the last comparison, and nothing is being listed."""
    if mailbox.history_id is None or mailbox.listing_page is not None:
        return False
    return timezone.now() - (mailbox.compared_at or mailbox.connected_at) > EVERY


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
        self._there: set[str] = set()

    def step(self) -> bool:
        """Read one page; True until the result is drawn.

        Raises:
            GmailError: call again later, nothing is lost.
        """
        if self._page is not None:
            answer = self._gmail.list_ids(self._page)
            self._there.update(item["id"] for item in answer.get("messages", ()))
            self._page = answer.get("nextPageToken")
            return True
        # What changed while listing is known after this, and is no difference.
        self._sync.catch_up()
        difference = self._missing() + self._gone()
        mailbox = self._sync.mailbox
        mailbox.compared_at = timezone.now()
        mailbox.difference = difference
        mailbox.save(update_fields=["compared_at", "difference"])
        metrics.DIFFERENCE.labels(mailbox.pk).set(difference)
        level = log.warning if difference else log.info
        level("compared with Gmail", mailbox=mailbox.pk, difference=difference)
        return False

    def _missing(self) -> int:
        """Queue what Gmail has and we have neither stored nor queued; how many are still at Gmail."""
        mailbox = self._sync.mailbox
        here = set(Message.objects.filter(mailbox=mailbox).values_list("gmail_id", flat=True))
        here.update(FetchItem.objects.filter(mailbox=mailbox).values_list("gmail_id", flat=True))
        missing = [each for each in sorted(self._there - here) if self._at_gmail(each)]
        self._sync.queue(missing, live=True)
        return len(missing)

    def _gone(self) -> int:
        """Remove what we have and Gmail has not."""
        older = Message.objects.filter(mailbox=self._sync.mailbox, stored_at__lt=self._began)
        suspects = [pk for pk, gmail_id in older.values_list("pk", "gmail_id") if gmail_id not in self._there]
        gone = [
            message
            for message in Message.objects.filter(pk__in=suspects).select_related("thread", "raw")
            if not self._at_gmail(message.gmail_id)
        ]
        for message in gone:
            inbox.remove(message)
        return len(gone)

    def _at_gmail(self, identifier: str) -> bool:
        """Whether Gmail has a message now, drafts excepted."""
        try:
            return "DRAFT" not in self._gmail.message_labels(identifier)
        except NotFoundError:
            return False
