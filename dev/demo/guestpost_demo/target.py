"""A cluster with everything of this project built, where its nodes find it."""

from __future__ import annotations

from localkube import binaries, target
from localkube.box import Box
from localkube.process import free_port

from guestpost_demo.platform import Platform


def ready(name: str, port: int) -> Platform:
    """The named local cluster, started when it does not run; or, as `current`, the one of the kubeconfig.

    Args:
        name: the cluster's.
        port: of 127.0.0.1, where its pages are reached.
    """
    chosen = target.resolve(name, port)
    programs = binaries.ensure("kubectl", "helm")
    return Platform(chosen.kubeconfig, port, chosen.images, programs["kubectl"], programs["helm"])


def port(name: str) -> int:
    """The port of 127.0.0.1 that a cluster's pages have, or a free one where it does not run."""
    return Box(name).ports.get("gateway") or free_port() if name != target.CURRENT else free_port()


def remove(name: str, port: int) -> None:
    """A local cluster goes whole; of the kubeconfig's cluster what was put there, tenants excepted.

    Args:
        name: as for `ready`.
        port: as for `ready`.

    Raises:
        RuntimeError: tenants are still there.
    """
    config = target.kubeconfig_of_current()
    if name == target.CURRENT and config.exists():
        programs = binaries.ensure("kubectl", "helm")
        Platform(config, port, {}, programs["kubectl"], programs["helm"]).uninstall()
    target.release(name)
