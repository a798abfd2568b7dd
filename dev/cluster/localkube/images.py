"""Container images, built from this repository and Debian, named by a hash of what they hold.

`guestpost.local/<name>:<hash>`: an image that did not change keeps its name, so nothing restarts.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from localkube import binaries, paths
from localkube.box import Box
from localkube.progress import step
from localkube.rootfs import NGINX, POSTGRESQL, PYTHON, RootFs

REGISTRY = "guestpost.local"
_FILES = paths.ROOT / "dev/cluster/images"
_CA = Path("/etc/ssl/certs/ca-certificates.crt")
_IGNORED = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


class ImageError(Exception):
    """An image could not be built; the message ends with what buildah said."""


@dataclass(frozen=True)
class Image:
    """One image.

    Attributes:
        name: without registry and tag.
        dockerfile: how it is built.
        inputs: files and folders of the repository that it holds; they are the build context.
        rootfs: root file system, for base images.
        program: name of a Go program that it holds, as `program` in the build context.
        base: name of the image that it is built on.
        tag_prefix: stands before the hash.
        fixed_tag: used instead of the hash, where others name the image.
    """

    name: str
    dockerfile: Path
    inputs: tuple[Path, ...] = ()
    rootfs: RootFs | None = None
    program: str = ""
    base: str = ""
    tag_prefix: str = ""
    fixed_tag: str = ""

    @property
    def reference(self) -> str:
        """The full name, which changes with the content."""
        return f"{REGISTRY}/{self.name}:{self.fixed_tag or self.tag_prefix + self.fingerprint}"

    @cached_property
    def fingerprint(self) -> str:
        """A hash of everything that the image is made from, as it was when first asked for."""
        digest = hashlib.sha256(self.dockerfile.read_bytes())
        for path in _files(self.inputs):
            digest.update(str(path.relative_to(paths.ROOT)).encode())
            digest.update(path.read_bytes())
        for part in (
            self.rootfs.fingerprint if self.rootfs else "",
            str(binaries.ensure(self.program)[self.program]) if self.program else "",
            IMAGES[self.base].fingerprint if self.base else "",
        ):
            digest.update(part.encode())
        return digest.hexdigest()[:12]

    @property
    def archive(self) -> Path:
        """Where it lies when it is built."""
        return paths.cache() / "images" / f"{self.name}-{self.fingerprint}.tar"


def _files(inputs: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for entry in inputs:
        if entry.is_dir():
            found += [path for path in entry.rglob("*") if path.is_file() and not _IGNORED & set(path.parts)]
        else:
            found.append(entry)
    return sorted(found)


def _program(name: str, fixed_tag: str = "") -> Image:
    return Image(name, _FILES / "program.Dockerfile", program=name, fixed_tag=fixed_tag)


def _application(name: str, folder: str, package: str) -> Image:
    root = paths.ROOT
    inputs = (root / "pyproject.toml", root / "uv.lock", root / folder / package)
    return Image(name, root / folder / "Dockerfile", inputs=inputs, base="python")


IMAGES: dict[str, Image] = {
    image.name: image
    for image in (
        Image("python", _FILES / "rootfs.Dockerfile", rootfs=PYTHON),
        Image("nginx", _FILES / "rootfs.Dockerfile", rootfs=NGINX),
        Image("debian-postgresql", _FILES / "rootfs.Dockerfile", rootfs=POSTGRESQL),
        Image("postgresql", _FILES / "postgresql.Dockerfile", base="debian-postgresql", tag_prefix="17-"),
        Image(
            "gateway",
            _FILES / "gateway.Dockerfile",
            inputs=(_FILES / "gateway.conf", _FILES / "unavailable.html"),
            base="nginx",
        ),
        Image("cloudnative-pg", _FILES / "cloudnative-pg.Dockerfile", program="cloudnative-pg"),
        _program("pause", fixed_tag="1"),
        _program("local-path-provisioner"),
        _program("pubsub-standin"),
        _application("operator", "operator", "guestpost_operator"),
        _application("crm", "tenant_app", "guestpost_crm"),
        _application("broker", "consent_broker", "guestpost_broker"),
        _application("google-standin", "dev/google", "google_standin"),
    )
}
APPLICATIONS = ("operator", "crm", "broker", "google-standin", "pubsub-standin", "postgresql")


def build(name: str) -> Image:
    """Build an image, and what it is built on, unless the cache has it.

    Raises:
        ImageError: buildah failed.
    """
    image = IMAGES[name]
    if image.archive.exists():
        return image
    if image.base:
        build(image.base)
    image.archive.parent.mkdir(parents=True, exist_ok=True)
    with step(f"image {name}"), tempfile.TemporaryDirectory(dir=image.archive.parent) as scratch:
        context = _context(image, Path(scratch))
        _buildah("bud", *_build_options(image), "-t", image.reference, "-f", str(image.dockerfile), context)
        unfinished = Path(scratch) / "image.tar"
        _buildah("push", image.reference, f"oci-archive:{unfinished}:{image.reference}")
        unfinished.rename(image.archive)
    return image


def _context(image: Image, scratch: Path) -> str:
    """A build context of just what the image holds, laid out as in the repository."""
    folder = scratch / "context"
    folder.mkdir()
    for path in _files(image.inputs):
        flat = path.parent == _FILES
        target = folder / (path.name if flat else path.relative_to(paths.ROOT))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    if image.rootfs:
        os.link(image.rootfs.ensure(), folder / "rootfs.tar")
    if image.program:
        shutil.copy2(binaries.ensure(image.program)[image.program], folder / "program")
    return str(folder)


def _build_options(image: Image) -> list[str]:
    options = ["--isolation", "chroot", "--network", "host", "--layers", "--pull=false", "--format", "oci"]
    if image.base:
        options += ["--build-arg", f"BASE={IMAGES[image.base].reference}"]
    if image.base == "python":
        # This machine's certificates and package index are for the build only: mounted, never copied.
        cache = paths.cache() / "pip"
        cache.mkdir(exist_ok=True)
        options += [
            "--volume",
            f"{_pip_configuration()}:/etc/pip.conf:ro",
            "--volume",
            f"{cache}:/root/.cache/pip",
        ]
        options += ["--volume", f"{_CA}:{_CA}:ro"]
    return options


def _pip_configuration() -> Path:
    lines = ["[global]", f"cert = {_CA}", "disable-pip-version-check = true", "root-user-action = ignore"]
    if index := os.environ.get("PIP_INDEX_URL"):
        lines.append(f"index-url = {index}")
    path = paths.cache() / "pip.conf"
    path.write_text("\n".join(lines) + "\n")
    return path


def _buildah(*arguments: str) -> None:
    storage = paths.cache() / "buildah"
    done = subprocess.run(
        ["buildah", "--root", str(storage), "--runroot", f"/run/guestpost-buildah-{os.getpid()}", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ImageError(f"buildah {arguments[0]}:\n{(done.stdout + done.stderr)[-3000:]}")


def import_images(box: Box, names: Iterable[str]) -> dict[str, str]:
    """Build images and make them known to a cluster's node.

    Returns:
        The reference of each by name.
    """
    ctr = ["ctr", "--address", str(box.folder / "run/containerd.sock"), "--namespace", "k8s.io", "images"]
    listing = subprocess.run([*ctr, "ls", "-q"], check=True, capture_output=True, text=True)
    present = set(listing.stdout.split())
    for image in [build(name) for name in names]:
        if image.reference not in present:
            with step(f"importing {image.reference}"):
                subprocess.run(
                    [*ctr, "import", str(image.archive)], check=True, capture_output=True, text=True
                )
    return {name: IMAGES[name].reference for name in names}
