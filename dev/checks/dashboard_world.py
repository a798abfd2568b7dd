"""A real API server with tenants and the chart's staff roles, and the dashboard in front of it.

    .venv/bin/python dev/checks/dashboard_world.py [--tenants 300] [--port 8124]

serves it until Ctrl-C and prints a token of each role, to look at pages by hand.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import ssl
import subprocess
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
import yaml
from cryptography.fernet import Fernet
from guestpost_dashboard import app
from guestpost_dashboard.settings import Settings
from kubernetes import client, config, utils, watch
from localkube import binaries
from localkube.controlplane import ControlPlane
from starlette.applications import Starlette

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/guestpost-operator"
GROUP, VERSION, TENANTS = "guestpostcrm.com", "v1alpha1", "guestposttenants"
NAMESPACE = "guestpost-system"
STAFF = ("viewer", "provisioner", "support")
# Somebody whom the API server knows and who may nothing.
NOBODY = "nobody"
HOST = "dashboard.localhost"


class World:
    """The API server, and who may what on it.

    Args:
        plane: runs.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.api = config.new_client_from_config(str(plane.kubeconfig))
        self.core = client.CoreV1Api(self.api)
        self.objects = client.CustomObjectsApi(self.api)
        self.ca_file = plane.workdir / "pki" / "ca.crt"

    def prepare(self) -> None:
        """CRDs, the chart's roles, an account for each of them, and what the operator makes for people."""
        self._crds()
        names = ("guestpost-dashboard", *(f"guestpost-{role}" for role in STAFF))
        self.core.create_namespace({"metadata": {"name": NAMESPACE}})
        for each in rendered():
            if each["kind"] in ("ClusterRole", "Role") and each["metadata"]["name"] in names:
                utils.create_from_dict(self.api, each)
        for account in ("dashboard", *STAFF):
            self.account(account, account)
        self.account(NOBODY)
        rollout = {"metadata": {"name": "rollout"}, "data": {"paused": "false", "reason": ""}}
        self.core.create_namespaced_config_map(NAMESPACE, rollout)

    def account(self, name: str, role: str = "") -> None:
        """Make a service account, and give it one of the chart's roles."""
        self.core.create_namespaced_service_account(NAMESPACE, {"metadata": {"name": name}})
        if role:
            self._bind(f"guestpost-{role}", name)

    def token(self, account: str, seconds: int = 3600) -> str:
        """A token of an account, good for that long (at least ten minutes)."""
        body = client.AuthenticationV1TokenRequest(
            spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=seconds)
        )
        return str(self.core.create_namespaced_service_account_token(account, NAMESPACE, body).status.token)

    def tenant(self, name: str, status: Mapping[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
        """Make a tenant that no operator works on, with the status that one would have written."""
        least = {
            "owner": {"name": "Anna Reyes", "email": f"anna@{name}.example"},
            "region": "europe-west1",
            "googleProject": "outreach-prod",
        }
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "GuestPostTenant",
            "metadata": {"name": name},
            "spec": {**least, **spec},
        }
        made = self.objects.create_cluster_custom_object(GROUP, VERSION, TENANTS, body)
        return self.says(name, status) if status is not None else made

    def says(self, name: str, status: Mapping[str, Any]) -> dict[str, Any]:
        """Write a status, as the operator does."""
        found: dict[str, Any] = self.objects.patch_cluster_custom_object_status(
            GROUP, VERSION, TENANTS, name, {"status": dict(status)}
        )
        return found

    def change(self, name: str, spec: Mapping[str, Any]) -> None:
        """Change a spec, as somebody else does."""
        self.objects.patch_cluster_custom_object(GROUP, VERSION, TENANTS, name, {"spec": dict(spec)})

    def delete(self, name: str) -> None:
        """Delete a tenant."""
        self.objects.delete_cluster_custom_object(GROUP, VERSION, TENANTS, name)

    def admin(self) -> httpx.Client:
        """For what the client's models do not let through."""
        keys = self.plane.workdir / "pki"
        trust = ssl.create_default_context(cafile=str(self.ca_file))
        trust.load_cert_chain(keys / "admin.crt", keys / "admin.key")
        return httpx.Client(base_url=self.plane.server, verify=trust, trust_env=False, timeout=30)

    def watches(self) -> int:
        """How many watches of tenants the API server serves at this moment, by its own metrics."""
        with self.admin() as http:
            text = http.get("/metrics").text
        lines = [
            line
            for line in text.splitlines()
            if line.startswith("apiserver_longrunning_requests{")
            and f'resource="{TENANTS}"' in line
            and 'verb="WATCH"' in line
        ]
        return sum(int(float(line.rpartition(" ")[2])) for line in lines)

    def settings(self, url: str, **changes: Any) -> Settings:
        """Of a dashboard for this API server."""
        token = self.plane.workdir / "dashboard-token"
        token.write_text(self.token("dashboard", 24 * 3600))
        usual: dict[str, Any] = {
            "url": url,
            "kubernetes_url": self.plane.server,
            "kubernetes_ca_file": str(self.ca_file),
            "kubernetes_token_file": str(token),
            "oidc": None,
            "session_keys": (Fernet.generate_key().decode(),),
            "host": "127.0.0.1",
        }
        return Settings(**{**usual, **changes})

    def fill(self, count: int, seed: int = 7) -> list[str]:
        """Make tenants of many kinds, eight at a time; gives their names."""
        chance = random.Random(seed)  # noqa: S311 - which tenants there are
        bodies = [some(number, chance) for number in range(count)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda each: self.tenant(each[0], each[1], **each[2]), bodies))
        return [name for name, _, _ in bodies]

    def _crds(self) -> None:
        extensions = client.ApiextensionsV1Api(self.api)
        for path in sorted((ROOT / "crds").glob("*.yaml")):
            definition = yaml.safe_load(path.read_text(encoding="utf-8"))
            extensions.create_custom_resource_definition(definition)
            name = definition["metadata"]["name"]
            events = watch.Watch().stream(
                extensions.list_custom_resource_definition,
                field_selector=f"metadata.name={name}",
                timeout_seconds=60,
            )
            for event in events:
                found = {each.type: each.status for each in event["object"].status.conditions or []}
                if found.get("Established") == "True":
                    break

    def _bind(self, role: str, account: str) -> None:
        rbac = client.RbacAuthorizationV1Api(self.api)

        def body(kind: str) -> dict[str, Any]:
            return {
                "metadata": {"name": f"{role}-{account}"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
                "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}],
            }

        rbac.create_cluster_role_binding(body("ClusterRole"))
        if role.removeprefix("guestpost-") in STAFF:
            rbac.create_namespaced_role_binding(NAMESPACE, body("Role"))


def rendered() -> list[dict[str, Any]]:
    """What the chart makes with the dashboard switched on."""
    sets = (
        "--set",
        "dashboard.enabled=true",
        "--set",
        "dashboard.image=registry.example.com/dashboard:0.1.0",
    )
    command = [
        str(binaries.ensure("helm")["helm"]), "template", "guestpost", str(CHART), "-n", NAMESPACE,
        "-f", str(CHART / "ci/least-values.yaml"), *sets,
    ]  # fmt: skip
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [each for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each]


PHASES = ("Running",) * 30 + ("Provisioning", "Degraded", "Suspended", "Hibernated", "Upgrading", "Blocked")
REGIONS = ("europe-west1", "europe-west4", "us-central1", "asia-southeast1")
VERSIONS = ("1.4.2",) * 6 + ("1.4.1", "1.5.0-rc.1")
OWNERS = (
    "Anna Reyes",
    "Northwind Outreach",
    "Linkbridge GmbH",
    "Zoë Dupont",
    "O'Neill & Sons",
    "Tanaka Media",
)
WORDS = (
    "acme",
    "north",
    "link",
    "bridge",
    "guest",
    "daily",
    "river",
    "media",
    "post",
    "pixel",
    "echo",
    "delta",
)


def some(number: int, chance: random.Random) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Name, status and spec of one of many tenants."""
    name = f"{chance.choice(WORDS)}-{chance.choice(WORDS)}-{number:05}"
    phase = chance.choice(PHASES)
    spec: dict[str, Any] = {
        "owner": {"name": chance.choice(OWNERS), "email": f"owner@{name}.example"},
        "region": chance.choice(REGIONS),
        "plan": chance.choice(("Starter", "Starter", "Growth", "Scale")),
        "release": {"channel": chance.choice(("Stable",) * 9 + ("Canary",))},
    }
    if phase in {"Suspended", "Hibernated"}:
        spec |= {"state": phase, "suspendReason": "The invoice of May is open; write to billing@example.com"}
    # As if it had taken some time to become so.
    at = time.time() + min(chance.lognormvariate(3.6, 0.6), 3000)
    return name, status(name, phase, version=chance.choice(VERSIONS), at=at), spec


def status(
    name: str, phase: str = "Running", *, version: str = "1.4.2", at: float | None = None
) -> dict[str, Any]:
    """A status as the operator would have written it.

    Args:
        name: of the tenant.
        phase: decides the conditions.
        version: of the CRM.
        at: when the conditions became so, in seconds since 1970; now by default.
    """
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() if at is None else at))
    good = phase not in {"Degraded", "Provisioning", "Blocked"}
    truths = {
        "Ready": (
            str(good),
            phase if good else "DatabaseNotReady",
            "" if good else "Waits for the database.",
        ),
        "NamespaceReady": ("True", "Applied", ""),
        "DatabaseReady": ("True", "Healthy", "")
        if good
        else ("False", "VolumePending", "No volume is bound yet."),
        "MessagingReady": ("True", "Ready", ""),
        "ApplicationReady": (str(good), "Available" if good else "Waits", ""),
        "Isolated": ("Unknown", "NotChecked", "The packet check has not run yet."),
        "Stalled": ("False", "Progressing", ""),
        "UpgradeBlocked": (str(phase == "Blocked"), "WaveFailed" if phase == "Blocked" else "NotBlocked", ""),
    }
    uid = f"0b7c4d1e-1111-4222-8333-{zlib.crc32(name.encode()):012x}"
    return {
        "phase": phase,
        "observedGeneration": 1,
        "revision": "r-7f3a91",
        "conditions": [
            {
                "type": kind, "status": truth, "reason": reason, "message": message,
                "lastTransitionTime": stamp, "observedGeneration": 1,
            }
            for kind, (truth, reason, message) in truths.items()
        ],
        "namespace": {"name": f"gpt-{name}", "uid": uid},
        "database": {"name": "database", "uid": uid, "size": "20Gi", "storageClassName": "premium"},
        "messaging": {
            "topic": f"projects/acme-crm-prod/topics/gpt-{name}-0b7c4d1e",
            "subscription": f"projects/acme-crm-prod/subscriptions/gpt-{name}-0b7c4d1e",
        },
        "app": {
            "url": f"https://{name}.crm.example.com", "version": version,
            "revision": "r-55d0c2" if phase == "Upgrading" else "r-7f3a91",
        },
    }  # fmt: skip


@contextmanager
def world(folder: Path, **options: Any) -> Iterator[World]:
    """A control plane in a folder, prepared; `options` are ControlPlane's."""
    with ControlPlane(folder, **options) as plane:
        found = World(plane)
        found.prepare()
        yield found


class Served:
    """A dashboard that serves in the background of this process.

    Attributes:
        url: its address.
        application: whose `state.fleet` says what it knows.
    """

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.settings = settings
        self.application: Starlette = app.create(settings, transport)
        self._server = uvicorn.Server(
            uvicorn.Config(
                self.application,
                host="127.0.0.1",
                port=settings.port,
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(target=self._run, name="dashboard", daemon=True)

    @property
    def url(self) -> str:
        """Where it is."""
        return self.settings.url

    def start(self) -> None:
        """Serve, and wait until the tenants are listed."""
        self._thread.start()
        deadline = time.monotonic() + 60
        while not self._server.started or not self.application.state.fleet.listed:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise TimeoutError("the dashboard does not begin to serve")
            time.sleep(0.02)

    def stop(self) -> None:
        """End."""
        self._server.should_exit = True
        self._thread.join(15)

    def _run(self) -> None:
        asyncio.run(self._server.serve())


def main() -> None:
    """Serve one to look at."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=300)
    parser.add_argument("--port", type=int, default=8124)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, world(Path(folder)) as found:
        found.fill(options.tenants)
        served = Served(found.settings(f"http://{HOST}:{options.port}", port=options.port))
        served.start()
        for role in (*STAFF, NOBODY):
            Path(folder, f"{role}.token").write_text(found.token(role))
            print(f"{role}: {found.token(role)}\n")
        print(f"{served.url} until Ctrl-C", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
        served.stop()


if __name__ == "__main__":
    main()
