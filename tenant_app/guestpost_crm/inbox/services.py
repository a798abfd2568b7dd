"""Storing messages, and what threads show of them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import IO, TYPE_CHECKING, Any, Protocol

from django.db import connection, transaction
from django.dispatch import Signal

from guestpost_crm.inbox import bodies, html, mime, storage, words
from guestpost_crm.inbox.models import Blob, Message, Part, Thread

if TYPE_CHECKING:
    from guestpost_crm.gmail.models import Mailbox

HIDDEN = {"SPAM", "TRASH"}
# Sent in the transaction that stores new mail, with `messages`.
messages_stored = Signal()


class Incoming(Protocol):
    """A message as it comes from Gmail."""

    @property
    def id(self) -> str:
        """Gmail's id of it."""

    @property
    def thread(self) -> str:
        """Gmail's id of its conversation."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Ids of Gmail's labels."""

    @property
    def received_at(self) -> dt.datetime:
        """Gmail's internal date."""

    @property
    def content(self) -> IO[bytes]:
        """The raw message in a file, whatever it is."""


@dataclass(frozen=True)
class Given:
    """An Incoming made by hand."""

    id: str
    thread: str
    labels: tuple[str, ...]
    received_at: dt.datetime
    content: IO[bytes]


def store(
    mailbox: Mailbox,
    gmail_id: str,
    gmail_thread: str,
    labels: Iterable[str],
    received_at: dt.datetime,
    source: IO[bytes],
) -> Message:
    """Store one message; see store_all."""
    [message] = store_all(mailbox, [Given(gmail_id, gmail_thread, tuple(labels), received_at, source)])
    return message


@transaction.atomic(savepoint=False)
def store_all(mailbox: Mailbox, incoming: Sequence[Incoming]) -> list[Message]:
    """Store messages, each once; one that is there already only gets its labels.

    Args:
        mailbox: where they lie at Gmail.
        incoming: the messages, each id once.

    Returns:
        As they are stored, in the order given.
    """
    ids = [each.id for each in incoming]
    known = Message.objects.filter(mailbox=mailbox, gmail_id__in=ids).defer("search").select_related("thread")
    stored = {message.gmail_id: message for message in known}
    for each in incoming:
        if each.id in stored:
            relabel(stored[each.id], each.labels)
    fresh = [each for each in incoming if each.id not in stored]
    threads = _threads(mailbox, fresh)
    made = []
    for each, raw in zip(fresh, storage.write_all([each.content for each in fresh]), strict=True):
        found = mime.index(each.content)
        made.append((_message(mailbox, each, threads[each.thread], raw, found), found))
    Message.objects.bulk_create([message for message, _ in made])
    Part.objects.bulk_create([part for message, found in made for part in _parts(message, found)])
    messages_stored.send(Message, messages=[message for message, _ in made])
    refresh_threads([thread.pk for thread in threads.values()])
    stored |= {message.gmail_id: message for message, _ in made}
    return [stored[each] for each in ids]


def _threads(mailbox: Mailbox, incoming: Iterable[Incoming]) -> dict[str, Thread]:
    """The conversations of messages, by Gmail's id; new ones are made."""
    wanted = {each.thread: each.received_at for each in incoming}
    there = {
        thread.gmail_id: thread for thread in Thread.objects.filter(mailbox=mailbox, gmail_id__in=wanted)
    }
    new = [
        Thread(mailbox=mailbox, gmail_id=gmail_id, last_message_at=moment)
        for gmail_id, moment in wanted.items()
        if gmail_id not in there
    ]
    return there | {thread.gmail_id: thread for thread in Thread.objects.bulk_create(new)}


def _message(
    mailbox: Mailbox, incoming: Incoming, thread: Thread, raw: Blob, found: mime.MessageIndex
) -> Message:
    body = text_of(found, incoming.content)
    message = Message(
        mailbox=mailbox,
        thread=thread,
        gmail_id=incoming.id,
        received_at=incoming.received_at,
        labels=sorted(set(incoming.labels)),
        raw=raw,
        snippet=" ".join(body[:2000].split())[:200],
        listed_in=mailbox.listing,
    )
    describe(message, found)
    message.search = _vector(message, found, body)
    return message


def describe(message: Message, found: mime.MessageIndex) -> None:
    """Set what a message's columns say of its headers and its structure."""
    headers = found.headers
    message.message_id = mime.header(headers, "message-id", 1000)
    message.references = mime.header(headers, "references", 20_000)
    message.sender = mime.header(headers, "from", 2000)
    message.reply_to = mime.header(headers, "reply-to", 2000)
    message.recipients = mime.header(headers, "to")
    message.copies = mime.header(headers, "cc")
    message.subject = mime.header(headers, "subject", 2000)
    message.size = found.size
    message.problem = found.problem[:200]
    message.has_attachments = any(part.is_attachment and part.filename for part in found.parts)
    message.automatic = mime.automatic(headers)


def text_of(found: mime.MessageIndex, source: IO[bytes]) -> str:
    """What a message says, in plain words, its beginning at least."""
    for kind in ("text/plain", "text/html"):
        if (part := bodies.best(found.parts, kind)) is not None:
            text = bodies.text_in(source, part, words.MOST_CHARACTERS)
            text = html.words(text) if kind == "text/html" else text
            if text.strip():
                return text
    return ""


def _vector(message: Message, found: mime.MessageIndex, body: str) -> str:
    names = " ".join(part.filename for part in found.parts if part.is_attachment)
    return words.vector(
        [
            (words.SUBJECT, message.subject),
            (words.SENDER, f"{message.sender} {message.reply_to}"),
            (words.RECIPIENTS, f"{message.recipients[:10_000]} {message.copies[:10_000]}"),
            (words.BODY, names[:5000]),
            (words.BODY, body),
        ]
    )


def keep_parts(message: Message, source: IO[bytes]) -> None:
    """Find the parts and the words of a message that is stored already, as an import brings it."""
    found = mime.index(source)
    Part.objects.bulk_create(_parts(message, found))
    _make_searchable(message, found, source)


def _parts(message: Message, found: mime.MessageIndex) -> list[Part]:
    return [Part(message=message, index=number, **vars(part)) for number, part in enumerate(found.parts)]


def _make_searchable(message: Message, found: mime.MessageIndex, source: IO[bytes]) -> None:
    message.search = _vector(message, found, text_of(found, source))
    Message.objects.filter(pk=message.pk).update(search=message.search)


def make_searchable(most: int = 100) -> int:
    """Find the words of messages that were stored before there was a search; how many were left to do."""
    left = list(Message.objects.filter(search=None).select_related("raw").order_by("-id")[:most])
    for message in left:
        with storage.opened(message.raw) as source:
            found = mime.index(source)
            describe(message, found)
            message.save(update_fields=["has_attachments", "automatic"])
            _make_searchable(message, found, source)
            refresh_thread(message.thread)
    return len(left)


@transaction.atomic(savepoint=False)
def relabel(message: Message, labels: Iterable[str]) -> Message:
    """Set a message's labels, and what its thread shows."""
    wanted = sorted(set(labels))
    if message.labels != wanted:
        message.labels = wanted
        message.save(update_fields=["labels"])
        refresh_thread(message.thread)
    return message


@transaction.atomic(savepoint=False)
def remove(message: Message) -> None:
    """Remove a message that Gmail no longer has, and its content."""
    thread, raw = message.thread, message.raw
    message.delete()
    raw.delete()
    if thread.messages.exists():
        refresh_thread(thread)
    else:
        thread.delete()


_SHOWN = {
    "hidden": "boolean", "subject": "text", "snippet": "text", "last_message_at": "timestamptz",
    "message_count": "integer", "participants": "text", "unread": "boolean", "starred": "boolean",
    "in_inbox": "boolean", "automatic": "boolean", "last_from_us": "boolean", "has_attachments": "boolean",
}  # fmt: skip
# Only what was computed: people change the rest at the same time. New mail makes a thread undone; an answer
# ends the reminder to ask for one, an absence note is none.
_REFRESH = f"""
UPDATE thread SET {", ".join(f"{name} = new.{name}" for name in _SHOWN)},
    done = thread.done AND new.last_message_at <= thread.last_message_at,
    follow_up_at = CASE WHEN {{answered}} THEN NULL ELSE thread.follow_up_at END,
    follow_up_by_id = CASE WHEN {{answered}} THEN NULL ELSE thread.follow_up_by_id END,
    follow_up_set_at = CASE WHEN {{answered}} THEN NULL ELSE thread.follow_up_set_at END
FROM jsonb_to_recordset(%s::jsonb) AS new(
    id bigint, answered_at timestamptz, {", ".join(f"{name} {kind}" for name, kind in _SHOWN.items())}
)
WHERE thread.id = new.id
""".format(answered="new.answered_at IS NOT NULL AND new.answered_at > thread.follow_up_set_at")  # noqa: S608


def refresh_thread(thread: Thread) -> None:
    """Compute what lists show of a thread from its messages."""
    refresh_threads([thread.pk])


def refresh_threads(keys: Collection[int]) -> None:
    """Compute what lists show of threads from their messages."""
    rows = Message.objects.filter(thread__in=keys).order_by("thread", "received_at", "pk")
    found = rows.values_list(
        "thread", "received_at", "sender", "subject", "snippet", "labels", "automatic", "has_attachments",
        named=True,
    )  # fmt: skip
    shown = [
        {"id": key, **_shown(list(messages))} for key, messages in groupby(found, key=lambda row: row.thread)
    ]
    if shown:
        with connection.cursor() as cursor:
            cursor.execute(_REFRESH, [json.dumps(shown, default=str)])


def _shown(messages: Sequence[Any]) -> dict[str, Any]:
    """What is shown of a thread, and when it was last answered, of its messages, the oldest first."""
    found = [message for message in messages if not HIDDEN & set(message.labels)]
    visible = found or messages
    labels = {label for message in visible for label in message.labels}
    by_hand = [message for message in visible if not message.automatic]
    answers = [each.received_at for each in by_hand if "SENT" not in each.labels]
    return {
        "hidden": not found,
        "subject": visible[0].subject,
        "snippet": visible[-1].snippet,
        "last_message_at": visible[-1].received_at,
        "message_count": len(visible),
        "participants": ", ".join(dict.fromkeys(display_name(each.sender) for each in visible))[:500],
        "unread": "UNREAD" in labels,
        "starred": "STARRED" in labels,
        "in_inbox": "INBOX" in labels and bool(found),
        "automatic": not by_hand,
        "last_from_us": bool(by_hand) and "SENT" in by_hand[-1].labels,
        "has_attachments": any(each.has_attachments for each in visible),
        "answered_at": answers[-1] if answers else None,
    }


def display_name(sender: str) -> str:
    """The name in a From header, or the address without one."""
    name, _, address = sender.rpartition("<")
    shown = name.strip().strip('"').strip()
    return (shown or address.rstrip(">").strip() or "(nobody)")[:80]
