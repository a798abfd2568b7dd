"""etcd, kube-apiserver and kube-controller-manager on loopback: no root, no nodes, no pods.

Enough for most tests: a real API server with admission, RBAC, server-side apply, CEL, token
requests and garbage collection, ready in a few seconds.
"""

from __future__ import annotations

import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from localkube import binaries, kubeconfig, pki
from localkube.process import free_port, spawn, stop, wait_until

SERVICE_RANGE = "10.96.0.0/16"
ALTERNATIVES = (
    "IP:127.0.0.1",
    "IP:10.96.0.1",
    "DNS:localhost",
    "DNS:kubernetes",
    "DNS:kubernetes.default",
    "DNS:kubernetes.default.svc",
    "DNS:kubernetes.default.svc.cluster.local",
)


def etcd_arguments(data: Path, client_port: int, peer_port: int) -> list[str]:
    """Arguments of etcd for a throw-away cluster: nothing is forced to disk."""
    client, peer = f"http://127.0.0.1:{client_port}", f"http://127.0.0.1:{peer_port}"
    return [
        f"--data-dir={data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
        "--quota-backend-bytes=4294967296",
    ]


def apiserver_arguments(authority: pki.Authority, *, etcd_port: int, address: str, port: int) -> list[str]:
    """kube-apiserver with RBAC, certificates and service account tokens.

    Args:
        authority: signs clients and this server.
        etcd_port: etcd's on 127.0.0.1.
        address: where it listens and what it tells others.
        port: where it listens.
    """
    alternatives = [*ALTERNATIVES, f"IP:{address}"]
    certificate, key = authority.issue("apiserver", "kube-apiserver", alternatives=alternatives)
    proxy_certificate, proxy_key = authority.issue("front-proxy", "front-proxy")
    kubelet_certificate, kubelet_key = authority.issue(
        "apiserver-kubelet", "kube-apiserver-kubelet-client", groups=["system:masters"]
    )
    private, public = authority.service_account_key()
    return [
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        f"--bind-address={address}",
        f"--advertise-address={address}",
        f"--secure-port={port}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--client-ca-file={authority.certificate}",
        f"--requestheader-client-ca-file={authority.certificate}",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={proxy_certificate}",
        f"--proxy-client-key-file={proxy_key}",
        f"--kubelet-client-certificate={kubelet_certificate}",
        f"--kubelet-client-key={kubelet_key}",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={private}",
        f"--service-account-key-file={public}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--endpoint-reconciler-type=" + ("none" if address.startswith("127.") else "lease"),
    ]


def controller_manager_arguments(
    authority: pki.Authority, config: Path, without: Sequence[str] = ()
) -> list[str]:
    """kube-controller-manager, which alone makes namespaces and owned objects go away."""
    private, _ = authority.service_account_key()
    return [
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--root-ca-file={authority.certificate}",
        f"--service-account-private-key-file={private}",
        f"--cluster-signing-cert-file={authority.certificate}",
        f"--cluster-signing-key-file={authority.key}",
        "--use-service-account-credentials=true",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--concurrent-namespace-syncs=20",
        f"--controllers={','.join(('*', *(f'-{name}' for name in without)))}",
    ]


class ControlPlane:
    """A control plane on free ports of 127.0.0.1, as a context manager.

    Args:
        workdir: folder for its data, keys and logs; kept when it stops.
        apiserver: further arguments of kube-apiserver, such as `--audit-policy-file=…`.
        controllers: whether kube-controller-manager runs too.
        without: controllers that do not run in it, such as `deployment-controller` where a test
            says itself how far a Deployment is.

    Attributes:
        kubeconfig: file of a cluster admin.
        server: address of the API server.
        binaries: path of each program by name.
    """

    def __init__(
        self,
        workdir: Path,
        *,
        apiserver: Sequence[str] = (),
        controllers: bool = True,
        without: Sequence[str] = (),
    ) -> None:
        self.workdir = workdir
        self.kubeconfig = workdir / "kubeconfig"
        self.server = ""
        self.binaries: dict[str, Path] = {}
        self._extra = tuple(apiserver)
        self._controllers = controllers
        self._without = tuple(without)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End every process, the newest first."""
        for process in reversed(self._processes.values()):
            stop(process, grace=10)
        self._processes.clear()

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by program, to watch their memory or to kill them."""
        return {name: process.pid for name, process in self._processes.items()}

    def _start(self) -> None:
        self.binaries = binaries.ensure(*binaries.CONTROL_PLANE)
        authority = pki.Authority(self.workdir / "pki")
        etcd_port, peer_port, port = free_port(), free_port(), free_port()
        self._spawn("etcd", etcd_arguments(self.workdir / "etcd", etcd_port, peer_port))
        self.server = f"https://127.0.0.1:{port}"
        arguments = apiserver_arguments(authority, etcd_port=etcd_port, address="127.0.0.1", port=port)
        apiserver = self._spawn("kube-apiserver", [*arguments, *self._extra])
        certificate, key = authority.issue("admin", "admin", groups=["system:masters"])
        kubeconfig.write(
            self.kubeconfig,
            server=self.server,
            authority=authority.certificate,
            certificate=certificate,
            key=key,
        )
        if self._controllers:
            self._spawn(
                "kube-controller-manager",
                [
                    *controller_manager_arguments(authority, self.kubeconfig, self._without),
                    f"--secure-port={free_port()}",
                ],
            )
        trust = ssl.create_default_context(cafile=str(authority.certificate))
        trust.load_cert_chain(certificate, key)
        wait_until(
            "kube-apiserver",
            lambda: (
                answers(f"{self.server}/readyz", trust)
                and answers(
                    f"{self.server}/api/v1/namespaces/default/serviceaccounts/default",
                    trust,
                    needed=self._controllers,
                )
            ),
            seconds=60,
            process=apiserver,
            log_folder=self.workdir / "logs",
        )

    def _spawn(self, name: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        process = spawn(name, [self.binaries[name], *arguments], self.workdir / "logs")
        self._processes[name] = process
        return process


def answers(address: str, trust: ssl.SSLContext | None = None, *, needed: bool = True) -> bool:
    """Whether a GET is answered with a success (always true when not `needed`)."""
    if not needed:
        return True
    try:
        with urllib.request.urlopen(address, timeout=2, context=trust) as answer:
            return 200 <= int(answer.status) < 300
    except (OSError, urllib.error.URLError):
        return False
