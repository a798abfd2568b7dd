"""The structure of a raw message, found by streaming over it: where each part's body begins and ends.

RFC 2045 to 2047 and 5322, and all that real mail makes of them. Nothing here raises on broken mail:
what can't be understood is one part, shown as it came. Memory does not grow with attachments.
"""

from __future__ import annotations

import email
import email.policy
import io
import re
from dataclasses import dataclass, field
from email.header import decode_header
from email.message import Message as Headers
from typing import IO

from guestpost_crm.told import gettext_noop as _
from guestpost_crm.told import kept

MOST_HEADER_BYTES = 256 * 1024
MOST_PART_HEADER_BYTES = 16 * 1024
MOST_PARTS = 500
MOST_DEPTH = 30
_LINE = 64 * 1024
_SPACE = re.compile(r"\s+")
_ROBOT = re.compile(r"\b(mailer-daemon|postmaster)@", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass
class PartIndex:
    """A leaf of the MIME tree. `start` and `end` are offsets of its encoded body in the raw message."""

    content_type: str
    charset: str
    encoding: str
    filename: str
    content_id: str
    is_attachment: bool
    start: int
    end: int = 0


@dataclass
class MessageIndex:
    """What is known of a message without its bodies.

    Attributes:
        problem: what of its structure is beyond the bounds, as told keeps it.
    """

    headers: Headers
    size: int = 0
    parts: list[PartIndex] = field(default_factory=list)
    problem: str = ""


def index(source: IO[bytes]) -> MessageIndex:
    """Find the headers and the parts of the message that `source` holds.

    What is beyond all understanding is one part without a type, and says so.
    """
    try:
        return _Scanner(source).scan()
    except Exception as error:
        # The parser of the standard library is not made for every thing that comes by mail.
        size = source.seek(0, io.SEEK_END)
        whole = PartIndex("application/octet-stream", "", "", "message.eml", "", True, 0, size)
        problem = kept(_("it can't be read (%(error)s)"), {"error": type(error).__name__})
        return MessageIndex(Headers(), size, [whole], problem)


def headers(source: IO[bytes]) -> Headers:
    """The headers of the message that `source` holds, and nothing more."""
    return _Scanner(source).headers()


class _Scanner:
    """Reads line by line, with the boundaries that are open now."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._offset = 0
        self._boundaries: list[bytes] = []
        self._result: MessageIndex | None = None

    def headers(self) -> Headers:
        self._source.seek(0)
        return self._headers(MOST_HEADER_BYTES)

    def scan(self) -> MessageIndex:
        headers = self.headers()
        result = self._result = MessageIndex(headers)
        self._enter(headers)
        self._body()
        result.size = self._offset
        return result

    def _line(self) -> bytes:
        line = self._source.readline(_LINE)
        self._offset += len(line)
        return line

    def _headers(self, most: int) -> Headers:
        """Headers up to the empty line, `most` bytes of them; a line that can be none begins the body."""
        block = bytearray()
        while True:
            before = self._offset
            line = self._line()
            if not line.strip(b"\r\n"):
                break
            begins = not block
            known = line[:1] in b" \t" or b":" in line or (begins and line.startswith(b"From "))
            if not known:
                self._source.seek(before)
                self._offset = before
                break
            if len(block) < most:
                block += line[: most - len(block)]
        return email.message_from_bytes(bytes(block), policy=email.policy.compat32)

    def _enter(self, headers: Headers) -> None:
        """Begin the body that these headers describe: a leaf, or parts between boundaries."""
        result = self._result
        if result is None:
            return
        kind = headers.get_content_type()
        boundary = _parameter(headers, "boundary")
        if kind.startswith("multipart/") and boundary:
            if len(self._boundaries) < MOST_DEPTH:
                self._boundaries.append(b"--" + boundary.encode("latin-1", "replace"))
                return
            result.problem = kept(_("more than %(most)s levels of parts"), {"most": MOST_DEPTH})
        if len(result.parts) >= MOST_PARTS:
            result.problem = kept(_("more than %(most)s parts"), {"most": MOST_PARTS})
            return
        result.parts.append(_leaf(headers, kind, self._offset))

    def _body(self) -> None:
        open_leaf = self._leaf_at(self._offset)
        fresh_line = True
        while line := self._line():
            begins = self._offset - len(line)
            level = self._boundary(line) if fresh_line else None
            fresh_line = line.endswith(b"\n")
            if level is None:
                continue
            if open_leaf is not None:
                # The line break before a boundary belongs to the boundary (RFC 2046, section 5.1.1).
                open_leaf.end = self._without_break(open_leaf.start, begins)
            del self._boundaries[level + 1 :]
            if line.strip().endswith(b"--") and line.strip() == self._boundaries[level] + b"--":
                del self._boundaries[level:]
                open_leaf = None
                continue
            headers = self._headers(MOST_PART_HEADER_BYTES)
            self._enter(headers)
            open_leaf = self._leaf_at(self._offset)
        if open_leaf is not None and not open_leaf.end:
            open_leaf.end = self._offset

    def _leaf_at(self, offset: int) -> PartIndex | None:
        parts = self._result.parts if self._result else []
        return parts[-1] if parts and parts[-1].start == offset and not parts[-1].end else None

    def _without_break(self, start: int, end: int) -> int:
        here = self._source.tell()
        self._source.seek(max(end - 2, start))
        tail = self._source.read(end - max(end - 2, start))
        self._source.seek(here)
        return end - (2 if tail.endswith(b"\r\n") else 1 if tail.endswith(b"\n") else 0)

    def _boundary(self, line: bytes) -> int | None:
        """The level of the open boundary that a line is, None for any other line."""
        if not line.startswith(b"--"):
            return None
        text = line.rstrip()
        for level in range(len(self._boundaries) - 1, -1, -1):
            if text in (self._boundaries[level], self._boundaries[level] + b"--"):
                return level
        return None


def _leaf(headers: Headers, kind: str, start: int) -> PartIndex:
    filename = text(_parameter(headers, "filename", "content-disposition") or _parameter(headers, "name"))
    disposition = str(headers.get("content-disposition", "")).strip().lower()
    is_text = kind in ("text/plain", "text/html")
    attached = disposition.startswith("attachment") or bool(filename) or not is_text
    return PartIndex(
        content_type=kind[:200],
        charset=_parameter(headers, "charset")[:60],
        encoding=str(headers.get("content-transfer-encoding", "")).strip().lower()[:40],
        filename=filename[:500],
        content_id=str(headers.get("content-id", "")).strip().strip("<>")[:500],
        is_attachment=attached,
        start=start,
    )


def _parameter(headers: Headers, name: str, header: str = "content-type") -> str:
    try:
        value = headers.get_param(name, header=header)
        if isinstance(value, tuple):
            charset, _, encoded = value
            return str(encoded).encode("latin-1", "replace").decode(charset or "utf-8", "replace")
        return str(value) if value is not None else ""
    except (ValueError, LookupError, TypeError):
        return ""


def text(value: object) -> str:
    """A header's value as text on one line: encoded words decoded, 8-bit bytes as UTF-8 or Latin-1."""
    raw = str(value) if value is not None else ""
    try:
        pieces = decode_header(raw)
    except (ValueError, LookupError, TypeError, AttributeError):
        pieces = [(raw, None)]
    joined = "".join(_piece(content, charset) for content, charset in pieces)
    return _SPACE.sub(" ", clean(joined)).strip()


def _piece(content: str | bytes, charset: str | None) -> str:
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogateescape")
        charset = None
    return decode_text(content, charset or "")


def decode_text(content: bytes, charset: str) -> str:
    """Bytes as text: by the charset that is named, else UTF-8, else Latin-1; never fails."""
    if charset and charset.lower() not in ("unknown-8bit", "us-ascii", "ascii"):
        try:
            return content.decode(charset, "replace")
        except (LookupError, UnicodeError, ValueError):
            pass
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def clean(value: str) -> str:
    """Text without what PostgreSQL and browsers refuse: control characters, lone surrogates."""
    return _CONTROL.sub("", value)


def header(headers: Headers, name: str, most: int = 100_000) -> str:
    """A header as readable text; several of one name are joined by commas."""
    values = headers.get_all(name) or []
    return ", ".join(text(value) for value in values)[:most]


def automatic(headers: Headers) -> bool:
    """Whether nobody wrote a message by hand: bounces, absence notes, lists (RFC 3834, RFC 2919)."""
    if header(headers, "auto-submitted").partition(";")[0].strip().lower() not in ("", "no"):
        return True
    if header(headers, "precedence").lower() in ("bulk", "list", "junk", "auto_reply"):
        return True
    if headers.get("list-id") or headers.get("x-autoreply") or headers.get("x-autorespond"):
        return True
    return _ROBOT.search(header(headers, "from", 2000)) is not None or header(headers, "return-path") == "<>"
