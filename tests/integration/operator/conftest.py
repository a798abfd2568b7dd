"""A real API server, the Pub/Sub stand-in, and the operator in this process or as one of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from guestpost_operator.api import names
from guestpost_operator.application import Operator
from guestpost_operator.backends.cluster import KubernetesCluster
from guestpost_operator.backends.errors import ConflictError, UnavailableError
from guestpost_operator.backends.kinds import TENANT
from guestpost_operator.backends.pubsub import PubSub
from guestpost_operator.settings import Config
from guestpost_operator.testing import AuditLog, PubSubStandin, Workloads
from localkube import binaries
from localkube.controlplane import ControlPlane

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PROJECT = "guestpost-dev"
PATIENCE = 40.0
T = TypeVar("T")

CONFIG: dict[str, Any] = {
    "tenants": {
        "images": {"crm": "guestpost.local/crm:1.0.0", "postgresql": "guestpost.local/postgresql:17-1"},
        "plans": {
            name: {
                "web": {"replicas": 1, "resources": {"requests": {"cpu": "0.5", "memory": "128Mi"}}},
                "sync": {"replicas": 1, "resources": {"requests": {"cpu": "20m", "memory": "128Mi"}}},
                "database": {"instances": 1, "storage": storage},
                "quota": {"pods": "20", "requests.memory": "4Gi"},
            }
            for name, storage in (("Starter", "1Gi"), ("Growth", "2Gi"))
        },
        "regions": {
            "europe-west1": {"storageClassName": "fast"},
            "us-central1": {"nodeSelector": {"zone": "us"}},
        },
        "routing": {"kind": "Ingress", "domain": "crm.test", "allowedNamespaces": ["gateway"]},
        "network": {"clusterCIDRs": ["10.96.0.0/16"], "monitoringNamespaces": ["monitoring"]},
        "supportContact": "support@example.com",
    },
    "googleProjects": {
        PROJECT: {"number": "123", "workloadIdentityPool": "dev.svc.id.goog", "clientId": "client-1"},
        "guestpost-two": {"number": "124", "workloadIdentityPool": "dev.svc.id.goog", "clientId": "client-2"},
    },
    "operator": {"healthPort": 0, "metricsPort": 0, "resyncSeconds": 3600, "requestTimeoutSeconds": 10},
}


@dataclass
class Plane:
    """The control plane: where it is and what it was asked to write."""

    kubeconfig: Path
    audit: AuditLog


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    folder = tmp_path_factory.mktemp("plane")
    audit = AuditLog(folder)
    # Workloads says how far Deployments are; nothing may contradict it.
    with ControlPlane(folder, apiserver=audit.arguments, without=["deployment-controller"]) as control:
        kubectl = [str(control.binaries["kubectl"]), "--kubeconfig", str(control.kubeconfig)]
        subprocess.run(
            [*kubectl, "apply", "-f", ROOT / "crds", "-f", HERE / "cluster-crd.yaml"],
            check=True,
            capture_output=True,
        )
        served = "guestposttenants,clusters"
        deadline = time.monotonic() + PATIENCE
        while subprocess.run([*kubectl, "get", served, "-A"], capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline, "the CRDs are not served"
        subprocess.run([*kubectl, "create", "namespace", "guestpost-system"], check=True, capture_output=True)
        before = os.environ.get("KUBECONFIG")
        os.environ["KUBECONFIG"] = str(control.kubeconfig)
        yield Plane(control.kubeconfig, audit)
        if before is None:
            os.environ.pop("KUBECONFIG")
        else:
            os.environ["KUBECONFIG"] = before


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PubSubStandin]:
    binary = binaries.ensure("pubsub-standin")["pubsub-standin"]
    with PubSubStandin(binary, tmp_path_factory.mktemp("pubsub") / "log") as running:
        os.environ["PUBSUB_EMULATOR_HOST"] = running.address
        yield running
        os.environ.pop("PUBSUB_EMULATOR_HOST")


class FaultyCluster(KubernetesCluster):
    """The real client, told when to misbehave.

    `fault(method, path)` is asked before each request: an exception is raised instead of the
    request; the exception wrapped by `AfterError` is raised although the request was carried out.
    """

    fault: Callable[[str, str], Exception | None] = staticmethod(lambda method, path: None)

    async def request(self, method: str, path: str, *args: Any, **options: Any) -> Any:
        error = self.fault(method, path)
        if isinstance(error, AfterError):
            await super().request(method, path, *args, **options)
            raise error.error
        if error is not None:
            raise error
        return await super().request(method, path, *args, **options)


class AfterError(Exception):
    """The request is carried out, its answer is lost."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


async def connect(agent: str = "guestpost-operator") -> FaultyCluster:
    return await FaultyCluster.connect(concurrency=16, timeout=10, agent=agent)


@pytest.fixture
async def admin(plane: Plane) -> AsyncIterator[KubernetesCluster]:
    client = await connect("test")
    yield client
    await client.close()


@pytest.fixture
async def workloads(admin: KubernetesCluster) -> AsyncIterator[Workloads]:
    async with Workloads(admin) as running:
        yield running


@pytest.fixture
async def pubsub(standin: PubSubStandin) -> AsyncIterator[PubSub]:
    client = PubSub(timeout=5)
    yield client
    await client.close()


def configuration(**changes: Any) -> Config:
    """The tests' configuration with parts replaced; keys are dotted paths with __ for dots."""
    document = yaml.safe_load(yaml.safe_dump(CONFIG))
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = document
        for parent in parents:
            place = place[parent]
        place[last] = value
    return Config.model_validate(document)


@pytest.fixture
def configure() -> Callable[..., Config]:
    return configuration


@pytest.fixture
def after() -> type[AfterError]:
    return AfterError


class Running:
    """An operator, kopf included, in a thread and event loop of its own.

    Attributes:
        cluster: its client, which can be told to misbehave.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._stop = threading.Event()
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="operator", daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(PATIENCE)
        if self._error:
            raise self._error

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:
            self._error = error
        finally:
            self._started.set()

    async def _run(self) -> None:
        self.cluster = await connect()
        self.pubsub = PubSub(timeout=5)
        self.operator = Operator(self._config, self.cluster, self.pubsub)
        try:
            await self.operator.start()
            self._started.set()
            await self.operator.serve(self._stop)
        finally:
            await self.operator.stop()
            await self.pubsub.close()
            await self.cluster.close()


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
def start(plane: Plane, standin: PubSubStandin) -> Iterator[Start]:
    """Starts operators and stops them after the test."""
    started: list[Running] = []

    async def begin(config: Config | None = None) -> Running:
        running = Running(config or configuration())
        started.append(running)
        await asyncio.to_thread(running.start)
        return running

    yield begin
    for running in started:
        running.stop()


@dataclass
class Tenants:
    """What people do to tenants, and what they see."""

    admin: KubernetesCluster
    made: list[str] = field(default_factory=list)

    async def create(self, name: str = "", finalizer: bool = False, **spec: Any) -> dict[str, Any]:
        name = name or f"t{uuid.uuid4().hex[:10]}"
        body: dict[str, Any] = {
            "apiVersion": TENANT.api_version,
            "kind": TENANT.name,
            "metadata": {"name": name},
            "spec": {
                "owner": {"name": "Anna Reyes", "email": "anna@acme.example"},
                "region": "europe-west1",
                "googleProject": PROJECT,
                **spec,
            },
        }
        if finalizer:
            body["metadata"]["finalizers"] = [names.FINALIZER]
        self.made.append(name)
        return await self.admin.create(TENANT, body)

    async def get(self, name: str) -> dict[str, Any] | None:
        return await self.admin.get(TENANT, name)

    async def patch(self, name: str, **patch: Any) -> dict[str, Any]:
        return await self.admin.merge(TENANT, name, None, patch)

    async def wait(self, name: str, condition: str, status: str = "True", reason: str = "") -> dict[str, Any]:
        """The tenant once the condition has this status (and reason) for its current generation."""

        async def met() -> dict[str, Any] | None:
            tenant = await self.get(name)
            if tenant is None or not holds(tenant, condition, status, reason):
                return None
            return (
                tenant if tenant["status"]["observedGeneration"] == tenant["metadata"]["generation"] else None
            )

        return await eventually(met, lambda: f"{condition}={status} {reason} of {name}")

    async def delete(self, name: str) -> None:
        await self.admin.delete(TENANT, name, None, None)

    async def eventually(self, check: Callable[[], Awaitable[T]], what: str) -> T:
        """The first true answer of `check`."""
        return await eventually(check, lambda: what)

    async def wait_gone(self, name: str) -> None:
        async def gone() -> bool:
            return await self.get(name) is None

        await eventually(gone, lambda: f"{name} to be gone")


@pytest.fixture
async def tenants(admin: KubernetesCluster) -> AsyncIterator[Tenants]:
    helper = Tenants(admin)
    yield helper
    for name in helper.made:
        # No operator may be left to do it in order: the next test must not see it.
        while (tenant := await helper.get(name)) is not None:
            with contextlib.suppress(ConflictError, UnavailableError):
                if tenant["metadata"].get("finalizers"):
                    await helper.patch(
                        name, metadata={"finalizers": None}, spec={"deletion": {"protected": False}}
                    )
                await helper.delete(name)


def holds(tenant: dict[str, Any], condition: str, status: str, reason: str = "") -> bool:
    return any(
        each["type"] == condition and each["status"] == status and reason in ("", each["reason"])
        for each in tenant.get("status", {}).get("conditions", ())
    )


async def eventually(check: Callable[[], Awaitable[T]], what: Callable[[], str]) -> T:
    """The first true answer of `check`."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := await check():
            return found
        await asyncio.sleep(0.05)
    pytest.fail(f"waited {PATIENCE:.0f} s for {what()}")
