"""A whole cluster: its box, its API from outside, its add-ons."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

from localkube import addons, binaries, kubeconfig, paths, pki
from localkube.box import Box, require_machine
from localkube.controlplane import answers
from localkube.images import import_images, tasks
from localkube.node import NODE_NAME
from localkube.process import locked, wait_until
from localkube.progress import say, step


class Cluster:
    """One named local cluster.

    Args:
        name: 1 to 20 of a-z, 0-9 and '-'.

    Attributes:
        box: where it runs.
        kubeconfig: file of a cluster admin, usable from this machine.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.box = Box(name)
        self.kubeconfig = self.box.folder / "kubeconfig"
        self._removed = self.box.folder.with_name(f".{name}")

    def up(self, port: int) -> None:
        """Bring the cluster up, or make sure that it is; may be repeated after an interruption.

        Args:
            port: of 127.0.0.1, where its pages are reached.

        Raises:
            UnsupportedMachineError, BuildError, StartError: with what to do.
        """
        require_machine()
        with locked(f"cluster-{self.name}"):
            self._up(port)

    def _up(self, port: int) -> None:
        binaries.ensure(*binaries.CONTROL_PLANE, *binaries.NODE)
        with step(f"cluster {self.name}: control plane and node"):
            self._remove(self._removed)
            self.box.start(port)
            self._write_kubeconfig()
            self._wait_for_node()
        with step(f"cluster {self.name}: add-ons"):
            import_images(self.box, addons.IMAGES)
            addons.install(self)
            # Available pods are one thing, the way to them another.
            pages = f"http://127.0.0.1:{port}/healthz"
            wait_until("gateway", lambda: answers(pages), seconds=30, log_folder=self.box.folder / "logs")
        say(f'cluster {self.name} is up: eval "$(make -s cluster-env CLUSTER={self.name})" for kubectl')

    def down(self) -> None:
        """Stop the cluster and remove everything it made on this machine."""
        if not (self.box.folder.exists() or self._removed.exists()):
            say(f"cluster {self.name} is not there")
            return
        require_machine()
        with locked(f"cluster-{self.name}"), step(f"cluster {self.name}: stopping"):
            self.box.stop()
            self._remove(self._removed)
            # At once: half of a folder would look like a cluster that can be started.
            if self.box.folder.exists():
                self.box.folder.rename(self._removed)
                self._remove(self._removed)

    @staticmethod
    def _remove(folder: Path) -> None:
        if folder.exists():
            shutil.rmtree(folder)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl as cluster admin and return what it printed (CalledProcessError if it failed)."""
        kubectl = binaries.ensure("kubectl")["kubectl"]
        return subprocess.run(
            [str(kubectl), *arguments],
            check=True,
            capture_output=True,
            text=True,
            input=stdin,
            env={**os.environ, **kubeconfig.environment(self.kubeconfig)},
        ).stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get … -o json`, parsed."""
        answer: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return answer

    def status(self) -> dict[str, Any]:
        """What runs and where: for people and scripts."""
        running = self.box.pid is not None
        return {
            "name": self.name,
            "running": running,
            "api": f"https://127.0.0.1:{self.box.ports.get('api')}" if running else None,
            "pages": f"http://<tenant>.localhost:{self.box.ports.get('gateway')}" if running else None,
            "kubeconfig": str(self.kubeconfig) if running else None,
        }

    def _authority(self) -> pki.Authority:
        return pki.Authority(self.box.folder / "pki")

    def _write_kubeconfig(self) -> None:
        folder = self.box.folder
        wait_until("certificates", (folder / "pki/apiserver.crt").exists, seconds=30)
        authority = self._authority()
        certificate, key = authority.issue("admin", "admin", groups=["system:masters"])
        kubeconfig.write(
            self.kubeconfig,
            server=f"https://127.0.0.1:{self.box.ports['api']}",
            authority=authority.certificate,
            certificate=certificate,
            key=key,
            name=f"localkube-{self.name}",
        )

    def _wait_for_node(self) -> None:
        authority = self._authority()
        trust = ssl.create_default_context(cafile=str(authority.certificate))
        trust.load_cert_chain(*authority.issue("admin", "admin", groups=["system:masters"]))
        server = f"https://127.0.0.1:{self.box.ports['api']}"
        logs = self.box.folder / "logs"
        wait_until("kube-apiserver", lambda: answers(f"{server}/readyz", trust), seconds=90, log_folder=logs)
        wait_until("kubelet", self._node_ready, seconds=90, log_folder=logs, interval=0.5)
        wait_until("kubelet", self._pods_seen, seconds=90, log_folder=logs, interval=0.5)

    def _node_ready(self) -> bool:
        try:
            node = self.get("node", NODE_NAME)
        except subprocess.CalledProcessError:
            return False
        conditions = {item["type"]: item["status"] for item in node["status"]["conditions"]}
        return conditions.get("Ready") == "True"

    def _pods_seen(self) -> bool:
        """Whether no pod is told to run that ended with an earlier box."""
        running = tasks(self.box)
        pods = self.get("pods", "--all-namespaces", "--field-selector", f"spec.nodeName={NODE_NAME}")["items"]
        told = [
            status["containerID"].removeprefix("containerd://")
            for pod in pods
            for status in pod["status"].get("containerStatuses", [])
            if "running" in status["state"]
        ]
        return running.issuperset(told)


def known() -> list[str]:
    """Names of the clusters that have a folder."""
    folder = paths.clusters()
    return sorted(path.name for path in folder.glob("*") if paths.NAME.fullmatch(path.name))
