"""Decoded bodies of parts, as streams."""

from __future__ import annotations

import base64
import binascii
import quopri
from collections.abc import Iterable, Iterator
from typing import IO, TypeVar

from guestpost_crm.inbox import mime, storage
from guestpost_crm.inbox.models import Part

MOST_SHOWN = 1 << 20
_PIECE = 64 * 1024
Body = TypeVar("Body", Part, mime.PartIndex)


def stream(part: Part) -> Iterator[bytes]:
    """A part's content without its transfer encoding, piece by piece (RFC 2045, section 6)."""
    return decode(storage.read(part.message.raw, part.start, part.end), part.encoding)


def decode(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """An encoded body without its transfer encoding, piece by piece."""
    if encoding == "base64":
        return _base64(pieces)
    if encoding == "quoted-printable":
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


def text(part: Part, most: int = MOST_SHOWN) -> str:
    """A text part as text, cut after `most` bytes."""
    return _text(stream(part), part.charset, most)


def text_in(source: IO[bytes], part: mime.PartIndex, most: int) -> str:
    """The same of a message that lies in a file."""
    return _text(decode(_pieces(source, part.start, part.end), part.encoding), part.charset, most)


def _pieces(source: IO[bytes], start: int, end: int) -> Iterator[bytes]:
    source.seek(start)
    while start < end and (piece := source.read(min(_PIECE, end - start))):
        start += len(piece)
        yield piece


def _text(pieces: Iterator[bytes], charset: str, most: int) -> str:
    content = bytearray()
    for piece in pieces:
        content += piece
        if len(content) > most:
            break
    return mime.clean(mime.decode_text(bytes(content[:most]), charset))


def best(parts: Iterable[Body], content_type: str) -> Body | None:
    """The first body of a type that is no attachment."""
    return next(
        (part for part in parts if part.content_type == content_type and not part.is_attachment), None
    )
