"""For tests and benchmarks: stand-ins for what a cluster without nodes lacks, and what they ask it.

Nothing here runs in production.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from guestpost_operator.backends.cluster import KubernetesCluster
from guestpost_operator.backends.errors import BackendError
from guestpost_operator.backends.kinds import CLUSTER, DEPLOYMENT, Kind

Object = dict[str, Any]

AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
  - {level: Metadata, verbs: [create, update, patch, delete, deletecollection]}
  - {level: None}
"""
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


class Workloads:
    """Says that Deployments are available and PostgreSQL Clusters ready, as their controllers would.

    Args:
        cluster: a client of its own, with rights on their status.
    """

    def __init__(self, cluster: KubernetesCluster) -> None:
        self._cluster = cluster
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._keep(kind)) for kind in (DEPLOYMENT, CLUSTER)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, kind: Kind) -> None:
        while True:
            try:
                version: list[str] = []
                async for obj in self._cluster.pages(kind, version=version):
                    await self._mark(kind, obj)
                async for event in self._cluster.watch(kind, "", version[0], server_seconds=300, silence=90):
                    if event["type"] in {"ADDED", "MODIFIED"}:
                        await self._mark(kind, event["object"])
            except BackendError:
                await asyncio.sleep(0.2)

    async def _mark(self, kind: Kind, obj: Object) -> None:
        metadata, status = obj["metadata"], obj.get("status") or {}
        if kind is DEPLOYMENT:
            wanted = obj["spec"].get("replicas", 1)
            new: Object = {"observedGeneration": metadata["generation"], "replicas": wanted}
            new |= {"updatedReplicas": wanted, "readyReplicas": wanted, "availableReplicas": wanted}
            new |= {"unavailableReplicas": None}
        else:
            new = {"phase": "Cluster in healthy state", "readyInstances": obj["spec"].get("instances", 1)}
            new |= {
                "conditions": [{"type": "Ready", "status": "True", "reason": "ClusterIsReady", "message": ""}]
            }
        if "deletionTimestamp" in metadata or all(status.get(key) == value for key, value in new.items()):
            return
        path = kind.path(metadata["namespace"], metadata["name"]) + "/status"
        try:
            await self._cluster.request(
                "PATCH", path, {"status": new}, content_type="application/merge-patch+json"
            )
        except BackendError:
            return


@dataclass(frozen=True)
class Write:
    """One write request that the API server answered.

    Attributes:
        agent: the client's user agent.
        what: verb, resource and subresource, such as "patch guestposttenants/status".
        namespace: "" for cluster-scoped objects.
        code: HTTP status.
    """

    agent: str
    what: str
    namespace: str
    name: str
    code: int


class AuditLog:
    """The API server's audit log, which counts each write whatever client made it.

    Args:
        folder: where the policy is written and the log will be.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "audit.log"
        self._policy = folder / "audit-policy.yaml"
        self._policy.write_text(AUDIT_POLICY)

    @property
    def arguments(self) -> tuple[str, ...]:
        """For kube-apiserver."""
        return (
            f"--audit-policy-file={self._policy}",
            f"--audit-log-path={self.path}",
            "--audit-log-mode=blocking",
            "--audit-log-maxsize=2000",
        )

    def mark(self) -> int:
        """Where the log ends now."""
        return self.path.stat().st_size if self.path.exists() else 0

    def writes(self, since: int = 0) -> Iterator[Write]:
        """Write requests since a mark, in the order in which they ended."""
        with self.path.open(encoding="utf-8") as log:
            log.seek(since)
            for line in log:
                event = json.loads(line)
                ref = event.get("objectRef") or {}
                if event["verb"] not in WRITES:
                    continue
                sub = f"/{ref['subresource']}" if ref.get("subresource") else ""
                yield Write(
                    agent=event.get("userAgent", ""),
                    what=f"{event['verb']} {ref.get('resource', '')}{sub}",
                    namespace=ref.get("namespace", ""),
                    name=ref.get("name", ""),
                    code=(event.get("responseStatus") or {}).get("code", 0),
                )


class PubSubStandin:
    """The Pub/Sub stand-in as a process on a free port of 127.0.0.1.

    Args:
        binary: the program `pubsub-standin`.
        log: file for what it says.
    """

    def __init__(self, binary: Path, log: Path) -> None:
        self._binary, self._log = binary, log
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"

    def start(self) -> None:
        """Start it, empty, on the same address each time, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own program
                [self._binary, "-listen", self.address],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(os.environ),
            )
        deadline = time.monotonic() + 20
        host, port = self.address.split(":")
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"the Pub/Sub stand-in ended: {self._log.read_text()[-500:]}")
            with socket.socket() as probe:
                if probe.connect_ex((host, int(port))) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError("the Pub/Sub stand-in does not answer")

    def stop(self) -> None:
        """Stop it; what it held is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
