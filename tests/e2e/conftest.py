"""A real cluster with the chart installed, a tenant that is Ready, and its owner at a browser."""

from __future__ import annotations

import fcntl
import json
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
from guestpost_demo.platform import RELEASE, SYSTEM, Platform
from localkube.box import UnsupportedMachineError, require_machine
from localkube.target import CURRENT

CLUSTER = os.environ.get("E2E_CLUSTER", "test")
# Nobody waits for twelve hours until old keys are forgotten.
SETTINGS = ("operator.keyOverlapSeconds=0",)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Within it no other worker of pytest-xdist is within it."""
    with (folder / "platform-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of pytest-xdist have."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if os.environ.get("PYTEST_XDIST_WORKER") else folder


@pytest.fixture(scope="session")
def platform(shared_folder: Path) -> Iterator[Platform]:
    """The chart on the cluster that E2E_CLUSTER names; taken down afterwards unless E2E_KEEP is set.

    The workers of pytest-xdist share it: the first installs, the last removes.
    """
    if CLUSTER != CURRENT:
        try:
            require_machine()
        except UnsupportedMachineError as missing:
            pytest.skip(str(missing))
    mine = shared_folder / f"platform-of-{os.environ.get('PYTEST_XDIST_WORKER')}"
    with alone(shared_folder):
        installed = target.ready(CLUSTER, target.port(CLUSTER))
        if not list(shared_folder.glob("platform-of-*")):
            installed.install_standins()
            installed.install_operator(*SETTINGS)
        mine.touch()
    try:
        yield installed
    finally:
        with alone(shared_folder):
            mine.unlink()
            if not list(shared_folder.glob("platform-of-*")) and not os.environ.get("E2E_KEEP"):
                target.remove(CLUSTER, installed.port)


class Release:
    """The chart on the platform. Workers change it in turn, and each keeps what the others have set."""

    def __init__(self, platform: Platform, folder: Path) -> None:
        self._platform = platform
        self._folder = folder

    @contextmanager
    def having(self, *settings: str) -> Iterator[None]:
        """Further `--set` arguments while it lasts."""
        mine = self._folder / f"settings-{uuid.uuid4().hex}"
        with alone(self._folder):
            mine.write_text(json.dumps(settings))
            self._upgrade()
        try:
            yield
        finally:
            with alone(self._folder):
                mine.unlink()
                self._upgrade()

    def _upgrade(self) -> None:
        others = (json.loads(file.read_text()) for file in sorted(self._folder.glob("settings-*")))
        self._platform.install_operator(*SETTINGS, *(each for settings in others for each in settings))

    def test(self) -> str:
        """`helm test`; what it printed."""
        with alone(self._folder):
            return self._platform.helm("test", RELEASE, "-n", SYSTEM, "--logs")


@pytest.fixture(scope="session")
def release(platform: Platform, shared_folder: Path) -> Release:
    """See `Release`."""
    return Release(platform, shared_folder)


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
