"""Composing mail that stays in its thread, for every mail program.

RFC 5322, section 3.6.4 (In-Reply-To and References) and
https://developers.google.com/workspace/gmail/api/guides/threads: the subject has to agree as well.
"""

from __future__ import annotations

import base64
import re
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email import policy, utils
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses, make_msgid
from typing import IO, Protocol

from django.utils import timezone
from django.utils.translation import gettext as _

from guestpost_crm.inbox.models import Message

OUTBOX_HEADER = "X-GuestPostCRM-Outbox"
_REPLY = re.compile(r"^\s*re\s*:", re.IGNORECASE)
_FORWARD = re.compile(r"^\s*(fwd?|wg)\s*:", re.IGNORECASE)
_ID = re.compile(r"<[^<>\s]{1,900}>")
_ADDRESS = re.compile(r"^[^@\s,;<>\"]{1,64}@[^@\s,;<>\"]{1,255}$")
_PIECE = re.compile(r"[^@\s,;<>()\"]{1,64}@[^@\s,;<>()\"]{1,255}")
# Composite types may not be encoded (RFC 2046, section 5), so they travel as files like any other.
_TYPE = re.compile(r"^(?!message/|multipart/)[\w.+-]{1,60}/[\w.+-]{1,60}$", re.ASCII)
# Mail to people, one conversation at a time: this is no tool for sending to lists.
MOST_RECIPIENTS = 50
MOST_REFERENCES = 50
# A line of base 64 holds 57 bytes.
_BLOCK = 57 * 1024


# Newer Pythons drop a header that is a little wrong, unless told otherwise; older ones lack the word
# (https://docs.python.org/3/library/email.utils.html#email.utils.getaddresses).
_LENIENT: dict[str, bool] = {"strict": False} if getattr(utils, "supports_strict_parsing", False) else {}


class RecipientError(ValueError):
    """A recipient is no address; the message names it."""


class File(Protocol):
    """An attachment; `size` in bytes, about."""

    name: str
    content_type: str
    size: int

    def chunks(self) -> Iterable[bytes]:
        """Its content, piece by piece."""


@dataclass(frozen=True)
class Draft:
    """What a person wrote.

    Attributes:
        to, cc, bcc: addresses.
        subject: one line.
        body: plain text.
        answers: the message that this one answers or forwards.
        files: attachments.
    """

    to: list[str]
    subject: str
    body: str
    cc: list[str] = field(default_factory=list)
    bcc: list[str] = field(default_factory=list)
    answers: Message | None = None
    files: list[File] = field(default_factory=list)

    @property
    def recipients(self) -> list[str]:
        """Everybody it goes to, each once."""
        return list(dict.fromkeys([*self.to, *self.cc, *self.bcc]))


def addresses(header: str) -> list[str]:
    """The bare addresses in a header, each once, in order."""
    try:
        found = [address.strip() for _, address in getaddresses([header], **_LENIENT)]
    except RecursionError:
        # Comments within comments, by the thousand: what looks like an address is one.
        found = _PIECE.findall(header)
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
            raise RecipientError(_("“%(text)s” is not an e-mail address.") % {"text": piece[:80]})
        found += match
    if len(found) > MOST_RECIPIENTS:
        most = {"most": MOST_RECIPIENTS, "count": len(found)}
        raise RecipientError(_("At most %(most)d recipients, these are %(count)d.") % most)
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


def forward_subject(subject: str) -> str:
    """`Fwd: ` before a subject that has none yet."""
    return subject if _FORWARD.match(subject) else f"Fwd: {subject}"


def compose(draft: Draft, *, identifier: str, sender: str, sender_name: str) -> IO[bytes]:
    """The raw message, in a file at its beginning; attachments are not held in memory.

    Args:
        draft: what it says, and to whom.
        identifier: the outbox message's, put into a header so that Gmail can be asked about it.
        sender: our address.
        sender_name: shown beside it.
    """
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = Address(_line(sender_name), addr_spec=sender)
    for name, addresses_of in (("To", draft.to), ("Cc", draft.cc), ("Bcc", draft.bcc)):
        if addresses_of:
            message[name] = ", ".join(addresses_of)
    message["Subject"] = _line(draft.subject)
    message["Date"] = format_datetime(timezone.now())
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    message[OUTBOX_HEADER] = identifier
    if draft.answers is not None and (ids := _ID.findall(draft.answers.message_id)):
        references = [*_ID.findall(draft.answers.references)[-MOST_REFERENCES:], ids[0]]
        message["In-Reply-To"] = ids[0]
        message["References"] = " ".join(dict.fromkeys(references))
    message.set_content(draft.body.replace("\r\n", "\n"), charset="utf-8")
    marks = [secrets.token_hex(12).encode() for _ in draft.files]
    for mark, file in zip(marks, draft.files, strict=True):
        kind = file.content_type if _TYPE.match(file.content_type) else "application/octet-stream"
        main, _, sub = kind.partition("/")
        message.add_attachment(mark, maintype=main, subtype=sub, filename=_line(file.name) or "file")
    return _filled(message.as_bytes(), marks, draft.files)


def _filled(skeleton: bytes, marks: list[bytes], files: Iterable[File]) -> IO[bytes]:
    """A message whose attachments are marks, with the files instead of them."""
    target = tempfile.SpooledTemporaryFile(max_size=1 << 20)  # noqa: SIM115 - the caller's
    for mark, file in zip(marks, files, strict=True):
        before, skeleton = skeleton.split(base64.b64encode(mark) + b"\r\n", 1)
        target.write(before)
        for block in _blocks(file.chunks()):
            target.write(base64.encodebytes(block).replace(b"\n", b"\r\n"))
    target.write(skeleton)
    target.seek(0)
    return target


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces that fill whole lines of base 64, but for the last."""
    rest = b""
    for chunk in chunks:
        rest += chunk
        whole = len(rest) // _BLOCK * _BLOCK
        for start in range(0, whole, _BLOCK):
            yield rest[start : start + _BLOCK]
        rest = rest[whole:]
    if rest:
        yield rest


def _line(text: str) -> str:
    return " ".join(text.split())
