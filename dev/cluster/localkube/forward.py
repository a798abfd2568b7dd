"""A port of 127.0.0.1 that leads to the gateway of a cluster that is not in a box."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from localkube import binaries, kubeconfig
from localkube.process import StartError, find, wait_until

_WORDS = ["-n", "gateway", "port-forward", "service/gateway"]


def start(folder: Path, config: Path, port: int) -> None:
    """Forward the port until `stop`, also after this process has ended.

    Args:
        folder: for its log.
        config: kubeconfig of the cluster.
        port: of 127.0.0.1.

    Raises:
        StartError: the port is taken, or the gateway is not there.
    """
    stop(folder)
    kubectl = binaries.ensure("kubectl")["kubectl"]
    path = folder / "logs/forward.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as log:
        process = subprocess.Popen(
            [str(kubectl), f"--kubeconfig={config}", *_WORDS, f"{port}:80"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **kubeconfig.environment(config)},
            start_new_session=True,
        )

    def forwards() -> bool:
        return "Forwarding from" in path.read_text(errors="replace")

    try:
        wait_until("forward", forwards, seconds=30, process=process, log_folder=path.parent)
    except StartError:
        process.kill()
        raise


def stop(folder: Path) -> None:
    """End the forwarding that was started with this folder."""
    config = f"--kubeconfig={folder / 'kubeconfig'}"

    def ours() -> list[int]:
        return find(lambda words: config in words and "port-forward" in words)

    for pid in ours():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    wait_until("forward to end", lambda: not ours(), seconds=10)
