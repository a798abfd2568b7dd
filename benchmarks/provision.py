"""200 tenants at once: the operator against a bare client that makes the same writes.

    make bench NAME=provision

Both run on a fresh control plane (etcd, API server, controllers) beside the same stand-ins: Pub/Sub,
and a process that says that workloads are ready. Both times include making the GuestPostTenants. The
bare client gets its manifests rendered and its Secrets generated beforehand, sends them over 16
connections and looks at nothing; the operator's own writes (finalizer, status, event) it leaves out.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import yaml
from harness import figure, say

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "operator"), str(ROOT / "dev/cluster")]

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
# What the operator writes that is not one of a tenant's objects.
EXTRA_NAMES = {
    "patch guestposttenants": "kopf's finalizer",
    "patch guestposttenants/status": "status",
    "create events": "event",
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
        self.environment = dict(os.environ) | {"PYTHONPATH": f"{ROOT / 'operator'}:{ROOT / 'dev/cluster'}"}

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
            kubectl = [str(control.binaries["kubectl"])]
            quiet: dict[str, Any] = {"check": True, "capture_output": True, "env": self.environment}
            subprocess.run([*kubectl, "apply", "-f", ROOT / "crds", "-f", CLUSTER_CRD], **quiet)  # noqa: PLW1510
            subprocess.run([*kubectl, "create", "namespace", "guestpost-system"], **quiet)  # noqa: PLW1510
            quiet["check"] = False
            while subprocess.run([*kubectl, "get", "gpt,clusters", "-A"], **quiet).returncode:  # noqa: PLW1510
                time.sleep(0.2)
            with self.process("workloads", [sys.executable, __file__, "--workloads"]):
                yield

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


async def bare(scene: Scene, count: int) -> float:
    """Seconds that a client needs that only sends what it has ready."""
    config = settings.load(scene.config)
    current = revision.current(config)
    tenants = []
    for number in range(count):
        body = tenant_body(f"bare{number}")
        body["metadata"] |= {"uid": f"{number:08x}-0000-4000-8000-000000000000", "generation": 1}
        tenants.append(prepared(parse(body), current))
    queue = iter(tenants)
    project = config.google_projects[PROJECT]
    pubsub = PubSub(concurrency=CONNECTIONS)
    async with client("bare") as cluster:

        async def worker() -> None:
            for tenant, secrets, manifests in queue:
                await send(tenant, secrets, manifests)

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

        begin = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))
        took = time.perf_counter() - begin
    await pubsub.close()
    return took


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


async def all_ready(cluster: KubernetesCluster, count: int) -> None:
    """Wait until so many tenants are Ready."""
    ready: set[str] = set()
    version: list[str] = []
    async for body in cluster.pages(TENANT, version=version):
        note(body, ready)
    while len(ready) < count:
        async for event in cluster.watch(TENANT, "", version[-1], server_seconds=300, silence=120):
            version.append(event["object"]["metadata"]["resourceVersion"])
            if event["type"] != "BOOKMARK":
                note(event["object"], ready)
            if len(ready) >= count:
                return


def note(body: dict[str, Any], ready: set[str]) -> None:
    """Keep the names of the tenants that are Ready."""
    for condition in body.get("status", {}).get("conditions", ()):
        if condition["type"] == "Ready":
            (ready.add if condition["status"] == "True" else ready.discard)(body["metadata"]["name"])


async def provision(scene: Scene, count: int) -> tuple[float, list[Write]]:
    """Seconds from the first tenant applied to the last one Ready, and the operator's writes."""
    async with client("bench") as cluster:
        mark = scene.audit.mark()
        begin = time.perf_counter()
        await asyncio.gather(*(cluster.create(TENANT, tenant_body(f"t{n}")) for n in range(count)))
        await all_ready(cluster, count)
        took = time.perf_counter() - begin
    # The last tenant's event follows its status.
    await settle(scene)
    return took, operators(scene, mark)


def operators(scene: Scene, mark: int) -> list[Write]:
    """The operator's own writes since a mark; kopf's are its own."""
    return [
        each for each in scene.audit.writes(mark) if each.agent.startswith(("guestpost-operator", "kopf"))
    ]


async def request_reconcile(scene: Scene, count: int) -> None:
    """Have every tenant looked at again, everything verified, and wait until that is done."""
    before = scene.metric("guestpost_reconciles_total", 'result="ok"')
    stamp = {"metadata": {"annotations": {names.ANNOTATION_REQUESTED: str(time.time())}}}
    async with client("bench") as cluster:
        await asyncio.gather(*(cluster.merge(TENANT, f"t{number}", None, stamp) for number in range(count)))
    await until(lambda: scene.metric("guestpost_reconciles_total", 'result="ok"') - before >= count)
    await settle(scene)


async def settle(scene: Scene) -> None:
    """Wait until nothing waits and nothing is under way."""
    busy = ("guestpost_queue_length", "guestpost_reconciles_in_progress")
    await until(lambda: not any(scene.metric(each) for each in busy))


async def until(met: Callable[[], object]) -> None:
    """Wait until something is so that nobody tells of."""
    while True:
        if met():
            return
        await asyncio.sleep(0.1)


def pubsub_writes(scene: Scene) -> float:
    """Calls that changed something in Pub/Sub, since the operator started."""
    methods = ("Create", "Update", "Delete", "Set")
    return sum(scene.metric("guestpost_pubsub_requests_total", f'method="{method}') for method in methods)


def report_extra(writes: list[Write], count: int) -> None:
    """Writes beyond one for each object, by name."""
    plurals = {kind.plural for kind in BY_NAME.values()}
    seen: set[tuple[str, str, str]] = set()
    by_name: Counter[str] = Counter()
    for each in writes:
        resource = each.what.split()[1]
        written = (resource, each.namespace, each.name)
        if resource not in plurals:
            by_name[f"{EXTRA_NAMES.get(each.what, 'other')}: {each.what}"] += 1
        elif written in seen:
            by_name[f"object written again: {each.what}"] += 1
        seen.add(written)
    detail = {name: round(number / count, 3) for name, number in sorted(by_name.items()) if number}
    figure("provision.extra_writes", sum(by_name.values()) / count, "writes per tenant", names=detail)


async def measure(folder: Path, count: int) -> None:
    """Everything, in order."""
    floors = [await floor(folder, "bare-before", count)]
    scene = Scene(new(folder, "operator"))
    with scene.set_up(), scene.operator() as process:
        await until(lambda: scene.metric("guestpost_heartbeat_timestamp_seconds"))
        started = sum(psutil.Process(process.pid).cpu_times()[:2])
        took, writes = await provision(scene, count)
        used = sum(psutil.Process(process.pid).cpu_times()[:2]) - started
        say(f"operator: {count} tenants in {took:.1f} s, {used:.1f} s of processor time its own")
        mark, before = scene.audit.mark(), pubsub_writes(scene)
        await request_reconcile(scene, count)
        idle_writes = len(operators(scene, mark)) + pubsub_writes(scene) - before
        peak = peak_memory(process.pid)
    # Before and after: whatever else this machine does drifts.
    floors.append(await floor(folder, "bare-after", count))
    figure("provision.wall", took, "s", floor=sum(floors) / len(floors), tenants=count)
    report_extra(writes, count)
    figure("provision.idle_writes", idle_writes, "writes")
    figure("provision.memory", peak, "MiB")


async def floor(folder: Path, name: str, count: int) -> float:
    """The bare client on a control plane of its own."""
    scene = Scene(new(folder, name))
    with scene.set_up():
        took = await bare(scene, count)
    say(f"bare client: {count} tenants in {took:.1f} s")
    return took


def new(folder: Path, name: str) -> Path:
    """A folder of this name."""
    made = folder / name
    made.mkdir()
    return made


def peak_memory(pid: int) -> float:
    """Largest resident set that a process ever had, in MiB (Linux: VmHWM)."""
    for line in Path(f"/proc/{psutil.Process(pid).pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system does not tell a process's peak memory")


async def play_workloads() -> None:
    """Be the stand-in for the controllers of workloads, until ended."""
    async with client("workloads") as cluster, Workloads(cluster):
        await asyncio.Event().wait()


def main() -> None:
    """Measure, or be the process beside."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument("--keep", type=Path, help="folder for logs; by default they are removed")
    parser.add_argument("--workloads", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.workloads:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        asyncio.run(play_workloads())
        return
    with contextlib.ExitStack() as stack:
        folder = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(measure(folder, arguments.tenants))


if __name__ == "__main__":
    main()
