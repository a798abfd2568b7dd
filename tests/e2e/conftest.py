"""A real cluster with the chart installed, a tenant that is Ready, and its owner at a browser."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google_standin.testing import Control
from guestpost_demo import target
from guestpost_demo.__main__ import google
from guestpost_demo.platform import Platform
from localkube.box import UnsupportedMachineError, require_machine
from localkube.target import CURRENT

CLUSTER = os.environ.get("E2E_CLUSTER", "test")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Within it no other worker of pytest-xdist is within it."""
    with (folder / "platform-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The chart on the cluster that E2E_CLUSTER names; taken down afterwards unless E2E_KEEP is set.

    The workers of pytest-xdist share it: the first installs, the last removes.
    """
    if CLUSTER != CURRENT:
        try:
            require_machine()
        except UnsupportedMachineError as missing:
            pytest.skip(str(missing))
    worker, folder = os.environ.get("PYTEST_XDIST_WORKER"), tmp_path_factory.getbasetemp()
    folder = folder.parent if worker else folder
    mine = folder / f"platform-of-{worker}"
    with alone(folder):
        installed = target.ready(CLUSTER, target.port(CLUSTER))
        if not list(folder.glob("platform-of-*")):
            installed.install_standins()
            installed.install_operator()
        mine.touch()
    try:
        yield installed
    finally:
        with alone(folder):
            mine.unlink()
            if not list(folder.glob("platform-of-*")) and not os.environ.get("E2E_KEEP"):
                target.remove(CLUSTER, installed.port)


@pytest.fixture(scope="session")
def control(platform: Platform) -> Control:
    """Google's stand-in."""
    return google(platform)


@dataclass
class Tenant:
    """A tenant that is Ready."""

    name: str
    owner: str
    url: str
    status: dict[str, Any]


@pytest.fixture(scope="session")
def tenant(platform: Platform, control: Control) -> Iterator[Tenant]:
    """A tenant of this worker, removed at its end; a cluster that goes itself is not waited for."""
    name = f"t{uuid.uuid4().hex[:8]}"
    owner = f"owner@{name}.example"
    control.account(owner, "Olive Owner")
    platform.apply_tenant(manifest(name, owner))
    ready = platform.tenant_ready(name)
    yield Tenant(name, owner, ready["status"]["app"]["url"], ready["status"])
    wait = ("--timeout=120s",) if CLUSTER == CURRENT else ("--wait=false",)
    platform.kubectl("delete", "guestposttenant", name, *wait)


def manifest(name: str, owner: str) -> dict[str, Any]:
    """The least that a tenant needs."""
    return {
        "apiVersion": "guestpostcrm.com/v1alpha1",
        "kind": "GuestPostTenant",
        "metadata": {"name": name},
        "spec": {
            "owner": {"name": "Olive Owner", "email": owner},
            "region": "europe-west1",
            "googleProject": "guestpost-dev",
            # Nobody fetches a last export of it; test_leaving.py does of its own.
            "deletion": {"finalExport": "Skip"},
        },
    }
