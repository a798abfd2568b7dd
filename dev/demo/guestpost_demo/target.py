"""A local cluster with everything of this project built and imported."""

from __future__ import annotations

from localkube import binaries, images
from localkube.cluster import Cluster

from guestpost_demo.platform import Platform


def local(name: str, port: int) -> Platform:
    """The named local cluster, started when it does not run, with the images of this checkout.

    Args:
        name: the cluster's.
        port: of 127.0.0.1, where its pages are reached.
    """
    cluster = Cluster(name)
    cluster.up(port)
    references = images.import_images(cluster.box, images.APPLICATIONS)
    programs = binaries.ensure("kubectl", "helm")
    return Platform(cluster.kubeconfig, port, references, programs["kubectl"], programs["helm"])
