"""What every local cluster has from the start: volumes, CloudNativePG, a gateway."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from localkube import binaries, paths
from localkube.images import IMAGES as ALL_IMAGES

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
        cluster.kubectl("-n", namespace, "rollout", "status", f"deployment/{name}", "--timeout=180s")


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
