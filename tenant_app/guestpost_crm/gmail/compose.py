"""Composing replies that stay in their thread, for every mail program.

RFC 5322, section 3.6.4 (In-Reply-To and References) and
https://developers.google.com/workspace/gmail/api/guides/threads: the subject has to agree as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from email import policy, utils
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses, make_msgid

from django.utils import timezone

from guestpost_crm.inbox.models import Message

OUTBOX_HEADER = "X-GuestPostCRM-Outbox"
_REPLY = re.compile(r"^\s*re\s*:", re.IGNORECASE)
_ID = re.compile(r"<[^<>\s]{1,900}>")
_ADDRESS = re.compile(r"^[^@\s,;<>\"]{1,64}@[^@\s,;<>\"]{1,255}$")
MOST_RECIPIENTS = 100
MOST_REFERENCES = 50


# Newer Pythons drop a header that is a little wrong, unless told otherwise; older ones lack the word
# (https://docs.python.org/3/library/email.utils.html#email.utils.getaddresses).
_LENIENT: dict[str, bool] = {"strict": False} if getattr(utils, "supports_strict_parsing", False) else {}


class RecipientError(ValueError):
    """A recipient is no address; the message names it."""


@dataclass(frozen=True)
class File:
    """An attachment."""

    name: str
    content_type: str
    content: bytes


def addresses(header: str) -> list[str]:
    """The bare addresses in a header, each once, in order."""
    found = (address.strip() for _, address in getaddresses([header], **_LENIENT))
    return list(dict.fromkeys(address for address in found if _ADDRESS.match(address)))


def recipients(header: str) -> list[str]:
    """The addresses that a person typed.

    Raises:
        RecipientError: one of them is none, or there are too many.
    """
    typed = [piece.strip() for piece in re.split(r"[,;\n]", header) if piece.strip()]
    found: list[str] = []
    for piece in typed:
        match = addresses(piece)
        if len(match) != 1:
            raise RecipientError(f"“{piece[:80]}” is not an e-mail address")
        found += match
    if len(found) > MOST_RECIPIENTS:
        raise RecipientError(f"at most {MOST_RECIPIENTS} recipients, these are {len(found)}")
    return list(dict.fromkeys(found))


def reply_recipients(message: Message, own: str, *, everybody: bool = False) -> tuple[list[str], list[str]]:
    """Whom a reply goes to: To and Cc.

    Reply-To before From (RFC 5322, section 3.6.2); for mail of our own, those it went to. With
    `everybody` the other recipients come in Cc; never ourselves.
    """
    from_us = own.lower() in (each.lower() for each in addresses(message.sender))
    main = message.recipients if from_us else (message.reply_to or message.sender)
    to = [each for each in addresses(main) if each.lower() != own.lower()]
    if not everybody:
        return to, []
    others = addresses(f"{'' if from_us else message.recipients}, {message.copies}")
    known = {own.lower(), *(each.lower() for each in to)}
    return to, [each for each in others if each.lower() not in known]


def reply_subject(subject: str) -> str:
    """`Re: ` before a subject that has none yet."""
    return subject if _REPLY.match(subject) else f"Re: {subject}"


def compose(
    *,
    identifier: str,
    sender: str,
    sender_name: str,
    to: Iterable[str],
    cc: Iterable[str],
    subject: str,
    body: str,
    answers: Message | None = None,
    files: Iterable[File] = (),
) -> bytes:
    """The raw message.

    Args:
        identifier: the outbox message's, put into a header so that Gmail can be asked about it.
        sender: our address.
        sender_name: shown beside it.
        to: addresses.
        cc: addresses.
        subject: one line.
        body: plain text.
        answers: the message that this one answers.
        files: attachments.
    """
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = Address(_line(sender_name), addr_spec=sender)
    message["To"] = ", ".join(to)
    if copies := ", ".join(cc):
        message["Cc"] = copies
    message["Subject"] = _line(subject)
    message["Date"] = format_datetime(timezone.now())
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    message[OUTBOX_HEADER] = identifier
    if answers is not None and (ids := _ID.findall(answers.message_id)):
        references = [*_ID.findall(answers.references)[-MOST_REFERENCES:], ids[0]]
        message["In-Reply-To"] = ids[0]
        message["References"] = " ".join(dict.fromkeys(references))
    message.set_content(body.replace("\r\n", "\n"), charset="utf-8")
    for file in files:
        main, _, sub = file.content_type.partition("/")
        message.add_attachment(
            file.content, maintype=main or "application", subtype=sub or "octet-stream", filename=file.name
        )
    return message.as_bytes()


def _line(text: str) -> str:
    return " ".join(text.split())
