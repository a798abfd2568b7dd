"""Programs built from Go modules at pinned versions, checked against committed checksums.

Each program has a Go module in `dev/cluster/go` (or elsewhere in this repository) whose go.mod pins
it and whose go.sum holds the checksums of all its sources. A built program is kept in the shared
cache under a hash of these two, so a second call, or another checkout, builds nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from localkube import paths
from localkube.process import locked
from localkube.progress import step

KUBERNETES = "v1.36.3"
_KUBERNETES_FLAGS = (
    f"-X k8s.io/component-base/version.gitVersion={KUBERNETES}"
    " -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36"
)
_CNPG_FLAGS = "-X github.com/cloudnative-pg/cloudnative-pg/pkg/versions.buildVersion=1.30.0"


class BuildError(Exception):
    """A program could not be built; the message ends with what the compiler said."""


@dataclass(frozen=True)
class Program:
    """What a binary is built from.

    Attributes:
        module: folder of its go.mod.
        package: import path of its main package.
        ldflags: linker flags besides `-s -w`.
    """

    module: Path
    package: str
    ldflags: str = ""


def _kubernetes(command: str) -> Program:
    return Program(paths.GO_MODULES / "kubernetes", f"k8s.io/kubernetes/cmd/{command}", _KUBERNETES_FLAGS)


def _tool(folder: str, package: str, ldflags: str = "") -> Program:
    return Program(paths.GO_MODULES / folder, package, ldflags)


PROGRAMS: dict[str, Program] = {
    **{
        name: _kubernetes(name)
        for name in (
            "kube-apiserver",
            "kube-controller-manager",
            "kubectl",
            "kube-scheduler",
            "kubelet",
            "kube-proxy",
        )
    },
    "etcd": _tool("etcd", "go.etcd.io/etcd/server/v3"),
    "coredns": _tool("coredns", "github.com/coredns/coredns"),
    "cloudnative-pg": _tool(
        "cloudnative-pg", "github.com/cloudnative-pg/cloudnative-pg/cmd/manager", _CNPG_FLAGS
    ),
    "local-path-provisioner": _tool("local-path-provisioner", "github.com/rancher/local-path-provisioner"),
    "helm": _tool("helm", "helm.sh/helm/v4/cmd/helm"),
    "kubeconform": _tool("kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform"),
    "kube-score": _tool("kube-score", "github.com/zegl/kube-score/cmd/kube-score"),
    "kwok": _tool("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    "cyclonus": _tool("cyclonus", "github.com/mattfenwick/cyclonus/cmd/cyclonus"),
    "pause": _tool("pause", "."),
    "pubsub-standin": Program(paths.ROOT / "dev/google/pubsub", "."),
    "promql": Program(paths.ROOT / "dev/checks/promql", "."),
}

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
NODE = ("kube-scheduler", "kubelet", "kube-proxy", "coredns")
# What tests run besides.
TOOLS = ("helm", "kubeconform", "kube-score", "pubsub-standin")


def ensure(*names: str) -> dict[str, Path]:
    """Build what is missing and return where each program is.

    Safe to call from several processes at once, and to repeat after an interruption: a program
    appears in the cache only when it is whole.

    Raises:
        KeyError: no such program.
        BuildError: Go is missing or the build failed.
    """
    return {name: _ensure(name, PROGRAMS[name]) for name in names}


def fingerprint(name: str) -> str:
    """A hash of what a program is built from; building it is not needed to know it."""
    return _fingerprint(PROGRAMS[name])


def module_folder(name: str) -> Path:
    """Where the sources of a program's module are, for the manifests and CRDs that it ships.

    Raises:
        BuildError: the module can't be fetched.
    """
    program = PROGRAMS[name]
    module = "/".join(program.package.split("/")[:3])
    done = _go(program.module, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module)
    folder = done.strip()
    if not folder:
        _go(program.module, "mod", "download", module)
        folder = _go(program.module, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module).strip()
    return Path(folder)


def _ensure(name: str, program: Program) -> Path:
    target = paths.cache() / "bin" / f"{name}-{_fingerprint(program)}" / name
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(f"build-{name}"):
        if not target.exists():
            _build(name, program, target)
    return target


def _build(name: str, program: Program, target: Path) -> None:
    unfinished = target.with_suffix(".unfinished")
    flags = f"-s -w {program.ldflags}".strip()
    with step(f"building {name}"):
        _go(
            program.module,
            "build",
            "-trimpath",
            "-mod=readonly",
            f"-ldflags={flags}",
            "-o",
            str(unfinished),
            program.package,
        )
    unfinished.rename(target)


def _go(module: Path, *arguments: str) -> str:
    if not shutil.which("go"):
        raise BuildError("Go is not installed: install Go 1.26 or newer and put it on the PATH")
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
    done = subprocess.run(
        ["go", *arguments], cwd=module, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BuildError(f"go {' '.join(arguments)} in {module}:\n{done.stderr[-3000:]}")
    return done.stdout


def _fingerprint(program: Program) -> str:
    digest = hashlib.sha256(f"{program.package} {program.ldflags} {_go_version()}".encode())
    sources = [program.module / "go.mod", program.module / "go.sum", *sorted(program.module.rglob("*.go"))]
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=1)
def _go_version() -> str:
    return _go(paths.GO_MODULES, "env", "GOVERSION").strip()
