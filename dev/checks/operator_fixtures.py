"""Fixtures of tests of the operator: clients, the Pub/Sub stand-in, operators in this process.

No plugin: tests/integration/operator and tests/reliability import what they use into their conftest.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
import yaml
from guestpost_operator.api import names
from guestpost_operator.application import Operator
from guestpost_operator.backends.cluster import KubernetesCluster
from guestpost_operator.backends.errors import ConflictError, NotFoundError, UnavailableError
from guestpost_operator.backends.kinds import TENANT
from guestpost_operator.backends.pubsub import PubSub
from guestpost_operator.settings import Config
from guestpost_operator.testing import PubSubStandin, Workloads
from localkube import binaries
from operator_faults import AfterError, Calls, FaultyCluster, FaultyPubSub
from plane_fixtures import Plane

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


# Of a module: it looks at each subscription a hundred times a second, also at those that tests leave behind.
@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PubSubStandin]:
    """Pub/Sub of a module's tests."""
    binary = binaries.ensure("pubsub-standin")["pubsub-standin"]
    with PubSubStandin(binary, tmp_path_factory.mktemp("pubsub") / "log") as running:
        yield running


@pytest.fixture
def addresses(plane: Plane, standin: PubSubStandin) -> Iterator[None]:
    """Where a test's clients find both: other folders' tests in the same process have their own."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("KUBECONFIG", str(plane.kubeconfig))
        environment.setenv("PUBSUB_EMULATOR_HOST", standin.address)
        yield


async def connect(agent: str = "guestpost-operator", timeout: float = 10) -> FaultyCluster:
    """A client of the API server, as an admin."""
    return await FaultyCluster.connect(concurrency=16, timeout=timeout, agent=agent)


@pytest.fixture
async def admin(addresses: None) -> AsyncIterator[KubernetesCluster]:
    """The test's own client."""
    client = await connect("test")
    yield client
    await client.close()


@pytest.fixture
async def workloads(admin: KubernetesCluster) -> AsyncIterator[Workloads]:
    """Plays the controllers and the pods."""
    async with Workloads(admin) as running:
        yield running


@pytest.fixture
async def pubsub(addresses: None) -> AsyncIterator[PubSub]:
    """The test's own client of Pub/Sub."""
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
    """See `configuration`."""
    return configuration


@pytest.fixture
def after() -> type[AfterError]:
    """See `AfterError`."""
    return AfterError


class Running:
    """An operator, kopf included, in a thread and event loop of its own.

    Args:
        config: its configuration.
        calls: is told of all that it does outside.

    Attributes:
        cluster: its client, which can be told to misbehave.
    """

    def __init__(self, config: Config, calls: Calls | None = None) -> None:
        self._config = config
        self._calls = calls
        self._stop = threading.Event()
        self._starting: tuple[asyncio.AbstractEventLoop, asyncio.Task[None]] | None = None
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="operator", daemon=True)

    def start(self) -> None:
        """Start it, and wait until it works."""
        self._thread.start()
        if not self._started.wait(PATIENCE):
            raise TimeoutError("the operator does not start")
        if self._error:
            raise self._error

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Stop it, also while it starts, and wait until nothing of it runs any more."""
        self._stop.set()
        if self._starting is not None and not self._started.is_set():
            loop, task = self._starting
            with contextlib.suppress(RuntimeError):  # it has just ended by itself
                loop.call_soon_threadsafe(task.cancel)
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            raise TimeoutError("the operator does not end")

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:
            self._error = error
        finally:
            self._started.set()

    async def _run(self) -> None:
        timeout = self._config.operator.request_timeout_seconds
        self.cluster = await connect(timeout=timeout)
        self.pubsub = FaultyPubSub(timeout=min(timeout, 5))
        self.cluster.calls = self.pubsub.calls = self._calls
        self.operator = Operator(self._config, self.cluster, self.pubsub)
        starting = asyncio.ensure_future(self.operator.start())
        self._starting = asyncio.get_running_loop(), starting
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await starting
            self._started.set()
            if not self._stop.is_set():
                await self.operator.serve(self._stop)
        finally:
            await self.operator.stop()
            await self.pubsub.close()
            await self.cluster.close()


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
def start(addresses: None) -> Iterator[Start]:
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
        """A tenant without a last export, unless that is asked for: here are no pods that would make one."""
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
                "deletion": {"finalExport": "Skip", **spec.get("deletion", {})},
            },
        }
        if finalizer:
            body["metadata"]["finalizers"] = [names.FINALIZER]
        self.made.append(name)
        return await self.admin.create(TENANT, body)

    async def get(self, name: str) -> dict[str, Any] | None:
        """A tenant as it is now."""
        return await self.admin.get(TENANT, name)

    async def patch(self, name: str, **patch: Any) -> dict[str, Any]:
        """Change a tenant."""
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
        """Delete a tenant; that it is gone is another matter."""
        await self.admin.delete(TENANT, name, None, None)

    async def eventually(self, check: Callable[[], Awaitable[T]], what: str) -> T:
        """The first true answer of `check`."""
        return await eventually(check, lambda: what)

    async def drop(self, name: str) -> None:
        """Remove a tenant without an operator, which may be gone: the next test must not see it."""

        async def gone() -> bool:
            tenant = await self.get(name)
            if tenant is None:
                return True
            with contextlib.suppress(ConflictError, UnavailableError, NotFoundError):
                if tenant["metadata"].get("finalizers"):
                    await self.patch(
                        name, metadata={"finalizers": None}, spec={"deletion": {"protected": False}}
                    )
                await self.delete(name)
            return False

        await eventually(gone, lambda: f"{name} to be removed")

    async def wait_gone(self, name: str) -> None:
        """Wait until a tenant is erased."""

        async def gone() -> bool:
            return await self.get(name) is None

        await eventually(gone, lambda: f"{name} to be gone")


@pytest.fixture
async def tenants(admin: KubernetesCluster) -> AsyncIterator[Tenants]:
    """Tenants of one test, gone after it."""
    helper = Tenants(admin)
    yield helper
    for name in helper.made:
        await helper.drop(name)


def holds(tenant: dict[str, Any], condition: str, status: str, reason: str = "") -> bool:
    """Whether a condition of a tenant has this status, and this reason if one is given."""
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
