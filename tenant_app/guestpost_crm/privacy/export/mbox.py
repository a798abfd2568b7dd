"""Mailboxes as mbox (RFC 4155, quoted as mboxrd), with each message's bytes kept exactly.

An entry is a From_ line, header lines of ours, and the raw message as it came; lines of it that look like a
From_ line get one more '>'. The size among our headers says where a message really ends.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO

from guestpost_crm.web.numbers import number

SIZE = "X-GuestPostCRM-Size"
_FROM = re.compile(rb"^(>*From )", re.MULTILINE)
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_CUT = re.compile(rb">*(?:F|Fr|Fro|From)?")
_SEPARATOR = b"From guestpostcrm@localhost Thu Jan  1 00:00:00 1970\n"
_LINE = 1 << 16
_SPOOLED = 1 << 20


class MboxError(Exception):
    """Not an mbox that `entry` wrote."""


@dataclass
class Entry:
    """A message: our headers, and its exact bytes as a file at its beginning."""

    headers: dict[str, str]
    content: IO[bytes]


def entry(headers: Mapping[str, str], size: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A message as mbox, piece by piece.

    Args:
        headers: names and values that go before the message's own; line breaks are taken out.
        size: of the message in bytes.
        pieces: the message.
    """
    lines = [f"{name}: {' '.join(value.split())}\n" for name, value in headers.items()]
    yield _SEPARATOR + "".join([*lines, f"{SIZE}: {size}\n"]).encode()
    yield from _quoted(pieces)
    yield b"\n\n"


def _quoted(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Quote lines that begin like a From_ line, wherever the pieces are cut."""
    held = b""
    fresh = True
    for piece in pieces:
        block = held + piece if held else piece
        begin = block.rfind(b"\n") + 1
        # How a From_ line begins may go on in the next piece. Nothing else is held back, or copied.
        if (begin or fresh) and len(block) - begin <= _LINE and _CUT.fullmatch(block, begin):
            block, held = block[:begin], block[begin:]
        else:
            held = b""
        if block:
            yield _mark(block) if fresh else _after_first_line(block)
            fresh = block.endswith(b"\n")
    if held:
        yield held


def _after_first_line(block: bytes) -> bytes:
    first, separator, others = block.partition(b"\n")
    return first + separator + _mark(others)


def _mark(block: bytes) -> bytes:
    # Most blocks have no such line. Looking for one is a good part of the work, and `rfind` passes over three
    # times as much in the same time as `in` does.
    return _FROM.sub(rb">\1", block) if block.rfind(b"From ") >= 0 else block


def read(source: IO[bytes]) -> Iterator[Entry]:
    """The entries of an mbox, one after the other; each is to be used before the next is asked for.

    Raises:
        MboxError: it is none, or is cut off.
    """
    line = source.readline(_LINE)
    while line:
        if line != _SEPARATOR:
            raise MboxError("a From_ line was expected")
        headers, size = _headers(source)
        with tempfile.SpooledTemporaryFile(max_size=_SPOOLED) as content:
            line = _copy(source, content)
            if content.tell() < size:
                raise MboxError("the last message is cut off")
            content.truncate(size)
            content.seek(0)
            yield Entry(headers, content)


def _headers(source: IO[bytes]) -> tuple[dict[str, str], int]:
    headers: dict[str, str] = {}
    while SIZE not in headers:
        name, separator, value = source.readline(_LINE).decode("utf-8", "replace").partition(": ")
        if not separator:
            raise MboxError("a message has no size")
        headers[name] = value.rstrip("\n")
    size = headers.pop(SIZE)
    if (length := number(size)) is None:
        raise MboxError("a message's size is no number")
    return headers, length


def _copy(source: IO[bytes], target: IO[bytes]) -> bytes:
    """Copy a message without its quoting; returns the next From_ line, empty at the end."""
    fresh = True
    while line := source.readline(_LINE):
        if fresh and line.startswith(b"From "):
            return line
        target.write(_QUOTED.sub(rb"\1", line) if fresh else line)
        fresh = line.endswith(b"\n")
    return b""
