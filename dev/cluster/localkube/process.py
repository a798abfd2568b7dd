"""Child processes that never outlive who started them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from localkube.paths import cache
from localkube.progress import say

# Sets the signal that the kernel sends when the parent dies, sees that it has not died before that, then
# becomes the program: prctl(2).
_DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"')


class StartError(Exception):
    """A process ended, or did not become ready in time; the message holds the end of its log."""


def spawn(
    name: str, command: Sequence[str | Path], log_folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program that the kernel kills when the calling thread ends, however that comes.

    Args:
        name: names the log file, `<name>.log`.
        command: program and arguments.
        log_folder: where its output goes.
        environment: variables besides those of this process.
    """
    log_folder.mkdir(parents=True, exist_ok=True)
    with (log_folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            [*_DIE_WITH_PARENT, str(os.getpid()), *(str(word) for word in command)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )


def log_tail(name: str, log_folder: Path, characters: int = 2000) -> str:
    """The end of what a program printed."""
    path = log_folder / f"{name}.log"
    return path.read_text(errors="replace")[-characters:] if path.exists() else "(no log)"


def wait_until(
    what: str,
    ready: Callable[[], bool],
    *,
    seconds: float,
    process: subprocess.Popen[bytes] | None = None,
    log_folder: Path | None = None,
    interval: float = 0.05,
) -> None:
    """Ask `ready` until it is true.

    Raises:
        StartError: the process ended before, or `seconds` have passed.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        tail = f"\n{log_tail(what, log_folder)}" if log_folder else ""
        if process is not None and process.poll() is not None:
            raise StartError(f"{what} ended with {process.returncode}{tail}")
        if time.monotonic() > deadline:
            raise StartError(f"{what} was not ready after {seconds:.0f} s{tail}")
        time.sleep(interval)


def stop(process: subprocess.Popen[bytes], *, grace: float = 5.0) -> None:
    """Ask a process to end, and end it when it does not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def find(matches: Callable[[list[str]], bool]) -> list[int]:
    """Ids of the processes whose command line (never empty) matches."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
                if words[0] and matches(words):
                    found.append(int(folder.name))
    return sorted(found)


def free_ports(count: int) -> list[int]:
    """Different ports of 127.0.0.1 that nobody listens on now."""
    with contextlib.ExitStack() as probes:
        sockets = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in sockets]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    return free_ports(1)[0]


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One process at a time; another one waits, and says so. The lock goes with who holds it.

    Args:
        name: what is locked, such as `cluster-demo`, among all checkouts of this user.
    """
    path = cache() / "locks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"  waiting for another process that works on {name} …")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
