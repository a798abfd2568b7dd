"""Connecting and disconnecting mailboxes, on a person's word alone."""

from __future__ import annotations

from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from guestpost_crm.accounts.models import Person
from guestpost_crm.audit.services import record
from guestpost_crm.gmail import outbox
from guestpost_crm.gmail.broker import Broker, BrokerError
from guestpost_crm.gmail.models import Mailbox, MailboxState
from guestpost_crm.gmail.signals import MAILBOXES, notify

log = structlog.get_logger()


@transaction.atomic
def connect(person: Person, claims: dict[str, Any], sealed: str) -> Mailbox:
    """Keep a mailbox that its owner has just consented to; connecting one again keeps its mail.

    Args:
        person: who connects it.
        claims: of the verified ID token.
        sealed: the refresh token as the broker sealed it.
    """
    mailbox = Mailbox.objects.select_for_update().filter(sub=claims["sub"]).first() or Mailbox(
        sub=claims["sub"]
    )
    mailbox.address = claims["email"]
    mailbox.state = MailboxState.CONNECTED
    mailbox.connected_by = person
    mailbox.connected_at = timezone.now()
    mailbox.error = mailbox.watch_error = ""
    mailbox.error_at = mailbox.watch_expires_at = None
    mailbox.unnoticed = 0
    mailbox.keep_token(sealed)
    mailbox.save()
    record(person, "mailbox.connected", f"mailbox:{mailbox.pk}")
    notify(MAILBOXES)
    return mailbox


def disconnect(mailbox: Mailbox, person: Person | None) -> None:
    """Stop Gmail's notifications, revoke the consent at Google, and destroy the token; mail stays.

    Args:
        mailbox: which.
        person: who asks for it; None when the whole server goes.

    Raises:
        BrokerError: Google could not be told; nothing is changed then, and it can be tried again.
    """
    # Google's client library takes 15 MiB, which the web needs for nothing else.
    from guestpost_crm.gmail.api import Gmail
    from guestpost_crm.gmail.errors import GmailError
    from guestpost_crm.gmail.quota import Bucket

    broker = Broker()
    if mailbox.refresh_token:
        try:
            Gmail(mailbox, Bucket(6000), broker).stop()
        except (GmailError, BrokerError) as error:
            # The watch ends with the consent; revoking is what counts.
            log.info("stop failed", mailbox=mailbox.pk, problem=type(error).__name__)
        try:
            # Asked for once more: stopping may have renewed it.
            broker.revoke(mailbox.sub, mailbox.token())
        except BrokerError as error:
            if error.error not in ("invalid_grant", "invalid_seal"):
                raise
    with transaction.atomic():
        _drop(mailbox, MailboxState.DISCONNECTED, "")
        record(person, "mailbox.disconnected", f"mailbox:{mailbox.pk}")
        notify(MAILBOXES)


@transaction.atomic
def consent_gone(mailbox: Mailbox, problem: str = "consent_gone") -> None:
    """Google no longer honours the consent: stop, destroy the token, tell people; mail stays.

    Args:
        mailbox: as it was read when its token was used; one connected again meanwhile is left alone.
        problem: what people are told: consent_gone, or mailbox_taken by another server.
    """
    now = Mailbox.objects.select_for_update().get(pk=mailbox.pk)
    if bytes(now.refresh_token or b"") != bytes(mailbox.refresh_token or b""):
        return
    _drop(mailbox, MailboxState.NEEDS_CONSENT, problem)
    record(None, "mailbox.consent-gone", f"mailbox:{mailbox.pk}")


def _drop(mailbox: Mailbox, state: MailboxState, error: str) -> None:
    mailbox.state = state
    mailbox.refresh_token = None
    mailbox.watch_expires_at = None
    mailbox.error = error
    mailbox.error_at = timezone.now() if error else None
    mailbox.save(update_fields=["state", "refresh_token", "watch_expires_at", "error", "error_at"])
    outbox.access_ended(mailbox)
