"""The control plane that most tests of a process share: starting one takes seconds of every core.

A plugin and no conftest: tests of the operator, of the CRM beside its API server and of reliability may run
in one process.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from guestpost_operator.testing import AuditLog
    from localkube.controlplane import ControlPlane

ROOT = Path(__file__).resolve().parents[2]
# As much of others' kinds as the operator needs.
STRANGERS = ROOT / "tests/integration/operator"
SERVED = (
    "guestposttenants,tenantrequests,tenantexports,tenantusages,supportgrants,erasurereceipts,clusters,"
    "volumesnapshots"
)
PATIENCE = 60.0
# Workloads says how far Deployments and Jobs are; nothing may contradict it.
PLAYED = ("deployment-controller", "job-controller")


@dataclass(frozen=True)
class Plane:
    """The control plane: where it is and what it was asked to write."""

    control: ControlPlane
    audit: AuditLog

    @property
    def kubeconfig(self) -> Path:
        """File of a cluster admin."""
        return self.control.kubeconfig


@contextlib.contextmanager
def control_plane(folder: Path) -> Iterator[Plane]:
    """A control plane that knows our kinds, and whose namespaces end at once.

    Args:
        folder: for its files.
    """
    from guestpost_operator.testing import AuditLog
    from localkube.controlplane import ControlPlane
    from localkube.process import wait_until
    from namespaces import CONTROLLER, Namespaces

    audit = AuditLog(folder)
    without = (*PLAYED, CONTROLLER)
    with ControlPlane(folder, apiserver=audit.arguments, without=without) as control:
        kubectl = [str(control.binaries["kubectl"]), "--kubeconfig", str(control.kubeconfig)]
        kinds = (ROOT / "crds", *STRANGERS.glob("*.yaml"))
        subprocess.run(
            [*kubectl, "apply", *(f"-f={path}" for path in kinds)], check=True, capture_output=True
        )
        ask = [*kubectl, "get", SERVED, "-A"]
        wait_until(
            "the CRDs",
            lambda: not subprocess.run(ask, capture_output=True, check=False).returncode,
            seconds=PATIENCE,
        )
        subprocess.run([*kubectl, "create", "namespace", "guestpost-system"], check=True, capture_output=True)
        with contextlib.ExitStack() as stack:
            with pytest.MonkeyPatch.context() as environment:
                environment.setenv("KUBECONFIG", str(control.kubeconfig))
                stack.enter_context(Namespaces())
            yield Plane(control, audit)


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """The control plane of this process's tests."""
    with control_plane(tmp_path_factory.mktemp("plane")) as running:
        yield running
