"""`guestpost-crm support-shell`: the one program that the API server lets somebody of the service start.

Everything that passes between the person and the terminal is in the database before it is passed on: what
can't be recorded is neither shown nor typed.
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import select
import signal
import socket
import struct
import sys
import termios
import tty
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from django.db import DatabaseError
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.utils import timezone

from guestpost_crm.audit.services import record
from guestpost_crm.environment import current
from guestpost_crm.support.models import Kind, ShellPiece, ShellSession, SupportAccess
from guestpost_crm.support.terminal import frames

# A piece grows until it is so long.
PIECE = 8192


class Transcript:
    """What passes, written down before it goes on."""

    def __init__(self, session: ShellSession) -> None:
        self._session = session
        # A character may come in two pieces.
        decoder = codecs.getincrementaldecoder("utf-8")
        self._decoders = {kind: decoder(errors="replace") for kind in Kind}
        self._count = 0
        self._open: ShellPiece | None = None
        self._length = 0

    def add(self, kind: Kind, content: bytes) -> None:
        """Write down what goes by (DatabaseError)."""
        text = self._decoders[kind].decode(content).replace("\0", "\N{REPLACEMENT CHARACTER}")
        if self._open is not None and self._open.kind == kind and self._length + len(text) <= PIECE:
            longer = Concat(F("text"), Value(text))
            ShellPiece.objects.filter(pk=self._open.pk).update(text=longer)
            self._length += len(text)
            return
        self._open = ShellPiece.objects.create(session=self._session, index=self._count, kind=kind, text=text)
        self._count += 1
        self._length = len(text)


def run() -> int:
    """Open a terminal for whoever started this. Returns the shell's exit code; 1 when it may not be."""
    environment = current()
    if not sys.stdin.isatty():
        return _refused("a terminal is needed: kubectl exec -it …")
    access = SupportAccess.objects.active().filter(grant=environment.support_grant).first()
    if access is None:
        return _refused("the customer has ended it, or its time is over")
    try:
        line = frames.connect(Path(environment.support_folder))
    except OSError:
        return _refused("the terminal is not there yet; try again in a moment")
    session = ShellSession.objects.create(access=access)
    subject = f"support:{access.pk}"
    record(None, "support.shell-began", subject, who=access.subject, terminal=session.pk)
    try:
        with line, _raw(sys.stdin.fileno()):
            return _Relay(line, Transcript(session)).run()
    except (OSError, frames.BrokenError, DatabaseError) as error:
        return _refused(f"it broke off: {type(error).__name__}")
    finally:
        with contextlib.suppress(DatabaseError):
            ShellSession.objects.filter(pk=session.pk).update(ended_at=timezone.now())
            record(None, "support.shell-ended", subject, who=access.subject, terminal=session.pk)


def _refused(why: str) -> int:
    print(f"guestpost-crm support-shell: {why}", file=sys.stderr)
    return 1


@contextlib.contextmanager
def _raw(screen: int) -> Iterator[None]:
    """The person's terminal as the far one wants it: every key goes there."""
    before = termios.tcgetattr(screen)
    tty.setraw(screen)
    try:
        yield
    finally:
        termios.tcsetattr(screen, termios.TCSADRAIN, before)


class _Relay:
    """Passes on what comes from either side, until one of them ends."""

    def __init__(self, line: socket.socket, transcript: Transcript) -> None:
        self._line = line
        self._transcript = transcript
        self._keys, self._screen = sys.stdin.fileno(), sys.stdout.fileno()
        self._reader = frames.Reader()
        # A change of the window's size wakes the loop.
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)

    def run(self) -> int:
        """The far shell's exit code (OSError, BrokenError, DatabaseError)."""
        signal.signal(signal.SIGWINCH, self._resized)
        self._tell_size()
        sides: list[socket.socket | int] = [self._line, self._keys, self._woken]
        code: int | None = None
        while code is None:
            readable, _, _ = select.select(sides, [], [])
            if self._woken in readable:
                os.read(self._woken, 64)
                self._tell_size()
            if self._keys in readable:
                code = self._typed()
            if self._line in readable and code is None:
                code = self._shown()
        return code

    def _typed(self) -> int | None:
        typed = os.read(self._keys, 4096)
        if not typed:
            return 0
        self._transcript.add(Kind.TYPED, typed)
        self._line.sendall(frames.pack(frames.DATA, typed))
        return None

    def _shown(self) -> int | None:
        piece = self._line.recv(1 << 15)
        if not piece:
            return 0
        for kind, content in self._reader.feed(piece):
            if kind == frames.EXIT:
                return content[0] if content else 0
            if kind == frames.DATA:
                self._transcript.add(Kind.SHOWN, content)
                _write(self._screen, content)
        return None

    def _resized(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        with contextlib.suppress(OSError):
            os.write(self._wake, b"w")

    def _tell_size(self) -> None:
        self._line.sendall(frames.size(*_size(self._keys)))


def _write(screen: int, content: bytes) -> None:
    while content:
        content = content[os.write(screen, content) :]


def _size(screen: int) -> tuple[int, int]:
    rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(screen, termios.TIOCGWINSZ, bytes(8)))
    return rows or 24, columns or 80
