"""Decoded bodies of parts, as streams."""

from __future__ import annotations

import base64
import binascii
import quopri
from collections.abc import Iterator

from guestpost_crm.inbox import mime, storage
from guestpost_crm.inbox.models import Message, Part

MOST_SHOWN = 2 << 20


def stream(part: Part) -> Iterator[bytes]:
    """A part's content without its transfer encoding, piece by piece (RFC 2045, section 6)."""
    pieces = storage.read(part.message.raw, part.start, part.end)
    if part.encoding == "base64":
        return _base64(pieces)
    if part.encoding == "quoted-printable":
        return _quoted_printable(pieces)
    return pieces


def _base64(pieces: Iterator[bytes]) -> Iterator[bytes]:
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    others = bytes(set(range(256)) - set(alphabet))
    rest = b""
    for piece in pieces:
        letters = rest + piece.translate(None, others)
        whole = len(letters) // 4 * 4
        rest = letters[whole:]
        yield base64.b64decode(letters[:whole])
    if len(rest) > 1:
        try:
            yield base64.b64decode(rest + b"=" * (-len(rest) % 4))
        except binascii.Error:
            return


def _quoted_printable(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        lines, separator, rest = (rest + piece).rpartition(b"\n")
        yield quopri.decodestring(lines + separator)
    yield quopri.decodestring(rest)


def text(part: Part) -> str:
    """A text part as text, cut after MOST_SHOWN bytes."""
    content = bytearray()
    for piece in stream(part):
        content += piece
        if len(content) > MOST_SHOWN:
            break
    return mime.clean(mime.decode_text(bytes(content[:MOST_SHOWN]), part.charset))


def best(message: Message, content_type: str) -> Part | None:
    """The first body of a type that is no attachment."""
    return next(
        (
            part
            for part in message.parts.all()
            if part.content_type == content_type and not part.is_attachment
        ),
        None,
    )
