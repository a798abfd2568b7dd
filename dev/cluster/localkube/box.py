"""A box: network, mount and process namespaces in which a whole cluster runs, seen from outside."""

from __future__ import annotations

import contextlib
import hashlib
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
CNI = Path("/usr/lib/cni/bridge")
# A cluster takes some forty of a user's inotify instances; the kernel's default is 128.
WATCHERS = Path("/proc/sys/fs/inotify/max_user_instances")
FEWEST_WATCHERS = 512


class UnsupportedMachineError(Exception):
    """This machine lacks something; the message says what to install or to be."""


def require_machine() -> None:
    """Check what a box needs of the machine.

    Raises:
        UnsupportedMachineError: names the missing packages, a limit that is too low, or that root is needed.
    """
    if os.geteuid() != 0:
        raise UnsupportedMachineError("a local cluster needs root for its namespaces: run it with sudo")
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    if not CNI.exists():
        missing.append("containernetworking-plugins")
    if missing:
        raise UnsupportedMachineError(
            f"missing programs: run dev/bootstrap, or install {' '.join(sorted(missing))}"
        )
    if int(WATCHERS.read_text()) < FEWEST_WATCHERS:
        raise UnsupportedMachineError(
            f"fs.inotify.max_user_instances is below {FEWEST_WATCHERS}: run dev/bootstrap, or sysctl -w it"
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
        # The folder too: with another XDG_STATE_HOME somebody may have a cluster of this name.
        self.group = Group(f"guestpost-{name}-{hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:6]}")
        self._state = self.folder / "box.json"

    @property
    def pid(self) -> int | None:
        """The box's first process as seen from here, None when it does not run."""
        found = self._first()
        return found[0] if found else None

    def _first(self) -> list[int]:
        # Several for a moment, when it has forked and the new process is not its program yet.
        return find(lambda words: self._starts(words) and words[0] != "unshare")

    def _starts(self, words: list[str]) -> bool:
        """Whether a command line is the first process's, or its parent's: unshare has the same words."""
        return _INSIDE in words and str(self.folder) in words

    def _rest(self) -> list[int]:
        """What is left of the box: the parent, and whatever else runs in process namespaces of its own."""
        below, here = f"{self.folder}/", _process_namespace("self")

        def ours(words: list[str]) -> bool:
            return self._starts(words) or any(below in word for word in words)

        starting = find(self._starts)
        return [
            pid for pid in find(ours) if pid in starting or _process_namespace(str(pid)) not in ("", here)
        ]

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
        # Its parent alone means that it has not begun yet, or has just ended.
        wait_until("box", lambda: self.pid is not None or not self._rest(), seconds=10)
        if self.pid is None:
            # The folder first: what has one can be taken down.
            (self.folder / "logs").mkdir(parents=True, exist_ok=True)
            self.group.create()
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
        # Its parent ends with it; alone, it has not begun yet.
        for pid in self._first() or find(self._starts):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # The first process is the first to go: its programs may still write for a moment.
        wait_until("box to end", lambda: not self._rest(), seconds=90)
        for socket in ("apiserver.sock", "gateway.sock"):
            self._end_forwarders(self._target(socket))
        wait_until("control groups to empty", self._group_removed, seconds=90)

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


def _process_namespace(pid: str) -> str:
    """Which process namespace a process is in; empty when it has ended."""
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return ""


def _ended_soon(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(0.3)
    except subprocess.TimeoutExpired:
        return False
    return True
