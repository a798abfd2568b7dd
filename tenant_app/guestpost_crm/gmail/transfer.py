"""Whole messages to and from Gmail as streams: memory does not grow with their size.

Google's client library holds an answer several times over, which a message of 40 MiB makes 300; so these
two calls are made by `requests`, with the library's own addresses.
"""

from __future__ import annotations

import binascii
import json
import re
import secrets
import tempfile
import threading
from collections.abc import Iterable, Iterator
from typing import IO, Any

import requests

from guestpost_crm.gmail.errors import TooLargeError, of_answer

CONNECT, READ = 10, 60
# Gmail delivers mail of up to 50 MB, and lets programs import 150 MB; the pod's folder for temporary files
# has 256 MiB, and one such message lies in it at a time.
LARGEST = 160 << 20
IN_MEMORY = 256 * 1024
_PIECE = 64 * 1024
_MOST_REST = 1 << 20
# Longer than it takes to store the largest message, and shorter than for ever.
_TURN = 300.0
# Within a string of JSON a quotation mark has a backslash before it, so this is never found in one.
_RAW = re.compile(rb'(?<!\\)"raw"\s*:\s*"')
_KEEP = 64
_STANDARD = bytes.maketrans(b"-_", b"+/")


class Content(tempfile.SpooledTemporaryFile[bytes]):
    """A message while it is on its way: in memory when it is small, else on disk.

    Of all mailboxes together one message lies on disk; the next that wants to waits until it is closed, and
    gives up (TimeoutError) when that takes too long: it is fetched later then.
    """

    _disk = threading.Semaphore(1)

    def __init__(self) -> None:
        super().__init__(max_size=IN_MEMORY)
        self._on_disk = False

    def rollover(self) -> None:
        """It has become too large for memory."""
        if not self._on_disk:
            if not self._disk.acquire(timeout=_TURN):
                raise TimeoutError
            self._on_disk = True
        super().rollover()

    def close(self) -> None:
        """Remove it."""
        super().close()
        if self._on_disk:
            self._on_disk = False
            self._disk.release()


class RawAnswer:
    """Takes a message in format=raw apart while it comes.

    The value of `raw` goes decoded into `content`, everything else is kept as JSON.

    Args:
        content: where the message goes.
        most: bytes of a message, more is refused.
    """

    def __init__(self, content: IO[bytes], most: int = LARGEST) -> None:
        self._content = content
        self._most = most
        self._rest = bytearray()
        self._pending = b""
        self._inside = False
        self._letters = b""
        self._size = 0

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the answer.

        Raises:
            TooLargeError: it can be no message of Gmail's.
            ValueError: `raw` is no base 64.
        """
        self._pending += piece
        while self._pending and (self._take_raw() if self._inside else self._take_rest()):
            pass

    def _take_rest(self) -> bool:
        """Keep what is not `raw`; True when it begins."""
        found = _RAW.search(self._pending)
        if found is None:
            # The name may be cut in two: its beginning waits for the rest.
            kept = max(0, len(self._pending) - _KEEP)
            self._rest += self._pending[:kept]
            self._pending = self._pending[kept:]
        else:
            self._rest += self._pending[: found.end()]
            self._pending = self._pending[found.end() :]
            self._inside = True
        if len(self._rest) > _MOST_REST:
            raise TooLargeError("an answer of Gmail's is too large")
        return found is not None

    def _take_raw(self) -> bool:
        """Decode what there is of `raw`; True when it has ended."""
        end = self._pending.find(b'"')
        if end >= 0:
            piece, self._pending, self._inside = self._pending[:end], self._pending[end:], False
        else:
            # An escape sequence, which padding may be written as, is not cut in two.
            cut = self._pending.rfind(b"\\", max(0, len(self._pending) - 6))
            cut = len(self._pending) if cut < 0 else cut
            piece, self._pending = self._pending[:cut], self._pending[cut:]
        letters = self._letters + piece.replace(b"\\u003d", b"").translate(_STANDARD, b"=\r\n")
        whole = len(letters) if end >= 0 else len(letters) // 4 * 4
        self._letters = letters[whole:]
        letters = letters[:whole]
        decoded = binascii.a2b_base64(letters + b"=" * (-len(letters) % 4), strict_mode=True)
        self._size += len(decoded)
        if self._size > self._most:
            raise TooLargeError("a message is too large")
        self._content.write(decoded)
        return end >= 0

    def finish(self) -> dict[str, Any]:
        """The answer without its `raw` (ValueError when it is not complete)."""
        answer = json.loads(self._rest + self._pending)
        if not isinstance(answer, dict):
            raise ValueError("no object")  # noqa: TRY004 - like every other answer that can't be read
        answer.pop("raw", None)
        return answer


def download(session: requests.Session, address: str) -> tuple[dict[str, Any], IO[bytes]]:
    """A message in format=raw: what Gmail says of it, and its content in a file.

    Raises:
        GmailError: Gmail's answer is no success.
        requests.RequestException: there was none.
        ValueError: it can't be read.
    """
    content = Content()
    try:
        with session.get(
            address, params={"format": "raw"}, stream=True, timeout=(CONNECT, READ), allow_redirects=False
        ) as answer:
            _check(answer)
            reader = RawAnswer(content)
            for piece in answer.iter_content(_PIECE):
                reader.feed(piece)
        described = reader.finish()
    except BaseException:
        content.close()
        raise
    content.seek(0)
    return described, content


class _Upload:
    """A multipart upload of a message with what is said of it (RFC 2387), made while it is sent."""

    def __init__(self, described: dict[str, Any], content: Iterable[bytes], size: int) -> None:
        self.boundary = secrets.token_hex(16)
        begin = f"--{self.boundary}\r\n"
        head = f"{begin}Content-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(described)}\r\n"
        self._head = f"{head}{begin}Content-Type: message/rfc822\r\n\r\n".encode()
        self._tail = f"\r\n--{self.boundary}--\r\n".encode()
        self._content = content
        self._size = size

    def __len__(self) -> int:
        return len(self._head) + self._size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        yield from self._content
        yield self._tail


def upload(
    session: requests.Session, address: str, described: dict[str, Any], content: Iterable[bytes], size: int
) -> dict[str, Any]:
    """Send a message: exactly one attempt, whatever comes of it.

    Args:
        session: carries the access token.
        address: of users.messages.send for uploads.
        described: what is said of the message, such as its thread.
        content: the raw message in pieces.
        size: of the whole, in bytes.

    Raises:
        GmailError: Gmail's answer is no success.
        requests.RequestException: there was none.
        ValueError: it can't be read.
    """
    body = _Upload(described, content, size)
    with session.post(
        address,
        params={"uploadType": "multipart"},
        data=body,
        headers={"Content-Type": f"multipart/related; boundary={body.boundary}"},
        timeout=(CONNECT, READ),
        allow_redirects=False,
    ) as answer:
        _check(answer)
        described = answer.json()
    return described if isinstance(described, dict) else {}


def _check(answer: requests.Response) -> None:
    if answer.status_code == 200:
        return
    reason = ""
    try:
        content = answer.json() if len(answer.content) < _MOST_REST else {}
        reason = str(content["error"]["errors"][0]["reason"])
    except (ValueError, LookupError, TypeError):
        pass
    raise of_answer(answer.status_code, reason[:60], answer.headers.get("Retry-After", ""))
