"""Configuration files of everything that runs in a cluster's box besides the control plane."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localkube import kubeconfig, pki

BRIDGE = "localkube0"
ADDRESS = "10.244.0.1"
POD_RANGE = "10.244.0.0/16"
DOMAIN = "cluster.local"
NODE_NAME = "localkube"
API_PORT = 6443
PAUSE_IMAGE = "guestpost.local/pause:1"
CNI_PLUGINS = Path("/usr/lib/cni")


@dataclass(frozen=True)
class Node:
    """Paths of one cluster's node.

    Args:
        folder: the cluster's folder; sockets lie below it, so keep it short.
        cgroup: control group of the cluster's own, such as `/guestpost-demo`.
    """

    folder: Path
    cgroup: str

    @property
    def config(self) -> Path:
        """Folder of the configuration files."""
        return self.folder / "config"

    @property
    def containerd_socket(self) -> Path:
        """Where containerd listens, inside the box and out."""
        return self.folder / "run/containerd.sock"

    def write(self, authority: pki.Authority) -> None:
        """Write every file that the node's programs read."""
        self.config.mkdir(parents=True, exist_ok=True)
        (self.folder / "run").mkdir(exist_ok=True)
        self._containerd()
        self._network()
        self._kubelet(authority)
        self._kube_proxy(authority)
        self._coredns(authority)
        for user in ("kube-controller-manager", "kube-scheduler"):
            self._client(authority, user, f"system:{user}")

    def _client(self, authority: pki.Authority, name: str, user: str, *groups: str) -> Path:
        certificate, key = authority.issue(name, user, groups=groups)
        return kubeconfig.write(
            self.config / f"{name}.kubeconfig",
            server=f"https://{ADDRESS}:{API_PORT}",
            authority=authority.certificate,
            certificate=certificate,
            key=key,
        )

    def _json(self, name: str, content: dict[str, Any]) -> Path:
        path = self.config / name
        path.write_text(json.dumps(content, indent=1))
        return path

    def _containerd(self) -> None:
        # restrict_oom_score_adj: without CAP_SYS_RESOURCE runc fails otherwise.
        (self.config / "containerd.toml").write_text(f"""\
version = 2
root = "{self.folder}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp"]
[grpc]
address = "{self.containerd_socket}"
[plugins."io.containerd.internal.v1.opt"]
path = "{self.folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI_PLUGINS}"
conf_dir = "{self.config}/cni"
""")

    def _network(self) -> None:
        ipam = {
            "type": "host-local",
            "dataDir": "/run/cni-addresses",
            "ranges": [[{"subnet": POD_RANGE, "gateway": ADDRESS}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "hairpinMode": True, "ipam": ipam}
        portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
        (self.config / "cni").mkdir(exist_ok=True)
        plugins = [bridge, portmap]
        self._json("cni/10-localkube.conflist", {"cniVersion": "0.4.0", "name": "pods", "plugins": plugins})

    def _kubelet(self, authority: pki.Authority) -> None:
        self._client(authority, "kubelet", f"system:node:{NODE_NAME}", "system:nodes")
        eviction = dict.fromkeys(("memory.available", "nodefs.available", "imagefs.available"), "1%")
        self._json(
            "kubelet.yaml",
            {
                "apiVersion": "kubelet.config.k8s.io/v1beta1",
                "kind": "KubeletConfiguration",
                "address": ADDRESS,
                "authentication": {
                    "anonymous": {"enabled": False},
                    "webhook": {"enabled": True},
                    "x509": {"clientCAFile": str(authority.certificate)},
                },
                "authorization": {"mode": "Webhook"},
                "clusterDNS": [ADDRESS],
                "clusterDomain": DOMAIN,
                "containerRuntimeEndpoint": f"unix://{self.containerd_socket}",
                "cgroupDriver": "cgroupfs",
                "cgroupRoot": self.cgroup,
                "failCgroupV1": False,
                "failSwapOn": False,
                "localStorageCapacityIsolation": False,
                "evictionHard": eviction,
                "imageGCHighThresholdPercent": 100,
                "maxPods": 500,
                "podLogsDir": str(self.folder / "pod-logs"),
                "podPidsLimit": 2048,
                "registerWithTaints": [],
                "resolvConf": str(self._write("resolv.conf", f"nameserver {ADDRESS}\n")),
                "serializeImagePulls": False,
                "syncFrequency": "10s",
                "nodeStatusUpdateFrequency": "5s",
                "volumePluginDir": str(self.folder / "volume-plugins"),
            },
        )

    def _write(self, name: str, text: str) -> Path:
        path = self.config / name
        path.write_text(text)
        return path

    def _kube_proxy(self, authority: pki.Authority) -> None:
        client = self._client(authority, "kube-proxy", "system:kube-proxy")
        # Replies between two pods on one bridge bypass the host unless bridge netfilter is there.
        bridge_netfilter = Path("/proc/sys/net/bridge/bridge-nf-call-iptables").exists()
        self._json(
            "kube-proxy.yaml",
            {
                "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
                "kind": "KubeProxyConfiguration",
                "bindAddress": ADDRESS,
                # Its node's name, else it waits 30 s for one named like this machine.
                "hostnameOverride": NODE_NAME,
                "mode": "iptables",
                "clusterCIDR": POD_RANGE,
                "clientConnection": {"kubeconfig": str(client)},
                "conntrack": {"maxPerCore": 0, "min": 0},
                "iptables": {"masqueradeAll": not bridge_netfilter, "minSyncPeriod": "0s"},
            },
        )

    def _coredns(self, authority: pki.Authority) -> None:
        client = self._client(authority, "coredns", "localkube:coredns", "system:masters")
        self._write(
            "Corefile",
            f"""\
.:53 {{
  bind {ADDRESS}
  errors
  kubernetes {DOMAIN} in-addr.arpa {{
    kubeconfig {client}
    ttl 5
  }}
  cache 5
}}
""",
        )
