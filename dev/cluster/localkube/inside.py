"""The first process of a cluster's box: prepares the network and keeps the programs running.

Runs in network, mount and process namespaces of its own; when it is killed the kernel ends every
process, mount, interface and firewall rule of the cluster at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from localkube import binaries, pki
from localkube.controlplane import (
    SERVICE_RANGE,
    apiserver_arguments,
    controller_manager_arguments,
    etcd_arguments,
)
from localkube.node import ADDRESS, API_PORT, BRIDGE, NODE_NAME, POD_RANGE, Node
from localkube.paths import OF_THE_BOX
from localkube.process import wait_until

GATEWAY_ADDRESS = "10.96.0.80"
# Settings of the whole machine that the kubelet would write: it sees them as it wants them.
# https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/util/sysctl/sysctl.go
_KERNEL = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


def main(folder: Path, cgroup: str) -> None:
    """Start everything and never return."""
    _isolate()
    _network()
    authority = pki.Authority(folder / "pki")
    node = Node(folder, cgroup)
    node.write(authority)
    programs = Programs(folder / "logs")
    paths = binaries.ensure(*binaries.CONTROL_PLANE, *binaries.NODE)
    programs.start("etcd", [paths["etcd"], *etcd_arguments(folder / "etcd", 2379, 2380)])
    # An earlier one's would look like an answer.
    node.containerd_socket.unlink(missing_ok=True)
    programs.start("containerd", ["containerd", "--config", node.config / "containerd.toml"])
    api = apiserver_arguments(authority, etcd_port=2379, address=ADDRESS, port=API_PORT)
    programs.start("kube-apiserver", [paths["kube-apiserver"], *api])
    programs.start("apiserver-socket", _socket(folder / "run/apiserver.sock", ADDRESS, API_PORT))
    programs.start("gateway-socket", _socket(folder / "run/gateway.sock", GATEWAY_ADDRESS, 80))
    programs.start("coredns", [paths["coredns"], "-conf", node.config / "Corefile"])
    programs.start(
        "kube-controller-manager",
        [
            paths["kube-controller-manager"],
            *controller_manager_arguments(authority, node.config / "kube-controller-manager.kubeconfig"),
        ],
    )
    scheduler = node.config / "kube-scheduler.kubeconfig"
    programs.start(
        "kube-scheduler",
        [
            paths["kube-scheduler"],
            f"--kubeconfig={scheduler}",
            f"--authentication-kubeconfig={scheduler}",
            f"--authorization-kubeconfig={scheduler}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
        ],
    )
    wait_until("containerd", node.containerd_socket.exists, seconds=30, log_folder=folder / "logs")
    programs.start(
        "kubelet",
        [
            paths["kubelet"],
            f"--config={node.config / 'kubelet.yaml'}",
            f"--kubeconfig={node.config / 'kubelet.kubeconfig'}",
            f"--root-dir={folder / 'kubelet'}",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={ADDRESS}",
        ],
    )
    programs.start("kube-proxy", [paths["kube-proxy"], f"--config={node.config / 'kube-proxy.yaml'}"])
    programs.tend()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def _isolate() -> None:
    _run("mount", "--make-rprivate", "/")
    _run("mount", "-t", "tmpfs", "tmpfs", "/run")
    for path in OF_THE_BOX[1:]:
        _cover(path)
    settings = Path("/run/kernel")
    for name, value in _KERNEL.items():
        seen = settings / name
        seen.parent.mkdir(parents=True, exist_ok=True)
        seen.write_text(f"{value}\n")
        _run("mount", "--bind", str(seen), f"/proc/sys/{name}")


def _cover(path: Path) -> None:
    """Keep what is written below a path in memory: some programs can't be told to write elsewhere."""
    upper, work = (Path("/run/covers") / path.name / part for part in ("upper", "work"))
    upper.mkdir(parents=True)
    work.mkdir()
    _run(
        "mount",
        "-t",
        "overlay",
        "overlay",
        "-o",
        f"lowerdir={path},upperdir={upper},workdir={work}",
        str(path),
    )


def _network() -> None:
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", BRIDGE, "type", "bridge")
    _run("ip", "address", "add", f"{ADDRESS}/{POD_RANGE.split('/')[1]}", "dev", BRIDGE)
    _run("ip", "link", "set", BRIDGE, "up")
    # Services need a route to be sent anywhere at all; kube-proxy rewrites their addresses.
    _run("ip", "route", "add", SERVICE_RANGE, "dev", BRIDGE)
    _run("ip", "route", "add", "default", "dev", BRIDGE)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _socket(path: Path, address: str, port: int) -> list[str | Path]:
    path.unlink(missing_ok=True)
    return ["socat", f"UNIX-LISTEN:{path},fork,mode=600", f"TCP:{address}:{port}"]


class Programs:
    """Child processes that are started again when they end."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._commands: dict[str, list[str]] = {}
        self._pids: dict[int, str] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, command: list[str | Path]) -> None:
        """Start a program; its output goes to `<name>.log`."""
        self._commands[name] = [str(word) for word in command]
        self._spawn(name)

    def _spawn(self, name: str) -> None:
        with (self._logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                self._commands[name], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        self._pids[process.pid] = name

    def tend(self) -> None:
        """Collect ended processes (as the first process must) and start ours again."""
        while True:
            pid, status = os.waitpid(-1, 0)
            name = self._pids.pop(pid, None)
            if name:
                with (self._logs / "box.log").open("a") as log:
                    log.write(f"{time.strftime('%H:%M:%S')} {name} ended with {status}; starting it again\n")
                time.sleep(0.5)
                self._spawn(name)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    main(Path(sys.argv[1]), sys.argv[2])
