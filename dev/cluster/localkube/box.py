"""A box: network, mount and process namespaces in which a whole cluster runs, seen from outside."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from localkube import paths
from localkube.cgroups import Group
from localkube.process import StartError, find, free_port, wait_until

PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
    "socat": "socat",
    "ip": "iproute2",
    "openssl": "openssl",
    "unshare": "util-linux",
}
_INSIDE = "localkube.inside"


class UnsupportedMachineError(Exception):
    """This machine lacks something; the message says what to install or to be."""


def require_machine() -> None:
    """Check what a box needs of the machine.

    Raises:
        UnsupportedMachineError: names the missing packages, or that root is needed.
    """
    if os.geteuid() != 0:
        raise UnsupportedMachineError("a local cluster needs root for its namespaces: run it with sudo")
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    if not Path("/usr/lib/cni/bridge").exists():
        missing.append("containernetworking-plugins")
    if missing:
        raise UnsupportedMachineError(
            f"missing programs: run dev/bootstrap, or install {' '.join(sorted(missing))}"
        )


class Box:
    """One cluster's box.

    What runs is found by asking the kernel, not by remembered process ids: an interrupted start
    leaves nothing that a later call would not see, and a reused id is never mistaken for ours.

    Args:
        name: the cluster's.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = paths.cluster(name)
        self.group = Group(f"guestpost-{name}")
        self._state = self.folder / "box.json"

    @property
    def pid(self) -> int | None:
        """The box's first process as seen from here, None when it does not run."""
        folder = str(self.folder)
        # unshare, its parent, has the same words behind its own name.
        found = find(lambda words: _INSIDE in words and folder in words and words[0] != "unshare")
        return found[0] if found else None

    @property
    def ports(self) -> dict[str, int]:
        """Ports on 127.0.0.1 by name: `api` and `gateway`; empty before the first start."""
        if not self._state.exists():
            return {}
        ports: dict[str, int] = json.loads(self._state.read_text())["ports"]
        return ports

    def start(self, gateway_port: int) -> None:
        """Start the box unless it runs, and what forwards ports to it.

        Raises:
            StartError: its first process ended at once, or a port is taken.
        """
        if self.pid is None:
            self.group.create()
            (self.folder / "logs").mkdir(parents=True, exist_ok=True)
            self._launch()
        self._forward("api", self.ports.get("api") or free_port(), "apiserver.sock")
        self._forward("gateway", gateway_port, "gateway.sock")

    def _launch(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        command = [
            "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
            sys.executable, "-m", _INSIDE, str(self.folder), self.group.path,
        ]  # fmt: skip
        with (self.folder / "logs/box.log").open("ab") as log:
            outer = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        logs = self.folder / "logs"
        wait_until("box", lambda: self.pid is not None, seconds=10, process=outer, log_folder=logs)

    def _forward(self, name: str, port: int, socket: str) -> None:
        """Keep a process that passes connections on a port of 127.0.0.1 into the box."""
        target = self._target(socket)
        listen = f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,nodelay"
        if not find(lambda words: words == ["socat", listen, target]):
            self._end_forwarders(target)
            with (self.folder / "logs/forward.log").open("ab") as log:
                process = subprocess.Popen(
                    ["socat", listen, target],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            if _ended_soon(process):
                raise StartError(f"port {port} of 127.0.0.1 can't be listened on: choose another port")
        unfinished = self._state.with_suffix(".unfinished")
        unfinished.write_text(json.dumps({"ports": {**self.ports, name: port}}))
        unfinished.rename(self._state)

    def _target(self, socket: str) -> str:
        return f"UNIX-CONNECT:{self.folder / 'run' / socket}"

    def stop(self) -> None:
        """End the box with everything in it, and remove what the kernel keeps beside it."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            wait_until("box to end", lambda: self.pid is None, seconds=30)
        for socket in ("apiserver.sock", "gateway.sock"):
            self._end_forwarders(self._target(socket))
        wait_until("control groups to empty", self._group_removed, seconds=30)

    def _group_removed(self) -> bool:
        try:
            self.group.remove()
        except OSError:
            return False
        return not self.group.exists()

    @staticmethod
    def _end_forwarders(target: str) -> None:
        """End the listener for a socket and the processes that it made, one for each connection."""

        def ours(words: list[str]) -> bool:
            return words[0] == "socat" and words[-1] == target

        def ended() -> bool:
            for pid in find(ours):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            return not find(ours)

        wait_until("forwarders to end", ended, seconds=10)


def _ended_soon(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(0.3)
    except subprocess.TimeoutExpired:
        return False
    return True
