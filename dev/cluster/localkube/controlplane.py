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
from localkube.process import StartError, free_ports, log_tail, spawn, stop, wait_until

SERVICE_RANGE = "10.96.0.0/16"
_ATTEMPTS = 3
ALTERNATIVES = (
    "IP:127.0.0.1",
    "IP:10.96.0.1",
    "DNS:localhost",
    "DNS:kubernetes",
    "DNS:kubernetes.default",
    "DNS:kubernetes.default.svc",
    "DNS:kubernetes.default.svc.cluster.local",
)


# Priority and fairness takes a quarter of what an API server at rest needs, and its admin is exempt from it.
_ALONE = ("--enable-priority-and-fairness=false",)


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
        # Else it makes this folder below /usr.
        f"--flex-volume-plugin-dir={config.parent / 'volume-plugins'}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--concurrent-namespace-syncs=20",
        # By its defaults, 20 and 30, it waits for itself for 5 s at each start.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
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
        admin = authority.issue("admin", "admin", groups=["system:masters"])
        trust = ssl.create_default_context(cafile=str(authority.certificate))
        trust.load_cert_chain(*admin)
        for attempt in range(1, _ATTEMPTS + 1):
            self._launch(authority, admin)
            try:
                self._wait("kube-apiserver", f"{self.server}/readyz", trust)
                # Until its roles are there the API server refuses the controllers, and they give up.
                if self._controllers:
                    self._manage(authority)
                    account = f"{self.server}/api/v1/namespaces/default/serviceaccounts/default"
                    self._wait("kube-controller-manager", account, trust)
            except StartError as error:
                # Nothing reserves a free port: another process may have taken one meanwhile.
                if "address already in use" not in str(error) or attempt == _ATTEMPTS:
                    raise
                self.stop()
            else:
                return

    def _launch(self, authority: pki.Authority, admin: tuple[Path, Path]) -> None:
        etcd_port, peer_port, port = free_ports(3)
        self._spawn("etcd", etcd_arguments(self.workdir / "etcd", etcd_port, peer_port))
        self.server = f"https://127.0.0.1:{port}"
        arguments = apiserver_arguments(authority, etcd_port=etcd_port, address="127.0.0.1", port=port)
        self._spawn("kube-apiserver", [*arguments, *_ALONE, *self._extra])
        kubeconfig.write(
            self.kubeconfig,
            server=self.server,
            authority=authority.certificate,
            certificate=admin[0],
            key=admin[1],
        )

    def _manage(self, authority: pki.Authority) -> None:
        # By a name of its own, as in any cluster: admission policies go by who asks.
        own = self.workdir / "kube-controller-manager.kubeconfig"
        name = "kube-controller-manager"
        certificate, key = authority.issue(name, f"system:{name}")
        kubeconfig.write(
            own,
            server=self.server,
            authority=authority.certificate,
            certificate=certificate,
            key=key,
        )
        managed = controller_manager_arguments(authority, own, self._without)
        (port,) = free_ports(1)
        self._spawn(name, [*managed, f"--secure-port={port}"])

    def _wait(self, what: str, address: str, trust: ssl.SSLContext) -> None:
        logs = self.workdir / "logs"

        def ready() -> bool:
            for name, process in self._processes.items():
                code = process.poll()
                if code is not None:
                    raise StartError(f"{name} ended with {code}\n{log_tail(name, logs)}")
            return answers(address, trust)

        wait_until(what, ready, seconds=60, log_folder=logs)

    def _spawn(self, name: str, arguments: Sequence[str]) -> None:
        self._processes[name] = spawn(name, [self.binaries[name], *arguments], self.workdir / "logs")


def answers(address: str, trust: ssl.SSLContext | None = None) -> bool:
    """Whether a GET on this machine is answered with a success.

    Args:
        address: of 127.0.0.1; no proxy is asked for it.
        trust: for https.
    """
    straight = urllib.request.ProxyHandler({})
    opener = urllib.request.build_opener(straight, urllib.request.HTTPSHandler(context=trust))
    try:
        with opener.open(address, timeout=2) as answer:
            return 200 <= int(answer.status) < 300
    except (OSError, urllib.error.URLError):
        return False
