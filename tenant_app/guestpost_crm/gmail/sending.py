"""Sending exactly once: every message is asked for by a person and has one effect at most.

queued → sending → sent. `sending` is committed before Gmail is called, so whoever finds it later knows
that the call may have been made, and looks in Sent before anything else. What can't be established is
unconfirmed: a person decides, nothing is sent again by itself.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import IO

import structlog
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from guestpost_crm.audit.services import record
from guestpost_crm.environment import current
from guestpost_crm.gmail import compose
from guestpost_crm.gmail.api import Gmail
from guestpost_crm.gmail.errors import (
    ConsentGoneError,
    GmailError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    UnavailableError,
    UnreachableError,
    word,
)
from guestpost_crm.gmail.models import Mailbox, OutboxMessage, OutboxState
from guestpost_crm.inbox import mime, storage
from guestpost_crm.inbox.models import Message, Thread
from guestpost_crm.inbox.services import HIDDEN
from guestpost_crm.outreach.services import dnc
from guestpost_crm.told import gettext_noop, kept

MOST_ATTEMPTS = 3
# Gmail's limit of mails a day answers like its limit of calls a minute.
_LIMITED = 30.0
_CLOCKS_DIFFER = dt.timedelta(hours=1)
log = structlog.get_logger()


def due() -> QuerySet[OutboxMessage]:
    """Messages that something can be done about now."""
    now = timezone.now()
    return (
        OutboxMessage.objects.filter(state__in=[OutboxState.QUEUED, OutboxState.SENDING])
        .filter(Q(send_at=None) | Q(send_at__lte=now))
        .filter(Q(not_before=None) | Q(not_before__lte=now))
    )


def next_message(mailbox: Mailbox) -> OutboxMessage | None:
    """The oldest message of a mailbox that something can be done about now."""
    return due().filter(mailbox=mailbox).order_by("created_at").first()


def work(message: OutboxMessage, gmail: Gmail) -> None:
    """Take a message one step further.

    Raises:
        GmailError: of the mailbox as a whole; the message stays as it is.
    """
    if message.state == OutboxState.SENDING:
        _look(message, gmail)
    elif reason := _forbidden(message):
        _finish(message, OutboxState.FAILED, reason)
    elif _claim(message):
        _send(message, gmail)


def _forbidden(message: OutboxMessage) -> str:
    """Why a message may not go out any more, although it was asked for; empty when it may."""
    if not (message.person.is_active and message.person.may_write):
        return gettext_noop("Who asked for it may no longer send mail.")
    try:
        dnc.refuse(compose.addresses(message.recipients))
    except dnc.DoNotContactError as error:
        return error.kept()
    return ""


def _claim(message: OutboxMessage) -> bool:
    """Say that it is being sent, unless somebody has just taken it back."""
    mine = OutboxMessage.objects.filter(pk=message.pk, state=OutboxState.QUEUED).update(
        state=OutboxState.SENDING,
        attempts=F("attempts") + 1,
        attempted_at=timezone.now(),
        doubtful_at=None,
        problem="",
    )
    message.refresh_from_db()
    return bool(mine)


def _send(message: OutboxMessage, gmail: Gmail) -> None:
    thread = message.thread.gmail_id if message.thread else ""
    try:
        answer = gmail.send(lambda: storage.read(message.raw), message.raw.size, thread)
    except RateLimitedError as error:
        limited = gettext_noop("Gmail's limit is used up for the moment.")
        _requeue(message, max(error.retry_after, _LIMITED), limited)
    except (ConsentGoneError, UnreachableError):
        _requeue(message, 0, "")
        raise
    except NotFoundError as error:
        if message.thread is None:
            _refused(message, error)
            return
        # The thread is gone at Gmail; the answer still goes out, as a message of its own.
        message.thread = None
        _requeue(message, 0, "")
    except RefusedError as error:
        _refused(message, error)
    except UnavailableError:
        # It may have been sent, or may still be: look before anything else.
        _doubt(message)
        raise
    else:
        _sent(message, str(answer.get("id", "")))


def _refused(message: OutboxMessage, error: GmailError) -> None:
    text = gettext_noop("Gmail refused it: “%(reason)s”.")
    _finish(message, OutboxState.FAILED, kept(text, {"reason": word(error)[:100]}))


def _look(message: OutboxMessage, gmail: Gmail) -> None:
    """Look in Sent for a message whose fate is not known."""
    if message.doubtful_at is None:
        # Whoever called Gmail died over it. Its call may show for as long as any, from now on.
        _doubt(message)
    try:
        found = _find(message, gmail)
    except ConsentGoneError:
        raise
    except GmailError:
        message.not_before = timezone.now() + dt.timedelta(seconds=2)
        message.save(update_fields=["not_before"])
        raise
    settled = (message.doubtful_at or timezone.now()) + dt.timedelta(seconds=current().outbox_settle_seconds)
    if found:
        _sent(message, found)
    elif timezone.now() < settled:
        message.not_before = settled
        message.save(update_fields=["not_before"])
    elif message.attempts >= MOST_ATTEMPTS:
        lost = gettext_noop("Gmail did not confirm it, and it is not in Sent.")
        _finish(message, OutboxState.UNCONFIRMED, lost)
    else:
        # It was looked for after the call had its time, and is not there: it was not sent.
        _requeue(message, 0, "", attempts=message.attempts)


def _find(message: OutboxMessage, gmail: Gmail) -> str:
    """The Gmail id of a message in Sent that carries our identifier, empty when there is none.

    All that was sent since somebody asked for it is looked at: the look may come days after the call, and
    people send from Gmail as well. What is stored here already was recognised when it was stored.
    """
    begun, page = message.created_at - _CLOCKS_DIFFER, ""
    while True:
        answer = gmail.list_sent(page)
        identifiers = [item["id"] for item in answer.get("messages", ())]
        known = Message.objects.filter(mailbox=message.mailbox_id, gmail_id__in=identifiers)
        stored = dict(known.values_list("gmail_id", "received_at"))
        for identifier in identifiers:
            headers: dict[str, str] = {}
            moment = stored.get(identifier)
            if moment is None:
                try:
                    moment, headers = gmail.headers(identifier, [compose.OUTBOX_HEADER])
                except NotFoundError:
                    continue
            if headers.get(compose.OUTBOX_HEADER.lower()) == str(message.pk):
                return str(identifier)
            if moment < begun:
                return ""
        page = answer.get("nextPageToken", "")
        if not page:
            return ""


def _doubt(message: OutboxMessage) -> None:
    message.doubtful_at = timezone.now()
    message.not_before = None
    message.save(update_fields=["doubtful_at", "not_before"])


def _requeue(message: OutboxMessage, seconds: float, problem: str, attempts: int | None = None) -> None:
    """Have it sent again: it was certainly not; attempts that reached nobody don't count."""
    message.state = OutboxState.QUEUED
    message.attempts = max(0, message.attempts - 1) if attempts is None else attempts
    message.doubtful_at = None
    message.not_before = timezone.now() + dt.timedelta(seconds=seconds)
    message.problem = problem
    message.save(update_fields=["state", "attempts", "doubtful_at", "not_before", "problem", "thread"])


def _sent(message: OutboxMessage, gmail_id: str) -> None:
    message.gmail_id = gmail_id[:32]
    message.sent_at = timezone.now()
    _finish(message, OutboxState.SENT, "")


@transaction.atomic
def _finish(message: OutboxMessage, state: OutboxState, problem: str) -> None:
    message.state = state
    message.problem = problem[:300]
    message.save()
    if state == OutboxState.SENT:
        _remind(message)
    record(message.person, f"message.{state}", f"outbox:{message.pk}", gmail_id=message.gmail_id)
    log.info("outbox", mailbox=message.mailbox_id, message=str(message.pk), state=str(state))


def _remind(message: OutboxMessage) -> None:
    """Set the reminder that was asked for, once it is known which conversation it is for."""
    if message.follow_up_days is None or message.thread_id is None or message.sent_at is None:
        return
    if _answered(message):
        return
    Thread.objects.filter(pk=message.thread_id).update(
        follow_up_at=message.sent_at + dt.timedelta(days=message.follow_up_days),
        follow_up_set_at=message.sent_at,
        follow_up_by=message.person,
    )


def _answered(message: OutboxMessage) -> bool:
    """Whether somebody has answered by hand since it was sent, which may be long before that is known."""
    since = message.attempted_at or message.sent_at
    newer = Message.objects.filter(thread=message.thread_id, received_at__gt=since, automatic=False)
    labels = newer.values_list("labels", flat=True)
    return any(not {"SENT", *HIDDEN} & set(each) for each in labels)


@transaction.atomic(savepoint=False)
def recognise(stored: Message, content: IO[bytes]) -> None:
    """A message of ours has come back from Sent: whatever was believed of it, it was sent.

    Args:
        stored: the message as it was stored.
        content: its raw form.
    """
    if "SENT" not in stored.labels:
        return
    try:
        identifier = uuid.UUID(mime.header(mime.headers(content), compose.OUTBOX_HEADER, 60))
    except ValueError:
        return
    mine = OutboxMessage.objects.select_for_update().filter(pk=identifier, mailbox=stored.mailbox_id)
    message = mine.first()
    if message is None:
        return
    joined = message.thread_id is None
    if joined:
        message.thread = stored.thread
    if message.state != OutboxState.SENT:
        _sent(message, stored.gmail_id)
    elif joined:
        message.save(update_fields=["thread"])
        _remind(message)
