"""What a demo or an end-to-end test needs on a cluster before a tenant can live there.

The stand-ins for Google, the operator by Helm, and the keys of the OAuth client. Every step may be
repeated: it brings the cluster to the state asked for and changes nothing that is already so.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from guestpost_demo.waiting import until

ROOT = Path(__file__).resolve().parents[3]
STANDINS = ROOT / "dev/google/manifests.yaml"
CHART = ROOT / "charts/guestpost-operator"
VALUES = ROOT / "dev/demo/values.yaml"
RELEASE = "guestpost"
SYSTEM = "guestpost-system"
# As dev/demo/values.yaml says.
STAFF = "staff"


@dataclass(frozen=True)
class Platform:
    """A cluster to install on.

    Attributes:
        kubeconfig: file that reaches it.
        port: where its pages are reached on 127.0.0.1.
        images: image reference by name (operator, crm, broker, google-standin, …).
        kubectl: the program.
        helm: the program.
    """

    kubeconfig: Path
    port: int
    images: Mapping[str, str]
    kubectl_path: Path
    helm_path: Path

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl and return what it printed.

        Raises:
            RuntimeError: it failed; carries what it said.
        """
        return self._run(self.kubectl_path, *arguments, stdin=stdin)

    def helm(self, *arguments: str) -> str:
        """Run Helm and return what it printed (RuntimeError as for `kubectl`)."""
        return self._run(self.helm_path, *arguments)

    def get(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get … -o json`, parsed."""
        answer: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return answer

    def _run(self, program: Path, *arguments: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            [str(program), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
        )
        if done.returncode:
            raise RuntimeError(f"{program.name} {' '.join(arguments[:4])}: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def install_standins(self) -> None:
        """Google's stand-ins in namespace google, ready to be asked."""
        self.kubectl("apply", "--server-side", "-f", "-", stdin=self._standins())
        self.kubectl("-n", "google", "rollout", "status", "deployment", "--timeout=120s")

    def _standins(self) -> str:
        documents = list(yaml.safe_load_all(STANDINS.read_text(encoding="utf-8")))
        for container in _containers(documents):
            name = container["image"].rsplit("/", 1)[-1].split(":")[0]
            container["image"] = self.images.get(name, container["image"])
        return yaml.safe_dump_all(documents).replace(".localhost:8080", f".localhost:{self.port}")

    def install_operator(self, *settings: str) -> None:
        """The operator and the consent broker from the chart, with the images built here.

        Args:
            settings: further `--set` arguments, such as `rollout.strategy=Waves`.
        """
        chosen = [
            f"operator.image={self.images['operator']}",
            f"broker.image={self.images['broker']}",
            f"dashboard.image={self.images['dashboard']}",
            f"tenants.images.crm={self.images['crm']}",
            f"tenants.images.postgresql={self.images['postgresql']}",
            f"tenants.routing.port={self.port}",
            f"tenants.google.issuer=http://google.localhost:{self.port}",
            f"broker.google.authUrl=http://google.localhost:{self.port}/o/oauth2/v2/auth",
            *settings,
        ]
        sets = [word for value in chosen for word in ("--set", value)]
        where = ["-n", SYSTEM, "--create-namespace", "-f", str(VALUES)]
        wait = ["--wait", "--timeout", "3m"]
        self.helm("upgrade", "--install", RELEASE, str(CHART), *where, *sets, *wait)

    def staff(self, account: str) -> None:
        """Somebody of the service: an account whose token signs in to the dashboard."""
        made = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": STAFF}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": STAFF}},
        ]
        self.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(made))

    def dashboard(self) -> str:
        """The dashboard's address."""
        return f"http://dashboard.localhost:{self.port}"

    def uninstall(self) -> None:
        """Take back the chart's programs and the stand-ins; the CRDs stay, as the chart says.

        Raises:
            RuntimeError: tenants are still there; the chart's guard names them.
        """
        self.helm("uninstall", RELEASE, "-n", SYSTEM, "--ignore-not-found", "--wait", "--timeout", "3m")
        self.kubectl("delete", "namespace", SYSTEM, STAFF, "--ignore-not-found")
        self.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=self._standins())

    def apply_tenant(self, tenant: Mapping[str, Any]) -> None:
        """`kubectl apply` of one GuestPostTenant."""
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(dict(tenant)))

    def tenant_ready(self, name: str, *, seconds: float = 240) -> dict[str, Any]:
        """Wait until the tenant's condition Ready is true, and return the tenant.

        Raises:
            TimeoutError: it did not become ready; names the conditions that are not true.
        """

        def ready() -> dict[str, Any] | None:
            tenant = self.get("guestposttenant", name)
            conditions = {item["type"]: item for item in tenant.get("status", {}).get("conditions", [])}
            if conditions.get("Ready", {}).get("status") == "True":
                return tenant
            missing = [f"{kind}: {item.get('message')}" for kind, item in conditions.items()]
            raise LookupError("; ".join(missing) or "no conditions yet")

        return until(f"tenant {name} to be Ready", ready, seconds=seconds)


def _containers(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        container
        for document in documents
        if document and document["kind"] == "Deployment"
        for container in document["spec"]["template"]["spec"]["containers"]
    ]
