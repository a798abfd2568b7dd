"""Storing messages, and what threads show of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

from django.db import transaction
from django.db.models import Q

from guestpost_crm.inbox import bodies, mime, storage
from guestpost_crm.inbox.models import Message, Part, Thread

if TYPE_CHECKING:
    from guestpost_crm.gmail.models import Mailbox

HIDDEN = {"SPAM", "TRASH"}


@transaction.atomic
def store(
    mailbox: Mailbox,
    gmail_id: str,
    gmail_thread: str,
    labels: Iterable[str],
    received_at: dt.datetime,
    source: IO[bytes],
) -> Message:
    """Store a message once; one that is there already only gets its labels.

    Args:
        mailbox: where it lies at Gmail.
        gmail_id: Gmail's id of it, unique in the mailbox.
        gmail_thread: Gmail's id of the conversation.
        labels: Gmail's label ids.
        received_at: Gmail's internal date.
        source: the raw message.
    """
    known = Message.objects.select_for_update().filter(mailbox=mailbox, gmail_id=gmail_id).first()
    if known is not None:
        return relabel(known, labels)
    thread, _ = Thread.objects.get_or_create(
        mailbox=mailbox, gmail_id=gmail_thread, defaults={"last_message_at": received_at}
    )
    found = mime.index(source)
    source.seek(0)
    headers = found.headers
    message = Message(
        mailbox=mailbox,
        thread=thread,
        gmail_id=gmail_id,
        received_at=received_at,
        message_id=mime.header(headers, "message-id", 1000),
        references=mime.header(headers, "references", 20_000),
        sender=mime.header(headers, "from", 2000),
        reply_to=mime.header(headers, "reply-to", 2000),
        recipients=mime.header(headers, "to"),
        copies=mime.header(headers, "cc"),
        subject=mime.header(headers, "subject", 2000),
        labels=sorted(set(labels)),
        size=found.size,
        problem=found.problem[:200],
        raw=storage.write(source),
    )
    message.save()
    _keep_parts(message, found)
    message.snippet = _snippet(message)
    message.save(update_fields=["snippet"])
    refresh_thread(thread)
    return message


def keep_parts(message: Message, source: IO[bytes]) -> None:
    """Find the parts of a message that is stored already, as an import brings it."""
    _keep_parts(message, mime.index(source))


def _keep_parts(message: Message, found: mime.MessageIndex) -> None:
    Part.objects.bulk_create(
        Part(message=message, index=number, **vars(part)) for number, part in enumerate(found.parts)
    )


def _snippet(message: Message) -> str:
    for kind in ("text/plain", "text/html"):
        if (part := bodies.best(message, kind)) is not None:
            words = bodies.text(part)[:20_000]
            words = mime.plain(words) if kind == "text/html" else " ".join(words.split())
            if words:
                return words[:200]
    return ""


@transaction.atomic
def relabel(message: Message, labels: Iterable[str]) -> Message:
    """Set a message's labels, and what its thread shows."""
    wanted = sorted(set(labels))
    if message.labels != wanted:
        message.labels = wanted
        message.save(update_fields=["labels"])
        refresh_thread(message.thread)
    return message


@transaction.atomic
def remove(message: Message) -> None:
    """Remove a message that Gmail no longer has, and its content."""
    thread, raw = message.thread, message.raw
    message.delete()
    raw.delete()
    if thread.messages.exists():
        refresh_thread(thread)
    else:
        thread.delete()


def refresh_thread(thread: Thread) -> None:
    """Compute what lists show of a thread from its messages."""
    messages = list(
        thread.messages.order_by("received_at", "pk").only(
            "received_at", "sender", "subject", "snippet", "labels"
        )
    )
    if not messages:
        return
    visible = [message for message in messages if not HIDDEN & set(message.labels)] or messages
    labels = {label for message in visible for label in message.labels}
    thread.subject = visible[0].subject
    thread.snippet = visible[-1].snippet
    thread.last_message_at = visible[-1].received_at
    thread.message_count = len(visible)
    thread.participants = ", ".join(dict.fromkeys(display_name(message.sender) for message in visible))[:500]
    thread.unread = "UNREAD" in labels
    thread.starred = "STARRED" in labels
    thread.in_inbox = "INBOX" in labels and not labels <= HIDDEN
    thread.last_from_us = "SENT" in visible[-1].labels
    thread.has_attachments = Part.objects.filter(
        Q(message__thread=thread, is_attachment=True) & ~Q(filename="")
    ).exists()
    thread.save()


def display_name(sender: str) -> str:
    """The name in a From header, or the address without one."""
    name, _, address = sender.rpartition("<")
    shown = name.strip().strip('"').strip()
    return (shown or address.rstrip(">").strip() or "(nobody)")[:80]
