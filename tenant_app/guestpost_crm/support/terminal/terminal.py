"""`guestpost-crm support-terminal`: gives each caller a shell of its own, for as long as somebody records.

Runs in the container where the person is: no Django, no keys. What it is asked for comes over a socket that
the recorder's container shares; when the recorder's sign of life grows old, everything here ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import socket
import struct
import sys
import termios
import threading
import time
from pathlib import Path

from guestpost_crm.support.terminal import frames

# The recorder shows that it lives each second.
SILENT_SECONDS = 10.0
START_SECONDS = 180.0
_GREETING = """\
This is a customer's server. What you type and what you see is recorded for the customer, who can end this.
The database is there to read: guestpost-crm support-query 'SELECT …'
"""


def run(folder: Path) -> int:
    """Serve until the recorder is gone. 0 when it was there, 1 when it never came."""
    ready = folder / frames.READY
    deadline = time.monotonic() + START_SECONDS
    while not ready.exists():
        if time.monotonic() > deadline:
            print("support-terminal: nobody records", file=sys.stderr)
            return 1
        time.sleep(0.2)
    path = folder / frames.SOCKET
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        path.chmod(0o600)
        server.listen(8)
        server.settimeout(1.0)
        while _alive(ready):
            with contextlib.suppress(TimeoutError):
                line, _ = server.accept()
                threading.Thread(target=_serve, args=(line, folder), daemon=True).start()
    return 0


def _alive(ready: Path) -> bool:
    try:
        return time.time() - ready.stat().st_mtime < SILENT_SECONDS
    except OSError:
        return False


def _serve(line: socket.socket, folder: Path) -> None:
    environment = _environment(folder)
    child, screen = pty.fork()
    if child == 0:
        os.execve("/bin/bash", ["bash", "--norc", "-i"], environment)  # noqa: S606
    status = 1
    try:
        line.sendall(frames.pack(frames.DATA, _GREETING.replace("\n", "\r\n").encode()))
        _relay(line, screen)
    except (OSError, frames.BrokenError):
        pass
    finally:
        os.close(screen)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGHUP)
        with contextlib.suppress(ChildProcessError):
            status = os.waitstatus_to_exitcode(_reap(child))
        with contextlib.suppress(OSError):
            line.sendall(frames.pack(frames.EXIT, bytes([status & 0xFF])))
        line.close()


def _reap(child: int) -> int:
    """The exit status of a shell, which is given a moment to end by itself."""
    deadline = time.monotonic() + 2
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        if time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            return os.waitpid(child, 0)[1]
        time.sleep(0.05)


def _relay(line: socket.socket, screen: int) -> None:
    """Pass on what comes from either side, until one of them ends."""
    reader = frames.Reader()
    sides: list[socket.socket | int] = [line, screen]
    while True:
        readable, _, _ = select.select(sides, [], [])
        if screen in readable:
            try:
                shown = os.read(screen, 1 << 15)
            except OSError:
                # Linux says EIO when the shell has ended.
                return
            if not shown:
                return
            line.sendall(frames.pack(frames.DATA, shown))
        if line in readable:
            piece = line.recv(1 << 15)
            if not piece:
                return
            for kind, content in reader.feed(piece):
                if kind == frames.DATA:
                    os.write(screen, content)
                elif kind == frames.SIZE:
                    rows, columns = frames.sizes(content)
                    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _environment(folder: Path) -> dict[str, str]:
    """What the shell knows: where the database is, and nothing else of this pod."""
    tenant = os.environ.get("TENANT_NAME", "tenant")
    known = {
        "HOME": os.environ.get("HOME", "/tmp"),  # noqa: S108  # the pod's own
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "HISTFILE": "",
        "PS1": f"support@{tenant}:\\w\\$ ",
    }
    with contextlib.suppress(OSError):
        for line in (folder / frames.DATABASE).read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            known[name] = value
    return known
