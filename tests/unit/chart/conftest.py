"""The chart as Helm renders it, without a cluster."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from localkube import binaries

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "charts/guestpost-operator"
DEVELOPMENT = {
    "operator.image": "guestpost.local/operator:1",
    "broker.image": "guestpost.local/broker:1",
    "dashboard.image": "guestpost.local/dashboard:1",
    "tenants.images.crm": "guestpost.local/crm:1",
    "tenants.images.postgresql": "guestpost.local/postgresql:17-1",
}
FILES: dict[str, tuple[Path, dict[str, str]]] = {
    "least": (CHART / "ci/least-values.yaml", {}),
    "production": (CHART / "ci/production-values.yaml", {}),
    "development": (ROOT / "dev/demo/values.yaml", DEVELOPMENT),
}

Rendered = dict[tuple[str, str], dict[str, Any]]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(binaries.ensure("helm")["helm"]), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def template(values: str, changes: tuple[tuple[str, str], ...]) -> subprocess.CompletedProcess[str]:
    """`helm template` with one of FILES and `--set-json` changes."""
    path, sets = FILES[values]
    words = [word for name, value in sets.items() for word in ("--set", f"{name}={value}")]
    words += [word for name, value in changes for word in ("--set-json", f"{name}={value}")]
    where = ("--namespace", "guestpost-system", "--values", str(path))
    return helm("template", "guestpost", str(CHART), *where, *words)


@cache
def parsed(values: str, changes: tuple[tuple[str, str], ...]) -> Rendered:
    done = template(values, changes)
    assert done.returncode == 0, done.stderr
    objects = [each for each in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if each]
    by_name = {(each["kind"], each["metadata"]["name"]): each for each in objects}
    assert len(by_name) == len(objects), "two objects of one kind and name"
    return by_name


@pytest.fixture(scope="session")
def rendered() -> Callable[..., Rendered]:
    """rendered("least", {"broker.replicas": "3"}) → objects by kind and name. Values are JSON."""
    return lambda values="least", changes=None: parsed(values, tuple((changes or {}).items()))


@pytest.fixture(scope="session")
def refusal() -> Callable[[Mapping[str, str]], str]:
    """What Helm says to the least values with changes that it must refuse."""

    def refuse(changes: Mapping[str, str]) -> str:
        done = template("least", tuple(changes.items()))
        assert done.returncode != 0, "Helm took it"
        return done.stderr

    return refuse


@pytest.fixture(scope="session")
def run_helm() -> Callable[..., subprocess.CompletedProcess[str]]:
    return helm


@pytest.fixture(scope="session")
def chart() -> Path:
    return CHART
