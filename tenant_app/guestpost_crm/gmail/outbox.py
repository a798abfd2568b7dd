"""What people say about mail that is to be sent: send it, take it back, try it again, let it be."""

from __future__ import annotations

import datetime as dt
import uuid
from contextlib import nullcontext

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from guestpost_crm.accounts.models import Person
from guestpost_crm.audit.services import record
from guestpost_crm.environment import current
from guestpost_crm.gmail import compose
from guestpost_crm.gmail.models import Mailbox, MailboxState, OutboxMessage, OutboxState
from guestpost_crm.gmail.signals import OUTBOX, notify
from guestpost_crm.inbox import storage
from guestpost_crm.inbox.models import Blob
from guestpost_crm.outreach.services import dnc
from guestpost_crm.told import gettext_noop
from guestpost_crm.usage.models import Event
from guestpost_crm.usage.services import count
from guestpost_crm.web import scratch


class MayNotSendError(Exception):
    """This can't be sent, or not by this person; the message says why."""


@transaction.atomic
def queue(
    draft: compose.Draft,
    *,
    form_key: uuid.UUID,
    mailbox: Mailbox,
    author: Person,
    send_at: dt.datetime | None = None,
    follow_up_days: int | None = None,
) -> OutboxMessage:
    """Take a person's instruction to send a message; the same form sent twice is one message.

    Args:
        draft: what it says, and to whom.
        form_key: from the form that was sent.
        mailbox: which it is sent from.
        author: who instructs.
        send_at: when; by default after the moment in which it can be taken back.
        follow_up_days: remind of it when there is no answer by then.

    Raises:
        MayNotSendError: the person may only read, or the mailbox is not connected.
        DoNotContactError: a recipient is marked so; nothing is queued.
    """
    if not author.may_write:
        raise MayNotSendError(_("Your role allows reading only."))
    known = OutboxMessage.objects.filter(form_key=form_key).first()
    if known is not None:
        return known
    if mailbox.state != MailboxState.CONNECTED:
        raise MayNotSendError(_("The mailbox is not connected: connect it again, then send."))
    dnc.refuse(draft.recipients)
    identifier = uuid.uuid4()
    content = _content(draft, identifier, mailbox, author)
    moment = timezone.now() + dt.timedelta(seconds=current().undo_send_seconds)
    message, made = OutboxMessage.objects.get_or_create(
        form_key=form_key,
        defaults={
            "id": identifier,
            "mailbox": mailbox,
            "thread": draft.answers.thread if draft.answers else None,
            "answers": draft.answers,
            "person": author,
            "recipients": ", ".join(draft.recipients),
            "subject": draft.subject,
            "raw": content,
            "send_at": send_at or moment,
            "scheduled": send_at is not None,
            "follow_up_days": follow_up_days,
        },
    )
    if not made:
        content.delete()
        return message
    later = send_at.isoformat(timespec="minutes") if send_at else None
    record(
        author,
        "message.send-instructed",
        f"outbox:{message.pk}",
        recipients=len(draft.recipients),
        files=len(draft.files),
        **({"later": later} if later else {}),
    )
    count(Event.MESSAGE_INSTRUCTED)
    notify(OUTBOX)
    return message


def _content(draft: compose.Draft, identifier: uuid.UUID, mailbox: Mailbox, author: Person) -> Blob:
    """The raw message, stored; what has to be made on disk takes its turn."""
    large = sum(file.size for file in draft.files) > scratch.SMALL // 2
    try:
        with (
            scratch.ROOM.taken() if large else nullcontext(),
            compose.compose(
                draft, identifier=str(identifier), sender=mailbox.address, sender_name=author.name
            ) as raw,
        ):
            return storage.write(raw)
    except scratch.BusyError:
        text = _("Other large files are on their way. Nothing was sent: try again in a minute.")
        raise MayNotSendError(text) from None


@transaction.atomic
def take_back(message: OutboxMessage, person: Person) -> None:
    """Undo an instruction, as long as nothing was sent.

    Raises:
        MayNotSendError: it is on its way already, or the person may only read.
    """
    if not person.may_write:
        raise MayNotSendError(_("Your role allows reading only."))
    waiting = OutboxMessage.objects.filter(pk=message.pk, state=OutboxState.QUEUED)
    if not waiting.update(state=OutboxState.CANCELLED, problem=""):
        raise MayNotSendError(_("It can't be taken back any more: it is on its way."))
    record(person, "message.taken-back", f"outbox:{message.pk}")


@transaction.atomic
def send_now(message: OutboxMessage, person: Person) -> None:
    """Send at once what was to be sent later.

    Raises:
        MayNotSendError: it does not wait, or the person may only read.
    """
    if not person.may_write:
        raise MayNotSendError(_("Your role allows reading only."))
    waiting = OutboxMessage.objects.filter(pk=message.pk, state=OutboxState.QUEUED)
    if not waiting.update(send_at=timezone.now(), scheduled=False):
        raise MayNotSendError(_("It does not wait any more."))
    record(person, "message.send-now-instructed", f"outbox:{message.pk}")
    notify(OUTBOX)


@transaction.atomic
def decide(message: OutboxMessage, person: Person, *, send_again: bool) -> None:
    """A person decides about a message that is unconfirmed or failed: send it again, or let it be.

    Raises:
        MayNotSendError: there is nothing to decide, or the person may only read.
        DoNotContactError: it would be sent to somebody who is marked so by now.
    """
    message = (
        OutboxMessage.objects.select_for_update(of=("self",)).select_related("mailbox").get(pk=message.pk)
    )
    if message.state not in (OutboxState.UNCONFIRMED, OutboxState.FAILED) or not person.may_write:
        raise MayNotSendError(_("Only a message that failed or is unconfirmed can be decided about."))
    message.send_at = message.not_before = message.doubtful_at = None
    if send_again:
        if message.mailbox.state != MailboxState.CONNECTED:
            raise MayNotSendError(_("The mailbox is not connected: connect it again, then send."))
        dnc.refuse(compose.addresses(message.recipients))
        # From now on it is this person's word that it goes out.
        message.person = person
    if not send_again:
        message.state = OutboxState.CANCELLED
    elif message.state == OutboxState.UNCONFIRMED:
        # It may lie in Sent by now: that is looked for once more before anything goes out.
        message.state, message.doubtful_at = OutboxState.SENDING, timezone.now()
    else:
        message.state = OutboxState.QUEUED
    message.attempts = 0
    message.problem = "" if send_again else gettext_noop("Given up by a person.")
    message.save()
    action = "message.send-again-instructed" if send_again else "message.given-up"
    record(person, action, f"outbox:{message.pk}")
    notify(OUTBOX)


@transaction.atomic
def access_ended(mailbox: Mailbox) -> None:
    """Nobody can look into a mailbox's Sent any more: what was on its way there is for a person to decide."""
    under_way = OutboxMessage.objects.select_for_update(of=("self",)).select_related("person")
    for message in under_way.filter(mailbox=mailbox, state=OutboxState.SENDING):
        message.state = OutboxState.UNCONFIRMED
        message.problem = gettext_noop("The access to the mailbox ended before Gmail confirmed it.")
        message.save(update_fields=["state", "problem"])
        record(message.person, "message.unconfirmed", f"outbox:{message.pk}", gmail_id="")
