"""What Gmail derives from a raw message: index fields, snippet, and the `payload` of parts.

https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages#Message
"""

from __future__ import annotations

import base64
import email
import email.policy
import html
import re
import time
from dataclasses import dataclass
from email.message import Message as MimeMessage
from email.utils import mktime_tz, parsedate_tz
from typing import Any

_TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_SPACE = re.compile(r"\s+")
_REPLY = re.compile(r"^\s*(re|fwd?|aw|wg|sv|tr|antw)\s*:\s*", re.IGNORECASE)
_ID = re.compile(r"<[^<>\s]+>")
_MOST_PARTS = 1_000
# For a snippet; a hostile text makes an expression look at each of its characters again and again.
_MOST_READ = 5_000


@dataclass(frozen=True)
class Index:
    """What a mailbox keeps of a message beside its content. `date` in milliseconds, if it has one."""

    message_id: str
    subject: str
    sender: str
    date: int | None
    snippet: str
    references: tuple[str, ...]


def parse(raw: bytes) -> MimeMessage:
    """The message, however broken."""
    return email.message_from_bytes(raw, policy=email.policy.compat32)


def header(message: MimeMessage, name: str) -> str:
    """A header as text on one line, empty when it is missing."""
    value = message.get(name)
    return _SPACE.sub(" ", str(value)).strip() if value is not None else ""


def index(raw: bytes) -> Index:
    """What a mailbox keeps of this message."""
    message = parse(raw)
    return Index(
        message_id=header(message, "Message-ID"),
        subject=header(message, "Subject"),
        sender=header(message, "From"),
        date=_date(header(message, "Date")),
        snippet=_snippet(message),
        references=tuple(_ID.findall(header(message, "References") + header(message, "In-Reply-To"))),
    )


def _date(value: str) -> int | None:
    try:
        parsed = parsedate_tz(value)
        return int(mktime_tz(parsed) * 1000) if parsed else None
    except (ValueError, OverflowError):
        return None


def same_subject(one: str, other: str) -> bool:
    """Whether two subjects are one conversation's: equal without reply and forward prefixes."""
    return bare_subject(one) == bare_subject(other)


def bare_subject(subject: str) -> str:
    """A subject without prefixes, lower case."""
    while (shorter := _REPLY.sub("", subject)) != subject:
        subject = shorter
    return _SPACE.sub(" ", subject).strip().lower()


def _snippet(message: MimeMessage) -> str:
    for wanted in ("text/plain", "text/html"):
        for part in message.walk():
            if part.get_content_type() == wanted and not part.get_filename():
                text = _text(part)[:_MOST_READ]
                if wanted == "text/html":
                    text = html.unescape(_TAGS.sub(" ", text))
                return html.escape(_SPACE.sub(" ", text).strip()[:200])
    return ""


def _text(part: MimeMessage) -> str:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    try:
        return content.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:
        return content.decode("latin-1")


def encode(content: bytes) -> str:
    """URL-safe base 64, as Gmail writes content."""
    return base64.urlsafe_b64encode(content).decode()


def payload(raw: bytes, *, headers: set[str] | None = None) -> dict[str, Any]:
    """The `payload` of a message.

    Args:
        raw: the message.
        headers: names in lower case; when given only these headers and no parts (format=metadata).
    """
    message = parse(raw)
    if headers is not None:
        chosen = [item for item in _headers(message) if not headers or item["name"].lower() in headers]
        return {"mimeType": message.get_content_type(), "headers": chosen}
    return _part(message, "")


def _headers(part: MimeMessage) -> list[dict[str, str]]:
    return [{"name": name, "value": _SPACE.sub(" ", str(value))} for name, value in part.items()]


def _part(part: MimeMessage, identifier: str) -> dict[str, Any]:
    children = part.get_payload() if part.is_multipart() else []
    found: dict[str, Any] = {
        "partId": identifier,
        "mimeType": part.get_content_type(),
        "filename": part.get_filename() or "",
        "headers": _headers(part),
        "body": {"size": 0},
    }
    if isinstance(children, list) and children:
        prefix = f"{identifier}." if identifier else ""
        found["parts"] = [
            _part(child, f"{prefix}{number}") for number, child in enumerate(children[:_MOST_PARTS])
        ]
        return found
    content = part.get_payload(decode=True)
    content = content if isinstance(content, bytes) else b""
    found["body"] = {"size": len(content)}
    if found["filename"]:
        found["body"]["attachmentId"] = f"ANGjdJ{identifier or '0'}"
    else:
        found["body"]["data"] = encode(content)
    return found


def attachment(raw: bytes, identifier: str) -> bytes | None:
    """The content of the part that an attachment id names, None when there is none."""
    part: MimeMessage = parse(raw)
    path = identifier.removeprefix("ANGjdJ")
    if path != "0" or part.is_multipart():
        for step in path.split("."):
            children = part.get_payload()
            if not isinstance(children, list) or not step.isdigit() or int(step) >= len(children):
                return None
            part = children[int(step)]  # type: ignore[assignment]
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else None


def replace_message_id(raw: bytes, message_id: str) -> bytes:
    """Give a sent message Gmail's own Message-ID and keep the sender's beside it."""
    head, separator, body = raw.partition(b"\r\n\r\n" if b"\r\n\r\n" in raw else b"\n\n")
    end = b"\r\n" if b"\r\n" in head else b"\n"
    renamed = re.sub(rb"(?im)^message-id:", b"X-Google-Original-Message-ID:", head, count=1)
    return b"Message-ID: " + message_id.encode() + end + renamed + separator + body


def now() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
