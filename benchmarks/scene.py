"""What benchmarks of the operator share: a fresh control plane with stand-ins, tenants, a bare client.

The bare client makes the operator's writes and nothing else: its time is the floor.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
PATHS = (ROOT / "operator", ROOT / "dev/cluster", ROOT / "benchmarks")
sys.path[:0] = map(str, PATHS)

from guestpost_operator import credentials, render, revision, settings  # noqa: E402
from guestpost_operator.api import names  # noqa: E402
from guestpost_operator.api.tenant import Tenant, parse  # noqa: E402
from guestpost_operator.backends.cluster import KubernetesCluster  # noqa: E402
from guestpost_operator.backends.kinds import BY_NAME, NAMESPACE, SECRET, TENANT  # noqa: E402
from guestpost_operator.backends.pubsub import PubSub  # noqa: E402
from guestpost_operator.lifecycle import messaging  # noqa: E402
from guestpost_operator.testing import AuditLog, PubSubStandin, Workloads, Write  # noqa: E402
from localkube import binaries  # noqa: E402
from localkube.controlplane import ControlPlane  # noqa: E402
from localkube.process import free_port  # noqa: E402

CONNECTIONS = 16
PROJECT, REGION = "guestpost-dev", "europe-west1"
CLUSTER_CRD = ROOT / "tests/integration/operator/cluster-crd.yaml"
CHART = ROOT / "charts/guestpost-operator"
# As in the chart, which is not installed here; tenants of the bare client get it too.
BORN_WITH_FINALIZER = [
    "template", "guestpost", str(CHART), "--values", str(CHART / "ci/least-values.yaml"),
    "--show-only", "templates/admission-finalizer.yaml",
    "--api-versions", "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy",
    "--api-versions", "guestpostcrm.com/v1alpha1/GuestPostTenant",
]  # fmt: skip
RESOURCES = {"requests": {"cpu": "25m", "memory": "192Mi"}, "limits": {"memory": "512Mi"}}
CONFIG: dict[str, Any] = {
    "tenants": {
        "images": {"crm": "guestpost.local/crm:1.0.0", "postgresql": "guestpost.local/postgresql:17-1"},
        "plans": {
            "Starter": {
                "web": {"resources": RESOURCES},
                "sync": {"resources": RESOURCES},
                "database": {"storage": "10Gi"},
                "quota": {"pods": "12", "requests.memory": "2Gi"},
            }
        },
        "regions": {REGION: {}},
        "routing": {"kind": "Ingress", "domain": "crm.test", "allowedNamespaces": ["gateway"]},
        "network": {"clusterCIDRs": ["10.96.0.0/16"], "monitoringNamespaces": ["monitoring"]},
    },
    "googleProjects": {
        PROJECT: {"number": "1", "workloadIdentityPool": "dev.svc.id.goog", "clientId": "client"},
    },
    "operator": {"healthPort": 0, "concurrency": CONNECTIONS},
}


class Scene:
    """One fresh control plane with everything around it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.audit = AuditLog(folder)
        self.config = folder / "config.yaml"
        self.metrics_port = free_port()
        document = {**CONFIG, "operator": {**CONFIG["operator"], "metricsPort": self.metrics_port}}
        self.config.write_text(yaml.safe_dump(document))
        # As the image has it (operator/Dockerfile).
        image = {"MALLOC_ARENA_MAX": "2"}
        self.environment = dict(os.environ) | image | {"PYTHONPATH": ":".join(map(str, PATHS))}

    @contextlib.contextmanager
    def set_up(self) -> Iterator[None]:
        """Start it all; stop it all."""
        program = binaries.ensure("pubsub-standin")["pubsub-standin"]
        standin = PubSubStandin(program, self.folder / "pubsub.log")
        control = ControlPlane(self.folder, apiserver=self.audit.arguments, without=["deployment-controller"])
        with standin, control:
            os.environ |= {"KUBECONFIG": str(control.kubeconfig), "PUBSUB_EMULATOR_HOST": standin.address}
            self.environment |= {
                "KUBECONFIG": str(control.kubeconfig),
                "PUBSUB_EMULATOR_HOST": standin.address,
                "GUESTPOST_CONFIG": str(self.config),
            }
            self._install(str(control.binaries["kubectl"]))
            with self.process("workloads", [sys.executable, "-c", "import scene; scene.play_workloads()"]):
                yield

    def _install(self, kubectl: str) -> None:
        """Our API, and the policy by which tenants are born with our finalizer; until both are in force."""
        self._run(kubectl, "apply", "-f", str(ROOT / "crds"), "-f", str(CLUSTER_CRD))
        self._run(kubectl, "create", "namespace", "guestpost-system")
        policy = self._run(str(binaries.ensure("helm")["helm"]), *BORN_WITH_FINALIZER)
        self._run(kubectl, "apply", "-f", "-", stdin=policy.stdout)
        while self._run(kubectl, "get", "gpt,clusters", "-A", check=False).returncode:
            time.sleep(0.2)
        probe = (kubectl, "create", "--dry-run=server", "-o", "json", "-f", "-")
        body = json.dumps(tenant_body("probe"))
        while names.FINALIZER not in self._run(*probe, stdin=body, check=False).stdout:
            time.sleep(0.2)

    def _run(self, *command: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, check=check, env=self.environment
        )

    @contextlib.contextmanager
    def process(self, name: str, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
        """A process beside us, ended by SIGTERM, then by SIGKILL."""
        with (self.folder / f"{name}.log").open("ab") as log:
            running = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        try:
            yield running
        finally:
            running.send_signal(signal.SIGTERM)
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()

    def operator(self) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        """The operator as a process; PROFILE may name a profiler, such as `-m cProfile -o FILE`."""
        profiler = os.environ.get("PROFILE", "").split()
        return self.process("operator", [sys.executable, *profiler, "-m", "guestpost_operator", "run"])

    def metric(self, name: str, *labels: str) -> float:
        """Sum of a metric's samples whose labels hold all these texts; 0 before the operator answers."""
        address = f"http://127.0.0.1:{self.metrics_port}/metrics"
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return 0.0
        samples = (line for line in lines if line.startswith((f"{name}{{", f"{name} ")))
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in samples if all(label in line for label in labels)
        )


def tenant_body(name: str) -> dict[str, Any]:
    """A GuestPostTenant as a person writes it."""
    return {
        "apiVersion": TENANT.api_version,
        "kind": TENANT.name,
        "metadata": {"name": name},
        "spec": {
            "owner": {"name": "Anna Reyes", "email": "anna@acme.example"},
            "region": REGION,
            "googleProject": PROJECT,
        },
    }


@contextlib.asynccontextmanager
async def client(agent: str) -> AsyncIterator[KubernetesCluster]:
    """A client of the API server with as many connections as the operator."""
    cluster = await KubernetesCluster.connect(concurrency=CONNECTIONS, agent=agent)
    try:
        yield cluster
    finally:
        await cluster.close()


# -- The floor


async def bare(scene: Scene, count: int) -> list[float]:
    """Seconds after which a client that only sends what it has ready is through with so many tenants each."""
    config = settings.load(scene.config)
    current = revision.current(config)
    tenants = []
    for number in range(count):
        body = tenant_body(f"bare{number}")
        body["metadata"] |= {"uid": f"{number:08x}-0000-4000-8000-000000000000", "generation": 1}
        tenants.append(prepared(parse(body), current))
    queue = iter(tenants)
    through: list[float] = []
    project = config.google_projects[PROJECT]
    pubsub = PubSub(concurrency=CONNECTIONS)
    async with client("bare") as cluster:

        async def worker() -> None:
            for tenant, secrets, manifests in queue:
                await send(tenant, secrets, manifests)
                through.append(time.perf_counter() - begin)

        async def send(tenant: Tenant, secrets: list[Any], manifests: list[Any]) -> None:
            await cluster.create(TENANT, tenant_body(tenant.name))
            for manifest in manifests:
                kind = BY_NAME[manifest["kind"]]
                if kind is NAMESPACE:
                    await cluster.create(kind, manifest)
            for secret in secrets:
                await cluster.create(SECRET, secret)
            for manifest in manifests:
                if manifest["kind"] != NAMESPACE.name:
                    await cluster.apply(BY_NAME[manifest["kind"]], manifest)
            topic, subscription = messaging.topic(tenant), messaging.subscription(tenant)
            await pubsub.create_topic(topic)
            await pubsub.set_policy(topic.name, messaging.topic_policy(project))
            await pubsub.create_subscription(subscription)
            await pubsub.set_policy(subscription.name, messaging.subscription_policy(tenant, project))

        # What is ready to send is no garbage, and need not be looked at for it.
        gc.freeze()
        begin = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))
    gc.unfreeze()
    await pubsub.close()
    return through


def prepared(tenant: Tenant, current: revision.Revision) -> tuple[Tenant, list[Any], list[Any]]:
    """A tenant with its Secrets and manifests, ready to send."""
    labels = names.common_labels(tenant.name, tenant.uid, "credentials")
    secrets = [
        credentials.database(tenant.namespace, labels),
        credentials.keys(tenant.namespace, labels),
        credentials.web_tls(tenant.namespace, labels, f"{tenant.name}.crm.test", datetime.now(UTC)),
    ]
    known = render.Credentials(
        uids={secret["metadata"]["name"]: "x" for secret in secrets},
        web_certificate=credentials.certificate_of(secrets[2]),
    )
    return tenant, secrets, render.render(tenant, current, known, "")


# -- The operator


class Ready:
    """Which tenants are Ready.

    Attributes:
        since: by name, when it became so; seconds since the first one was applied.
    """

    def __init__(self) -> None:
        self.since: dict[str, float] = {}
        self._begin = time.perf_counter()

    def begin(self) -> float:
        """The first one is applied now."""
        self._begin = time.perf_counter()
        return self._begin

    async def wait(self, cluster: KubernetesCluster, count: int) -> None:
        """Wait until so many are."""
        version: list[str] = []
        async for body in cluster.pages(TENANT, version=version):
            self._note(body)
        while len(self.since) < count:
            async for event in cluster.watch(TENANT, "", version[-1], server_seconds=300, silence=120):
                version[:] = [event["object"]["metadata"]["resourceVersion"]]
                if event["type"] != "BOOKMARK":
                    self._note(event["object"])
                if len(self.since) >= count:
                    return

    def _note(self, body: dict[str, Any]) -> None:
        name = body["metadata"]["name"]
        for condition in body.get("status", {}).get("conditions", ()):
            if condition["type"] != "Ready":
                continue
            if condition["status"] == "True":
                self.since.setdefault(name, time.perf_counter() - self._begin)
            else:
                self.since.pop(name, None)


async def apply_all(cluster: KubernetesCluster, count: int, ready: Ready) -> float:
    """Seconds from the first tenant applied to the last one Ready; all are applied at once."""
    begin = ready.begin()
    await asyncio.gather(*(cluster.create(TENANT, tenant_body(f"t{n}")) for n in range(count)))
    await ready.wait(cluster, count)
    return time.perf_counter() - begin


def operators(scene: Scene, mark: int) -> list[Write]:
    """The operator's own writes since a mark; kopf's are its own.

    Not the renewals of its lease: they are counted by the clock, not by tenants, and go to one object.
    """
    return [
        each
        for each in scene.audit.writes(mark)
        if each.agent.startswith(("guestpost-operator", "kopf")) and not each.what.endswith(" leases")
    ]


async def settle(scene: Scene, every: float = 0.1) -> None:
    """Wait until nothing waits and nothing is under way."""
    busy = ("guestpost_queue_length", "guestpost_reconciles_in_progress")
    await until(lambda: not any(scene.metric(each) for each in busy), every)


async def until(met: Callable[[], object], every: float = 0.1) -> None:
    """Wait until something is so that nobody tells of; look at it every so many seconds."""
    while True:
        if met():
            return
        await asyncio.sleep(every)


def pubsub_writes(scene: Scene) -> float:
    """Calls that changed something in Pub/Sub, since the operator started."""
    methods = ("Create", "Update", "Delete", "Set")
    return sum(scene.metric("guestpost_pubsub_requests_total", f'method="{method}') for method in methods)


def new(folder: Path, name: str) -> Path:
    """A folder of this name."""
    made = folder / name
    made.mkdir()
    return made


def play_workloads() -> None:
    """Be the stand-in for the controllers of workloads, until ended: this is a process of its own."""

    async def play() -> None:
        async with client("workloads") as cluster, Workloads(cluster):
            await asyncio.Event().wait()

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    asyncio.run(play())
