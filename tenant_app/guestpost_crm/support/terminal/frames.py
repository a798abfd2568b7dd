"""What goes over the socket between the two containers: a letter, a length, and so many bytes."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

DATA, SIZE, EXIT = b"d", b"w", b"x"
SOCKET, READY, DATABASE = "terminal.sock", "ready", "database.env"
_HEAD = struct.Struct("!cI")
_SIZE = struct.Struct("!HH")
MOST = 1 << 16


class BrokenError(Exception):
    """What came is no frame."""


def pack(kind: bytes, content: bytes = b"") -> bytes:
    """One frame."""
    return _HEAD.pack(kind, len(content)) + content


def size(rows: int, columns: int) -> bytes:
    """The frame that tells the size of a screen."""
    return pack(SIZE, _SIZE.pack(rows, columns))


def sizes(content: bytes) -> tuple[int, int]:
    """Rows and columns from such a frame (struct.error)."""
    rows, columns = _SIZE.unpack(content)
    return rows, columns


class Reader:
    """Frames from bytes as they come."""

    def __init__(self) -> None:
        self._left = b""

    def feed(self, piece: bytes) -> list[tuple[bytes, bytes]]:
        """The frames that are complete with this piece (BrokenError)."""
        self._left += piece
        found = []
        while len(self._left) >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._left)
            if kind not in (DATA, SIZE, EXIT) or length > MOST:
                raise BrokenError
            if len(self._left) < _HEAD.size + length:
                break
            found.append((kind, self._left[_HEAD.size : _HEAD.size + length]))
            self._left = self._left[_HEAD.size + length :]
        return found


def connect(folder: Path) -> socket.socket:
    """A line to the program in the other container (OSError)."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        line.connect(str(folder / SOCKET))
    except OSError:
        line.close()
        raise
    return line
