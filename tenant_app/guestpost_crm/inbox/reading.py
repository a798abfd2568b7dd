"""A conversation as it is shown: what people wrote, in bounded time and memory however long it is."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from guestpost_crm.inbox import bodies, html, mime, storage
from guestpost_crm.inbox.models import Message, Part, Thread

# The newest messages are open, the others a line each until somebody asks for them.
MOST_OPEN = 10
MOST_AT_ONCE = 100
MOST_BYTES = 48 * 1024
_QUOTED = re.compile(r"^(>|On .{5,200} wrote:$|-{3,}\s*(Original Message|Forwarded message))", re.MULTILINE)


@dataclass
class Shown:
    """A message of a conversation.

    Attributes:
        text: what was written, when it is plain text.
        quoted: the older mail below it.
        words: the same in plain words without quotations, whatever it was written in.
        is_html: it is shown in a frame of its own.
        cut: there is more than is shown here.
        closed: only a line of it is shown.
    """

    message: Message
    text: str = ""
    quoted: str = ""
    words: str = ""
    is_html: bool = False
    empty: bool = False
    cut: bool = False
    closed: bool = False
    unread: bool = False
    attachments: list[Part] = field(default_factory=list)


def conversation(thread: Thread, *, all_open: bool = False) -> list[Shown]:
    """The messages of a thread, the oldest first, in a number of queries that does not grow with them."""
    found = thread.messages.defer("search").order_by("received_at", "pk").select_related("raw")
    messages = list(found.prefetch_related("parts"))
    opened = messages[-MOST_AT_ONCE if all_open else -MOST_OPEN :]
    heads = storage.heads([message.raw for message in opened])
    known = {message.pk for message in opened}
    return [
        _open(message, heads.get(message.raw_id, b""))
        if message.pk in known
        else Shown(message, closed=True, unread="UNREAD" in message.labels)
        for message in messages
    ]


def _open(message: Message, head: bytes) -> Shown:
    parts = list(message.parts.all())
    markup, plain = bodies.best(parts, "text/html"), bodies.best(parts, "text/plain")
    shown = Shown(
        message,
        is_html=markup is not None,
        empty=markup is None and plain is None,
        attachments=[part for part in parts if part.is_attachment],
        unread="UNREAD" in message.labels,
    )
    body = plain or markup
    if body is None:
        return shown
    written = _read(message, body, head)
    if body is markup:
        written = html.lines(written)
    own, quoted = split_quotation(written)
    shown.words = own
    if markup is None:
        shown.text, shown.quoted = own, quoted
        shown.cut = body.end - body.start > MOST_BYTES
    return shown


def _read(message: Message, part: Part, head: bytes) -> str:
    """The beginning of a text part, out of what was read already when it is in there."""
    if part.start < len(head):
        piece = head[part.start : min(part.end, part.start + 2 * MOST_BYTES)]
        decoded = b"".join(bodies.decode(iter([piece]), part.encoding))[:MOST_BYTES]
        return mime.clean(mime.decode_text(decoded, part.charset))
    part.message = message
    return bodies.text(part, MOST_BYTES)


def split_quotation(text: str) -> tuple[str, str]:
    """What somebody wrote, and the older mail they quoted below it."""
    match = _QUOTED.search(text)
    if match is None or not text[: match.start()].strip():
        return text, ""
    return text[: match.start()].rstrip(), text[match.start() :]


def written(message: Message) -> str:
    """All that a message says, as lines of plain text."""
    parts = list(message.parts.all())
    plain, markup = bodies.best(parts, "text/plain"), bodies.best(parts, "text/html")
    if plain is not None:
        return bodies.text(plain)
    return html.lines(bodies.text(markup)) if markup is not None else ""
