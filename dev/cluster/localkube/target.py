"""Which cluster a demo or a test works on: a local one by name, or the kubeconfig's current one.

`CLUSTER=current` takes the cluster that kubectl would talk to. Nothing is installed on it but a
gateway in a namespace of its own; it has to have CloudNativePG and a default StorageClass, and to
reach a registry that this machine can push to.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localkube import addons, binaries, forward, images, kubeconfig, paths
from localkube.cluster import Cluster
from localkube.progress import say, step

CURRENT = "current"
REGISTRY_VARIABLE = "IMAGE_REGISTRY"


class TargetError(Exception):
    """The current cluster can't be used; the message says what it lacks."""


@dataclass(frozen=True)
class Target:
    """A cluster with the images of this checkout.

    Attributes:
        name: of the local cluster, or `current`.
        kubeconfig: file whose only context is this cluster's.
        port: of 127.0.0.1, where pages are reached as `http://<tenant>.localhost:<port>`.
        images: image reference by name.
    """

    name: str
    kubeconfig: Path
    port: int
    images: Mapping[str, str]

    def page(self, host: str) -> str:
        """Address of a tenant's pages, or of `google` and `broker`."""
        return f"http://{host}.localhost:{self.port}"


def resolve(name: str, port: int) -> Target:
    """Make a cluster ready to be used.

    Args:
        name: of a local cluster, which is started when it does not run, or `current`.
        port: of 127.0.0.1, for its pages.

    Raises:
        TargetError: the current cluster lacks something.
        UnsupportedMachineError, BuildError, StartError, ImageError: as `Cluster.up` and `images.push`.
    """
    if name == CURRENT:
        return _current(port)
    cluster = Cluster(name)
    cluster.up(port)
    references = images.import_images(cluster.box, images.APPLICATIONS)
    return Target(name, cluster.kubeconfig, port, references)


def release(name: str) -> None:
    """Take back what `resolve` did: a local cluster goes, of the current one the gateway."""
    if name != CURRENT:
        Cluster(name).down()
        return
    folder = _folder()
    forward.stop(folder)
    config = kubeconfig_of_current()
    if config.exists():
        with step("current cluster: removing the gateway"):
            _kubectl(config, "delete", "namespace", "--selector", addons.OURS)
    shutil.rmtree(folder, ignore_errors=True)


def kubeconfig_of_current() -> Path:
    """Where the copy of the current context lies while it is used."""
    return _folder() / "kubeconfig"


def _folder() -> Path:
    return paths.state() / CURRENT


def _current(port: int) -> Target:
    registry = os.environ.get(REGISTRY_VARIABLE, "")
    if not registry:
        raise TargetError(
            f"set {REGISTRY_VARIABLE} to a registry that the current cluster pulls from and this machine may"
            f" push to, such as registry.example.com/guestpost; {images.REGISTRY} where its nodes have the"
            " images already"
        )
    config = _only_this_cluster()
    _require(config)
    names = (*images.APPLICATIONS, "gateway")
    references = images.build_all(names) if registry == images.REGISTRY else images.push(names, registry)
    with step("current cluster: gateway"):
        _kubectl(config, "apply", "--server-side", "-f", "-", stdin=addons.gateway(references["gateway"]))
        _kubectl(config, "-n", "gateway", "rollout", "status", "deployment/gateway", "--timeout=180s")
        forward.start(_folder(), config, port)
    say(f"pages: http://<tenant>.localhost:{port}; `make demo-down CLUSTER=current` ends that")
    return Target(CURRENT, config, port, references)


def _only_this_cluster() -> Path:
    """A copy of the current context, so that switching contexts later moves nothing."""
    try:
        text = _kubectl(None, "config", "view", "--minify", "--flatten", "--raw", "-o", "json")
    except TargetError as error:
        raise TargetError(f"no current cluster: set KUBECONFIG, or kubectl's context ({error})") from error
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    return kubeconfig.save(kubeconfig_of_current(), json.loads(text))


def _require(config: Path) -> None:
    _kubectl(config, "get", "--raw", "/readyz")
    lacks = []
    try:
        _kubectl(config, "get", "crd", "clusters.postgresql.cnpg.io")
    except TargetError:
        lacks.append("CloudNativePG (https://cloudnative-pg.io/docs/)")
    classes = json.loads(_kubectl(config, "get", "storageclass", "-o", "json"))["items"]
    if not any(_is_default(item["metadata"].get("annotations", {})) for item in classes):
        lacks.append("a default StorageClass")
    if lacks:
        raise TargetError(f"the current cluster lacks {' and '.join(lacks)}: install it, then try again")
    _refuse_to_overwrite(config)


def _refuse_to_overwrite(config: Path) -> None:
    """Somebody else's namespace of this name would be changed, and deleted in the end."""
    label, value = addons.OURS.split("=")
    found = _kubectl(config, "get", "namespace", "gateway", "--ignore-not-found", "-o", "json")
    if found and json.loads(found)["metadata"].get("labels", {}).get(label) != value:
        raise TargetError(
            "the current cluster has a namespace `gateway` that was not made by this: use a cluster without"
            " one, or, if this is a local cluster, its name: CLUSTER=<name>"
        )


def _is_default(annotations: Mapping[str, str]) -> bool:
    return annotations.get("storageclass.kubernetes.io/is-default-class") == "true"


def _kubectl(config: Path | None, *arguments: str, stdin: str | None = None) -> str:
    """Run kubectl against the copied configuration, or the user's own where there is none yet."""
    environment = {**os.environ, **(kubeconfig.environment(config) if config else {})}
    kubectl = binaries.ensure("kubectl")["kubectl"]
    done = subprocess.run(
        [str(kubectl), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        raise TargetError(f"kubectl {' '.join(arguments[:3])}: {done.stderr.strip()[-1000:]}")
    return done.stdout
