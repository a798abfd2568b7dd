"""One tenant's namespace at a real API server, and the CRM of this process as that tenant's web."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from plane_fixtures import Plane

NAMESPACE = "gpt-acme"
KINDS = ("tenantexports", "tenantrequests", "supportgrants")
USAGES = "tenantusages"
# As the chart's ClusterRoles guestpost-tenant-web and guestpost-tenant-export together.
RIGHTS = """
apiVersion: v1
kind: Namespace
metadata: {name: gpt-acme}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: gpt-acme}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: web, namespace: gpt-acme}
rules:
  - {apiGroups: [guestpostcrm.com], resources: [tenantexports], verbs: [create, get, list, delete]}
  - {apiGroups: [guestpostcrm.com], resources: [tenantrequests], verbs: [create, list]}
  - {apiGroups: [guestpostcrm.com], resources: [supportgrants], verbs: [list]}
  - {apiGroups: [guestpostcrm.com], resources: [tenantusages], verbs: [create]}
  - {apiGroups: [guestpostcrm.com], resources: [tenantusages], resourceNames: [usage], verbs: [get, patch]}
  - {apiGroups: [guestpostcrm.com], resources: [tenantexports/status, supportgrants/status], verbs: [patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: web, namespace: gpt-acme}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: web}
subjects: [{kind: ServiceAccount, name: web, namespace: gpt-acme}]
"""


@dataclass(frozen=True)
class TenantPlane:
    """The API server.

    Attributes:
        folder: holds `token` of the web and `ca.crt`.
        server: its address.
        kubectl: the program with its first arguments.
    """

    folder: Path
    server: str
    kubectl: list[str]

    def act(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl as an admin; it has to succeed."""
        done = subprocess.run(
            [*self.kubectl, *arguments], input=stdin, check=True, capture_output=True, text=True
        )
        return done.stdout

    def variables(self) -> dict[str, str]:
        """What the CRM needs to ask it."""
        return {
            "KUBERNETES_API_URL": self.server,
            "KUBERNETES_CA_FILE": str(self.folder / "ca.crt"),
            "KUBERNETES_TOKEN_FILE": str(self.folder / "token"),
            "NAMESPACE": NAMESPACE,
        }

    def clear(self) -> None:
        """Remove what was asked for."""
        self.act("delete", ",".join((*KINDS, USAGES)), "--all", "-n", NAMESPACE)


def tenant_plane(plane: Plane, folder: Path) -> TenantPlane:
    """Make the tenant's namespace, and what its web may.

    Args:
        plane: has our kinds.
        folder: for the files that the web's pod would have.
    """
    control = plane.control
    kubectl = [str(control.binaries["kubectl"]), f"--kubeconfig={control.kubeconfig}"]
    made = TenantPlane(folder, control.server, kubectl)
    made.act("apply", "-f", "-", stdin=RIGHTS)
    (folder / "token").write_text(made.act("create", "token", "web", "-n", NAMESPACE))
    # New rights take a moment to reach every part of the API server.
    web = f"--as=system:serviceaccount:{NAMESPACE}:web"
    for words in ((",".join(KINDS),), (USAGES, "usage", "--ignore-not-found")):
        ask = [*kubectl, "get", *words, "-n", NAMESPACE, web]
        until(
            lambda ask=ask: not subprocess.run(ask, check=False, capture_output=True).returncode, "the rights"
        )
    certificate = yaml.safe_load(control.kubeconfig.read_text())["clusters"][0]["cluster"]
    (folder / "ca.crt").write_bytes(base64.b64decode(certificate["certificate-authority-data"]))
    return made


def until(true: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """Wait for the first true answer, and give it."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited in vain for {what}")
        time.sleep(0.02)
    return found
