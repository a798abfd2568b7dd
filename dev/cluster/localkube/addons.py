"""What every local cluster has from the start: volumes, CloudNativePG, a gateway."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from localkube import binaries, paths
from localkube.images import IMAGES as ALL_IMAGES
from localkube.process import StartError

if TYPE_CHECKING:
    from localkube.cluster import Cluster

IMAGES = ("pause", "python", "local-path-provisioner", "cloudnative-pg", "gateway")
CNPG = "1.30.0"
_FOLDER = paths.ROOT / "dev/cluster/addons"
_OURS = re.compile(r"guestpost\.local/([a-z-]+)(?=[\s,}\"])")
_DEPLOYMENTS = (
    ("local-path-storage", "local-path-provisioner"),
    ("cnpg-system", "cnpg-controller-manager"),
    ("gateway", "gateway"),
)


def install(cluster: Cluster) -> None:
    """Apply the add-ons and wait until they are available; changes nothing that is already so."""
    cluster.kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=_manifests(cluster.box.folder)
    )
    for namespace, name in _DEPLOYMENTS:
        try:
            cluster.kubectl("-n", namespace, "rollout", "status", f"deployment/{name}", "--timeout=120s")
        except subprocess.CalledProcessError as error:
            raise StartError(f"{name} did not become available: {_words(cluster, namespace)}") from error


def _words(cluster: Cluster, namespace: str) -> str:
    """What the pods of a namespace wait for, and the last lines of those that fail."""
    words = []
    for pod in cluster.get("pods", "-n", namespace)["items"]:
        name = pod["metadata"]["name"]
        for container in pod["status"].get("containerStatuses", []):
            waiting = container.get("state", {}).get("waiting")
            if waiting:
                last = cluster.kubectl("logs", "-n", namespace, name, "--tail=5", "--ignore-errors")
                words.append(f"pod {name}: {waiting.get('reason')}\n{last}")
    return "\n".join(words) or "no pod says why; see kubectl get events"


# On a cluster that is not ours, what was placed there by us and nobody else.
OURS = "guestpostcrm.com/placed-by=localkube"


def gateway(image: str) -> str:
    """The gateway for a cluster that is not ours: any service address, the image from a registry.

    Args:
        image: its reference.
    """
    text = (_FOLDER / "gateway.yaml").read_text()
    text = re.sub(r"\n +# The box forwards.*\n +clusterIP: .*", "", text)
    text = text.replace("imagePullPolicy: Never", "imagePullPolicy: IfNotPresent")
    text = text.replace("  labels:\n    pod-", f"  labels:\n    {OURS.replace('=', ': ')}\n    pod-", 1)
    return text.replace("guestpost.local/gateway", image)


def _manifests(folder: Path) -> str:
    own = "\n---\n".join((_FOLDER / name).read_text() for name in ("local-path.yaml", "gateway.yaml"))
    own = own.replace("VOLUMES_FOLDER", str(folder / "volumes"))
    own = _OURS.sub(lambda found: ALL_IMAGES[found[1]].reference, own)
    return f"{own}\n---\n{_cloudnative_pg()}"


def _cloudnative_pg() -> str:
    """CloudNativePG's own release manifest, with the image built here."""
    source = binaries.module_folder("cloudnative-pg") / "releases" / f"cnpg-{CNPG}.yaml"
    manifest = source.read_text()
    manifest = manifest.replace("imagePullPolicy: Always", "imagePullPolicy: Never")
    return re.sub(
        rf"ghcr\.io/cloudnative-pg/cloudnative-pg:{re.escape(CNPG)}",
        ALL_IMAGES["cloudnative-pg"].reference,
        manifest,
    )
