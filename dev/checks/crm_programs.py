"""The CRM's real programs as processes of their own, and how much memory they took."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def until(true: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait for a condition.

    Args:
        true: asked again and again.
        what: named when it does not come about.
        seconds: for how long.

    Raises:
        AssertionError: it did not come about.
    """
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.01)


class Program:
    """A program of the CRM, started again as often as a test wants.

    Args:
        name: `sync` or `web`.
        folder: for what it writes.
        **environment: variables besides those of this process.
    """

    def __init__(self, name: str, folder: Path, **environment: str) -> None:
        self._name = name
        self._folder = folder
        self._environment = environment
        self._runs = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and don't wait for anything."""
        self._runs += 1
        with (self._folder / f"{self._name}-{self._runs}.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "guestpost_crm", self._name],
                stdout=log,
                stderr=log,
                env={**os.environ, **self._token(), **self._environment},
                start_new_session=True,
            )

    def _token(self) -> dict[str, str]:
        """The broker tells a sync's pod from a web's by its token."""
        own = Path(os.environ["BROKER_TOKEN_FILE"]).with_name(f"{self._name}-token")
        return {"BROKER_TOKEN_FILE": str(own)} if own.exists() else {}

    def kill(self) -> None:
        """SIGKILL."""
        self._running().kill()
        _expect(self._running().wait(10), -signal.SIGKILL)

    def end(self) -> None:
        """As the kubelet ends it; its end is a good one."""
        self._running().terminate()
        _expect(self._running().wait(25), 0)

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            raise AssertionError(f"{self._name} was never started")
        return self.process

    def stop(self) -> None:
        """Whatever state it is in, after a test."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(25)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)

    def words(self) -> str:
        """All that it wrote."""
        return "".join(path.read_text(encoding="utf-8") for path in self._folder.glob("*.log"))

    def peak(self) -> float:
        """The most memory that its largest process has had, in MiB."""
        pid = self._running().pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        status = [Path(f"/proc/{each}/status").read_text(encoding="utf-8") for each in (pid, *children)]
        found = [re.search(r"VmHWM:\s+(\d+) kB", each) for each in status]
        return max(int(match[1]) for match in found if match) / 1024


def _expect(status: int, wanted: int) -> None:
    if status != wanted:
        raise AssertionError(f"it ended with {status}, not {wanted}")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(port: int, path: str, host: str) -> bool:
    """Whether the web answers a probe with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
