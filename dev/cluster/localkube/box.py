"""A box: network, mount and process namespaces in which a whole cluster runs, seen from outside."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from localkube import paths
from localkube.cgroups import Group
from localkube.process import StartError, free_port, wait_until

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


@dataclass
class State:
    """What is remembered of a box: its first process, ports by name, forwarders' processes by name."""

    pid: int | None = None
    ports: dict[str, int] = field(default_factory=dict)
    forwarders: dict[str, int] = field(default_factory=dict)


class Box:
    """One cluster's box.

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
        return _alive(self._read().pid)

    @property
    def ports(self) -> dict[str, int]:
        """Ports on 127.0.0.1 by name: `api` and `gateway`."""
        return self._read().ports

    def start(self, gateway_port: int) -> None:
        """Start the box unless it runs, and what forwards ports to it.

        Raises:
            StartError: its first process ended at once.
        """
        if self.pid is None:
            self._end_forwarders()
            self.group.create()
            (self.folder / "logs").mkdir(parents=True, exist_ok=True)
            self._write(State(pid=self._launch(), ports=self.ports))
        self._forward("api", self.ports.get("api") or free_port(), "apiserver.sock")
        self._forward("gateway", gateway_port, "gateway.sock")

    def _launch(self) -> int:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        command = [
            "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
            sys.executable, "-m", "localkube.inside", str(self.folder), self.group.path,
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
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
        wait_until("box", lambda: bool(children.read_text().split()), seconds=10, process=outer)
        return int(children.read_text().split()[0])

    def _forward(self, name: str, port: int, socket: str) -> None:
        """Keep a process that passes connections on a port of 127.0.0.1 into the box."""
        state = self._read()
        if state.ports.get(name) == port and _alive(state.forwarders.get(name)):
            return
        _end(state.forwarders.get(name))
        target = self.folder / "run" / socket
        with (self.folder / "logs/forward.log").open("ab") as log:
            process = subprocess.Popen(
                [
                    "socat",
                    f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,nodelay",
                    f"UNIX-CONNECT:{target}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if _ended_soon(process):
            raise StartError(f"port {port} of 127.0.0.1 can't be listened on: choose another with --port")
        state.ports[name], state.forwarders[name] = port, process.pid
        self._write(state)

    def stop(self) -> None:
        """End the box with everything in it, and remove what the kernel keeps beside it."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            wait_until("box to end", lambda: _alive(pid) is None, seconds=30)
        self._end_forwarders()
        wait_until("control groups to empty", self._group_removed, seconds=30)

    def _group_removed(self) -> bool:
        try:
            self.group.remove()
        except OSError:
            return False
        return not self.group.exists()

    def _end_forwarders(self) -> None:
        for pid in self._read().forwarders.values():
            _end(pid)

    def run(self, command: Sequence[str | Path]) -> str:
        """Run a program inside the box and return its output (CalledProcessError when it fails)."""
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--net", "--pid"]
        words = [str(word) for word in command]
        return subprocess.run([*enter, *words], check=True, capture_output=True, text=True).stdout

    def _read(self) -> State:
        return State(**json.loads(self._state.read_text())) if self._state.exists() else State()

    def _write(self, state: State) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self._state.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(asdict(state)))
        unfinished.rename(self._state)


def _alive(pid: int | None) -> int | None:
    """The pid when such a process runs and is ours to speak of, else None."""
    if not pid:
        return None
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    ours = b"localkube.inside" in command or b"socat" in command
    return pid if ours and state != "Z" else None


def _end(pid: int | None) -> None:
    if pid and _alive(pid):
        os.kill(pid, signal.SIGTERM)
        wait_until("forwarder to end", lambda: _alive(pid) is None, seconds=10)


def _ended_soon(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(0.3)
    except subprocess.TimeoutExpired:
        return False
    return True
