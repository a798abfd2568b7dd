"""Sending exactly once: every message is asked for by a person and has one effect at most.

queued → sending → sent. `sending` is committed before Gmail is called, so whoever finds it later knows
that the call may have been made, and looks in Sent before anything else. What can't be established is
unconfirmed: a person decides, nothing is sent again by itself.
"""

from __future__ import annotations

import datetime as dt
import io
import uuid
from collections.abc import Iterable

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from guestpost_crm.accounts.models import Person
from guestpost_crm.audit.services import record
from guestpost_crm.environment import current
from guestpost_crm.gmail import compose
from guestpost_crm.gmail.api import (
    ConsentGoneError,
    Gmail,
    GmailError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    UnavailableError,
)
from guestpost_crm.gmail.models import Mailbox, OutboxMessage, OutboxState
from guestpost_crm.gmail.signals import OUTBOX, notify
from guestpost_crm.inbox import storage
from guestpost_crm.inbox.models import Message
from guestpost_crm.outreach.services import dnc
from guestpost_crm.usage.models import Event
from guestpost_crm.usage.services import count

MOST_LOOKS = 3
log = structlog.get_logger()
_IDENTITY = [compose.OUTBOX_HEADER]


class MayNotSendError(Exception):
    """This person may not send from this mailbox."""


@transaction.atomic
def queue_reply(
    *,
    form_key: uuid.UUID,
    answers: Message,
    author: Person,
    to: list[str],
    cc: list[str],
    body: str,
    files: Iterable[compose.File] = (),
) -> OutboxMessage:
    """Take a person's instruction to send a reply; the same form sent twice is one message.

    Args:
        form_key: from the form that was sent.
        answers: the message that is answered.
        author: who instructs.
        to: addresses, at least one.
        cc: addresses.
        body: plain text.
        files: attachments.

    Raises:
        MayNotSendError: the person may only read.
        DoNotContactError: somebody of `to` or `cc` is marked so; nothing is queued.
    """
    if not author.may_write:
        raise MayNotSendError("Your role allows reading only.")
    known = OutboxMessage.objects.filter(form_key=form_key).first()
    if known is not None:
        return known
    dnc.refuse([*to, *cc])
    mailbox = answers.mailbox
    identifier = uuid.uuid4()
    subject = compose.reply_subject(answers.subject)
    raw = compose.compose(
        identifier=str(identifier),
        sender=mailbox.address,
        sender_name=author.name,
        to=to,
        cc=cc,
        subject=subject,
        body=body,
        answers=answers,
        files=files,
    )
    message, made = OutboxMessage.objects.get_or_create(
        form_key=form_key,
        defaults={
            "id": identifier,
            "mailbox": mailbox,
            "thread": answers.thread,
            "person": author,
            "recipients": ", ".join([*to, *cc]),
            "subject": subject,
            "raw": storage.write(io.BytesIO(raw)),
        },
    )
    if made:
        record(author, "message.send-instructed", f"outbox:{message.pk}", recipients=len(to) + len(cc))
        count(Event.MESSAGE_INSTRUCTED)
        notify(OUTBOX)
    return message


@transaction.atomic
def decide(message: OutboxMessage, person: Person, *, send_again: bool) -> None:
    """A person decides about a message that is unconfirmed or failed: send it again, or let it be.

    Raises:
        MayNotSendError: there is nothing to decide, or the person may only read.
        DoNotContactError: it would be sent to somebody who is marked so by now.
    """
    message = OutboxMessage.objects.select_for_update().get(pk=message.pk)
    if message.state not in (OutboxState.UNCONFIRMED, OutboxState.FAILED) or not person.may_write:
        raise MayNotSendError("Only a message that failed or is unconfirmed can be decided about.")
    if send_again:
        dnc.refuse(compose.addresses(message.recipients))
    message.state = OutboxState.QUEUED if send_again else OutboxState.FAILED
    message.attempts = 0
    message.not_before = None
    message.problem = "" if send_again else "Given up by a person."
    message.save()
    action = "message.send-again-instructed" if send_again else "message.given-up"
    record(person, action, f"outbox:{message.pk}")
    notify(OUTBOX)


def next_message(mailbox: Mailbox) -> OutboxMessage | None:
    """The oldest message of a mailbox that something can be done about now."""
    return (
        OutboxMessage.objects.filter(mailbox=mailbox, state__in=[OutboxState.QUEUED, OutboxState.SENDING])
        .filter(Q(not_before=None) | Q(not_before__lte=timezone.now()))
        .order_by("created_at")
        .first()
    )


def work(message: OutboxMessage, gmail: Gmail) -> None:
    """Take a message one step further.

    Raises:
        GmailError: of the mailbox as a whole; the message stays as it is.
    """
    if message.state == OutboxState.SENDING:
        _look(message, gmail)
    else:
        _send(message, gmail)


def _send(message: OutboxMessage, gmail: Gmail) -> None:
    message.state = OutboxState.SENDING
    message.attempts += 1
    message.attempted_at = timezone.now()
    message.save(update_fields=["state", "attempts", "attempted_at"])
    content = io.BytesIO(storage.read_all(message.raw, most=64 << 20))
    thread = message.thread.gmail_id if message.thread else ""
    try:
        answer = gmail.send(content, thread)
    except RateLimitedError as error:
        _requeue(message, error.retry_after)
        raise
    except ConsentGoneError:
        _requeue(message, 0)
        raise
    except NotFoundError:
        # The thread is gone at Gmail; the answer still goes out, as a message of its own.
        message.thread = None
        message.save(update_fields=["thread"])
        _requeue(message, 0)
    except RefusedError as error:
        _finish(message, OutboxState.FAILED, f"Gmail refused it: {error.reason or error.status}.")
    except UnavailableError:
        # It may have been sent: look before anything else.
        _look_again(message)
        raise
    else:
        _sent(message, str(answer.get("id", "")))


def _look(message: OutboxMessage, gmail: Gmail) -> None:
    """Look in Sent for a message whose fate is not known."""
    try:
        found = _find(message, gmail)
    except ConsentGoneError:
        raise
    except GmailError:
        _look_again(message)
        raise
    if found:
        _sent(message, found)
        return
    settled = (message.attempted_at or message.created_at) + dt.timedelta(
        seconds=current().outbox_settle_seconds
    )
    if timezone.now() < settled:
        message.not_before = settled
        message.save(update_fields=["not_before"])
    elif message.attempts >= MOST_LOOKS:
        _finish(message, OutboxState.UNCONFIRMED, "Gmail did not confirm it, and it is not in Sent.")
    else:
        # It was looked for after the call had its time, and is not there: it was not sent.
        _requeue(message, 0)


def _find(message: OutboxMessage, gmail: Gmail) -> str:
    """The Gmail id of a message in Sent that carries our identifier, empty when there is none."""
    since = int((message.attempted_at or message.created_at).timestamp()) - 300
    page = ""
    while True:
        answer = gmail.list_ids(page, f"in:sent after:{since}", background=False)
        for item in answer.get("messages", ()):
            try:
                headers = gmail.headers(item["id"], _IDENTITY)
            except NotFoundError:
                continue
            if headers.get(compose.OUTBOX_HEADER.lower()) == str(message.pk):
                return str(item["id"])
        page = answer.get("nextPageToken", "")
        if not page:
            return ""


def _look_again(message: OutboxMessage) -> None:
    message.not_before = timezone.now() + dt.timedelta(seconds=2)
    message.save(update_fields=["not_before"])


def _requeue(message: OutboxMessage, seconds: float) -> None:
    message.state = OutboxState.QUEUED
    message.not_before = timezone.now() + dt.timedelta(seconds=seconds)
    message.save(update_fields=["state", "not_before"])


def _sent(message: OutboxMessage, gmail_id: str) -> None:
    message.gmail_id = gmail_id[:32]
    message.sent_at = timezone.now()
    _finish(message, OutboxState.SENT, "")


@transaction.atomic
def _finish(message: OutboxMessage, state: OutboxState, problem: str) -> None:
    message.state = state
    message.problem = problem[:300]
    message.save()
    record(message.person, f"message.{state}", f"outbox:{message.pk}", gmail_id=message.gmail_id)
    log.info("outbox", mailbox=message.mailbox_id, message=str(message.pk), state=str(state))
