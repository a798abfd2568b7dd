"""What Gmail is told when this server stops for a while, or for ever.

Both are run by the operator as Jobs and may be repeated: what is done already is passed over.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.db.models import QuerySet

from guestpost_crm.environment import current
from guestpost_crm.gmail import consent
from guestpost_crm.gmail.api import Gmail
from guestpost_crm.gmail.broker import BrokerError
from guestpost_crm.gmail.errors import ConsentGoneError, GmailError
from guestpost_crm.gmail.models import Mailbox, MailboxState
from guestpost_crm.gmail.quota import Bucket

log = structlog.get_logger()


def pause() -> int:
    """Stop Gmail's notifications of every mailbox; consents stay, and sync asks for them again.

    Returns:
        How many mailboxes Gmail could not be told about; 0 when it is done.
    """
    return _each(Mailbox.objects.exclude(watch_expires_at=None), _stop)


def offboard() -> int:
    """Stop notifications, revoke every consent at Google, free the mailboxes, destroy the tokens.

    Returns:
        How many mailboxes are left; 0 when it is done.
    """
    return _each(Mailbox.objects.exclude(refresh_token=None), _revoke)


def _each(mailboxes: QuerySet[Mailbox], act: Callable[[Mailbox], None]) -> int:
    left = 0
    for mailbox in mailboxes.order_by("pk"):
        try:
            act(mailbox)
        except (GmailError, BrokerError) as error:
            left += 1
            log.warning("mailbox left", mailbox=mailbox.pk, problem=type(error).__name__)
    return left


def _stop(mailbox: Mailbox) -> None:
    if mailbox.state == MailboxState.CONNECTED:
        try:
            Gmail(mailbox, Bucket(current().gmail_quota_units_per_minute)).stop()
        except ConsentGoneError:
            # Without the consent there is no watch any more.
            consent.consent_gone(mailbox)
            return
    Mailbox.objects.filter(pk=mailbox.pk).update(watch_expires_at=None)


def _revoke(mailbox: Mailbox) -> None:
    consent.disconnect(mailbox, None)
