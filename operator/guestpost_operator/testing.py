"""For tests and benchmarks: stand-ins for what a cluster without nodes lacks, and what they ask it.

Nothing here runs in production.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from guestpost_operator.backends.cluster import KubernetesCluster
from guestpost_operator.backends.errors import AlreadyExistsError, BackendError
from guestpost_operator.backends.kinds import CLUSTER, DEPLOYMENT, JOB, SECRET, Kind

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
    """Says what controllers would: Deployments are available, PostgreSQL Clusters ready or asleep, Jobs done.

    Args:
        cluster: a client of its own, with rights on their status.

    Attributes:
        judge: changes what is about to be said of an object, so that a test can have it fail.
    """

    def __init__(self, cluster: KubernetesCluster) -> None:
        self.judge: Callable[[Object, Object], Object] = lambda obj, status: status
        self._cluster = cluster
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._keep(kind)) for kind in (DEPLOYMENT, CLUSTER, JOB)]
        self._tasks.append(asyncio.create_task(self._passwords()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def look(self, kind: Kind, name: str, namespace: str) -> None:
        """Say anew how an object is, if it is there: the judge has changed his mind."""
        found = await self._cluster.get(kind, name, namespace)
        if found is not None:
            await self._mark(kind, found)

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

    async def _passwords(self) -> None:
        """Look at PostgreSQL's logins again when one of their Secrets changes, as CloudNativePG does."""
        while True:
            with contextlib.suppress(BackendError):
                async for event in self._cluster.watch(
                    SECRET, "cnpg.io/reload=true", "0", server_seconds=300, silence=90
                ):
                    namespace = event["object"]["metadata"].get("namespace")
                    for cluster in await self._cluster.find(CLUSTER, namespace) if namespace else ():
                        await self._mark(CLUSTER, cluster)
            await asyncio.sleep(0.2)

    async def _roles(self, obj: Object) -> Object:
        """What is said of the logins that are declared."""
        found, versions = [], {}
        for role in (obj["spec"].get("managed") or {}).get("roles") or ():
            secret = await self._cluster.get(
                SECRET, role["passwordSecret"]["name"], obj["metadata"]["namespace"]
            )
            if secret is not None:
                found.append(role["name"])
                versions[role["name"]] = {"resourceVersion": secret["metadata"]["resourceVersion"]}
        if not found:
            return {}
        return {"managedRolesStatus": {"byStatus": {"reconciled": found}, "passwordStatus": versions}}

    async def _mark(self, kind: Kind, obj: Object) -> None:
        metadata, status = obj["metadata"], obj.get("status") or {}
        obj.setdefault("kind", kind.name)
        said = _STATUS[kind.name](obj) | (await self._roles(obj) if kind is CLUSTER else {})
        new = self.judge(obj, said)
        if "deletionTimestamp" in metadata or all(status.get(key) == value for key, value in new.items()):
            return
        path = kind.path(metadata["namespace"], metadata["name"]) + "/status"
        try:
            await self._cluster.request(
                "PATCH", path, {"status": new}, content_type="application/merge-patch+json"
            )
        except BackendError:
            return


def _deployment(obj: Object) -> Object:
    wanted = obj["spec"].get("replicas", 1) or None
    found = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), wanted)
    return {"observedGeneration": obj["metadata"]["generation"], **found, "unavailableReplicas": None}


def _cluster(obj: Object) -> Object:
    """As CloudNativePG: its condition Ready and its phase stay "healthy" while it sleeps."""
    asleep = (obj["metadata"].get("annotations") or {}).get("cnpg.io/hibernation") == "on"
    conditions = [{"type": "Ready", "status": "True", "reason": "ClusterIsReady", "message": ""}]
    if asleep:
        conditions.append(
            {"type": "cnpg.io/hibernation", "status": "True", "reason": "Hibernated", "message": ""}
        )
    ready = None if asleep else obj["spec"].get("instances", 1)
    return {"phase": "Cluster in healthy state", "readyInstances": ready, "conditions": conditions}


def _job(obj: Object) -> Object:
    now = obj["metadata"]["creationTimestamp"]
    conditions = [
        {"type": kind, "status": "True", "lastProbeTime": now, "lastTransitionTime": now}
        for kind in ("SuccessCriteriaMet", "Complete")
    ]
    return {"startTime": now, "completionTime": now, "succeeded": 1, "conditions": conditions}


_STATUS: dict[str, Callable[[Object], Object]] = {
    DEPLOYMENT.name: _deployment,
    CLUSTER.name: _cluster,
    JOB.name: _job,
}


@dataclass(frozen=True)
class Write:
    """One write request that the API server answered.

    Attributes:
        agent: the client's user agent.
        user: the client's name at the API server.
        what: verb, resource and subresource, such as "patch guestposttenants/status".
        namespace: "" for cluster-scoped objects.
        code: HTTP status.
    """

    agent: str
    user: str
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
                if not line.endswith("\n"):
                    return  # it is being written
                event = json.loads(line)
                ref = event.get("objectRef") or {}
                if event["verb"] not in WRITES:
                    continue
                sub = f"/{ref['subresource']}" if ref.get("subresource") else ""
                yield Write(
                    agent=event.get("userAgent", ""),
                    user=event["user"].get("username", ""),
                    what=f"{event['verb']} {ref.get('resource', '')}{sub}",
                    namespace=ref.get("namespace", ""),
                    name=ref.get("name", ""),
                    code=(event.get("responseStatus") or {}).get("code", 0),
                )


async def admin_token(admin: KubernetesCluster, user: str) -> str:
    """A token of a cluster admin who has a name of its own in the audit log.

    Args:
        admin: makes the service account of that name in namespace `default`, if it is not there.
        user: name of the service account.
    """
    core, rbac = "/api/v1/namespaces/default/serviceaccounts", "/apis/rbac.authorization.k8s.io/v1"
    binding = {
        "metadata": {"name": f"test-{user}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": user, "namespace": "default"}],
    }
    for where, body in ((core, {"metadata": {"name": user}}), (f"{rbac}/clusterrolebindings", binding)):
        with contextlib.suppress(AlreadyExistsError):
            await admin.request("POST", where, body)
    made = await admin.request("POST", f"{core}/{user}/token", {"spec": {"expirationSeconds": 86400}})
    return str(made["status"]["token"])


def kubeconfig_with(token: str, base: Path, path: Path) -> None:
    """Write a kubeconfig like another one, with a token instead of its user."""
    access = yaml.safe_load(base.read_text(encoding="utf-8"))
    access["users"][0]["user"] = {"token": token}
    path.write_text(yaml.safe_dump(access), encoding="utf-8")


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
