"""The operator as a process of its own, for tests that kill it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import yaml
from guestpost_operator.settings import Config
from localkube.process import free_port

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """The real program, on a free port, with the shortest lease.

    Args:
        folder: for its configuration and its log.
        config: what it does, and how.
    """

    def __init__(self, folder: Path, config: Config) -> None:
        self.metrics, self._log = free_port(), folder / "operator.log"
        document = config.model_dump(mode="json", by_alias=True)
        document["operator"] |= {"metricsPort": self.metrics, "leaseSeconds": 6}
        self._config = folder / "config.yaml"
        self._config.write_text(yaml.safe_dump(document))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it; it works as soon as it holds the lease."""
        environment = {
            **os.environ,
            "GUESTPOST_CONFIG": str(self._config),
            "PYTHONPATH": str(ROOT / "operator"),
        }
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "guestpost_operator", "run"]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def kill(self) -> None:
        """Kill it, and see that nothing else ended it."""
        assert self._process is not None  # noqa: S101
        assert self.alive, self._log.read_text()[-2000:]  # noqa: S101
        self._process.kill()
        assert self._process.wait(10) == -signal.SIGKILL  # noqa: S101

    def stop(self) -> None:
        """End it in order, or wait until it has ended."""
        if self._process is not None:
            if self.alive:
                self._process.terminate()
            self._process.wait(20)

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def metric(self, name: str) -> list[str]:
        """Its metrics whose names begin so."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=5) as answer:
            return [line for line in answer.read().decode().splitlines() if line.startswith(name)]
