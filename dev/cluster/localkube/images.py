"""Container images, built from this repository and Debian, named by a hash of what they hold.

`guestpost.local/<name>:<hash>`: an image that did not change keeps its name, so nothing restarts.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from localkube import binaries, paths, pip
from localkube.box import Box
from localkube.process import locked
from localkube.progress import say, step
from localkube.rootfs import NGINX, POSTGRESQL, PYTHON, RootFs

REGISTRY = "guestpost.local"
_FILES = paths.ROOT / "dev/cluster/images"
_CA = Path("/etc/ssl/certs/ca-certificates.crt")
_ARCHIVE = re.compile(r"-[0-9a-f]{12}\.tar")
# Archives of one image that stay: what other checkouts and clusters use.
_KEPT = 3
_PROJECT = (paths.ROOT / "pyproject.toml", paths.ROOT / "uv.lock")
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
        requirements: what chooses its Python packages from the lock file, as for `uv export`.
        tag_prefix: stands before the hash.
        fixed_tag: used instead of the hash, where others name the image.
    """

    name: str
    dockerfile: Path
    inputs: tuple[Path, ...] = ()
    rootfs: RootFs | None = None
    program: str = ""
    base: str = ""
    requirements: tuple[str, ...] = ()
    tag_prefix: str = ""
    fixed_tag: str = ""

    @property
    def reference(self) -> str:
        """The full name, which changes with the content."""
        return f"{REGISTRY}/{self.name}:{self.fixed_tag or self.tag_prefix + self.fingerprint}"

    @cached_property
    def fingerprint(self) -> str:
        """A hash of everything that the image is made from, as it was when first asked for."""
        digest = hashlib.sha256()
        for part in self._parts():
            # Its length too: what moves from one part to the next is another content.
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()[:12]

    def _parts(self) -> Iterator[bytes]:
        # The archive knows its image by the tag.
        yield self.tag_prefix.encode() + self.dockerfile.read_bytes()
        yield (self.rootfs.fingerprint if self.rootfs else "").encode()
        yield (binaries.fingerprint(self.program) if self.program else "").encode()
        yield (IMAGES[self.base].fingerprint if self.base else "").encode()
        yield _locked(self.requirements).encode()
        # Of the project's files only the image's own packages count.
        counted = (path for path in self.inputs if not (self.requirements and path in _PROJECT))
        for path in _files(counted):
            yield str(path.relative_to(paths.ROOT)).encode()
            yield b"executable" if path.stat().st_mode & 0o111 else b""
            yield path.read_bytes()

    @property
    def archive(self) -> Path:
        """Where it lies when it is built."""
        return paths.cache() / "images" / f"{self.name}-{self.fingerprint}.tar"


def _files(inputs: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for entry in inputs:
        if entry.is_dir():
            found += [
                path
                for path in entry.rglob("*")
                if path.is_file() and not _IGNORED & set(path.relative_to(entry).parts)
            ]
        else:
            found.append(entry)
    return sorted(found)


def _program(name: str, fixed_tag: str = "") -> Image:
    return Image(name, _FILES / "program.Dockerfile", program=name, fixed_tag=fixed_tag)


def _locked(requirements: tuple[str, ...]) -> str:
    """The locked packages that an image installs, as its Dockerfile asks uv for them.

    Raises:
        ImageError: uv is not there, or it can't read the lock file.
    """
    if not requirements:
        return ""
    bootstrap = [str(paths.ROOT / "dev/bootstrap"), "--print-uv"]
    uv = subprocess.run(bootstrap, check=True, capture_output=True, text=True).stdout.strip()
    if not Path(uv).exists():
        raise ImageError(f"{uv} is missing: run dev/bootstrap")
    plain = ("--no-header", "--no-annotate")
    export = [uv, "export", "--frozen", *requirements, "--no-emit-project", *plain]
    done = subprocess.run(export, cwd=paths.ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"uv export:\n{done.stderr[-2000:]}")
    return done.stdout


def _application(name: str, folder: str, package: str, *requirements: str, tag_prefix: str = "") -> Image:
    root = paths.ROOT
    inputs, dockerfile = (*_PROJECT, root / folder / package), root / folder / "Dockerfile"
    return Image(name, dockerfile, inputs, base="python", requirements=requirements, tag_prefix=tag_prefix)


def _version() -> str:
    """The project's version."""
    project = tomllib.loads((paths.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


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
        _application("operator", "operator", "guestpost_operator", "--no-dev", "--extra", "operator"),
        # Its tag is the version that tenants run, which only a semantic one can be held at.
        _application(
            "crm", "tenant_app", "guestpost_crm", "--no-dev", "--extra", "crm", tag_prefix=f"{_version()}-"
        ),
        _application("broker", "consent_broker", "guestpost_broker", "--no-dev", "--extra", "broker"),
        _application("dashboard", "dashboard", "guestpost_dashboard", "--no-dev", "--extra", "dashboard"),
        _application("google-standin", "dev/google", "google_standin", "--only-group", "google"),
    )
}
APPLICATIONS = ("operator", "crm", "broker", "dashboard", "google-standin", "pubsub-standin", "postgresql")


def build(name: str) -> Image:
    """Build an image, and what it is built on, unless the cache has it.

    Raises:
        ImageError: it has no Dockerfile yet, or buildah failed.
    """
    image = IMAGES[name]
    if not image.dockerfile.exists():
        raise ImageError(f"image {name} can't be built: {image.dockerfile} is missing")
    while not _used(image.archive):
        if image.base:
            build(image.base)
        if image.program:
            binaries.ensure(image.program)
        with locked("images"):
            if not image.archive.exists():
                _build(image)
    return image


def _used(archive: Path) -> bool:
    """Keep an archive from being thrown away; whether it is there."""
    try:
        os.utime(archive)
    except FileNotFoundError:
        return False
    return True


def _build(image: Image) -> None:
    folder = paths.cache() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    # What an interrupted build left: its folder, and containers that are still mounted.
    for path in folder.glob("building-*"):
        shutil.rmtree(path)
    _buildah("rm", "--all")
    with (
        step(f"image {image.name}"),
        tempfile.TemporaryDirectory(dir=folder, prefix="building-") as scratch,
    ):
        context = _context(image, Path(scratch))
        _buildah("bud", *_build_options(image), "-t", image.reference, "-f", str(image.dockerfile), context)
        unfinished = Path(scratch) / "image.tar"
        _buildah("push", image.reference, f"oci-archive:{unfinished}:{image.reference}")
        unfinished.rename(image.archive)
    _forget_old(image)


def _forget_old(image: Image) -> None:
    """Remove all but the archives of an image that were used last."""
    archives = [
        path
        for path in image.archive.parent.glob(f"{image.name}-*.tar")
        if _ARCHIVE.fullmatch(path.name.removeprefix(image.name))
    ]
    for path in sorted(archives, key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT:]:
        path.unlink(missing_ok=True)
        if not image.fixed_tag:
            tag = image.tag_prefix + path.stem.removeprefix(f"{image.name}-")
            with contextlib.suppress(ImageError):
                _buildah("rmi", f"{REGISTRY}/{image.name}:{tag}")


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
        # The archive may be there without it, as when buildah's storage was removed.
        base = IMAGES[image.base]
        if not _known_to_buildah(base.reference):
            _buildah("pull", f"oci-archive:{base.archive}")
        options += ["--build-arg", f"BASE={base.reference}"]
    if image.base == "python":
        # This machine's certificates and package index are for the build only: mounted, never copied.
        wheels = paths.cache() / "pip"
        wheels.mkdir(exist_ok=True)
        mounts = [f"{pip.configuration(_CA)}:/etc/pip.conf:ro", f"{wheels}:/root/.cache/pip"]
        mounts += [f"{_CA}:{_CA}:ro"] if _CA.exists() else []
        options += [word for mount in mounts for word in ("--volume", mount)]
    return options


def _known_to_buildah(reference: str) -> bool:
    return bool(_buildah("images", "--quiet", "--filter", f"reference={reference}").strip())


def _buildah(*arguments: str) -> str:
    root = paths.cache() / "buildah"
    # One for each storage: it tells what is mounted there.
    mounted = f"/run/guestpost-buildah-{hashlib.sha256(os.fsencode(root)).hexdigest()[:12]}"
    storage = ["--root", str(root), "--runroot", mounted]
    done = subprocess.run(["buildah", *storage, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"buildah {arguments[0]}:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def build_all(names: Iterable[str]) -> dict[str, str]:
    """Build images; one without a Dockerfile is reported and left out.

    Returns:
        The reference of each by name.
    """
    built = {}
    for name in names:
        if IMAGES[name].dockerfile.exists():
            built[name] = build(name).reference
        else:
            say(f"  no {IMAGES[name].dockerfile.relative_to(paths.ROOT)} yet: image {name} is left out")
    return built


def push(names: Iterable[str], registry: str) -> dict[str, str]:
    """Build images and push them to a registry, for a cluster that is not ours.

    Args:
        names: images.
        registry: such as `registry.example.com/guestpost`; `buildah login` has to be done.

    Returns:
        The reference of each by name, in that registry.
    """
    pushed = {}
    for name, reference in build_all(names).items():
        target = reference.replace(REGISTRY, registry, 1)
        with step(f"pushing {target}"), locked("images"):
            _buildah("push", f"oci-archive:{IMAGES[name].archive}", f"docker://{target}")
        pushed[name] = target
    return pushed


def _ctr(box: Box, *arguments: str) -> str:
    """What containerd's client says; from outside of the box."""
    socket = str(box.folder / "run/containerd.sock")
    command = ["ctr", "--address", socket, "--namespace", "k8s.io", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def tasks(box: Box) -> set[str]:
    """Ids of the containers that run in a cluster, whatever its API tells."""
    lines = (line.split() for line in _ctr(box, "tasks", "ls").splitlines())
    return {words[0] for words in lines if words[-1] == "RUNNING"}


def import_images(box: Box, names: Iterable[str]) -> dict[str, str]:
    """Build images and make them known to a cluster's node.

    Returns:
        The reference of each by name.

    Raises:
        ImageError: a build failed, or the cluster does not run.
    """
    if box.pid is None:
        raise ImageError(f"cluster {box.name} does not run: start it with `make cluster CLUSTER={box.name}`")
    present = set(_ctr(box, "images", "ls", "-q").split())
    references = build_all(names)
    for image in [IMAGES[name] for name in references]:
        if image.reference not in present:
            with step(f"importing {image.reference}"):
                _ctr(box, "images", "import", str(image.archive))
    return references
