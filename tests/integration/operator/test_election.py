"""Two operators and one Lease: never both at work, and never none for long."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from guestpost_operator.backends import election as elections
from guestpost_operator.backends.cluster import KubernetesCluster
from guestpost_operator.backends.election import LEASE, Election
from guestpost_operator.backends.errors import NotFoundError
from guestpost_operator.backends.fence import NotLeaderError
from guestpost_operator.backends.kinds import CONFIG_MAP
from guestpost_operator.backends.pubsub import PubSub, Topic
from guestpost_operator.testing import admin_token, kubeconfig_with
from kubernetes.aio.leaderelection import leaderelection

ROOT = Path(__file__).resolve().parents[3]
# The shortest that the settings allow.
LEASE_SECONDS = 6
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"


@dataclass
class Candidate:
    """An operator as far as elections are concerned."""

    election: Election
    cluster: KubernetesCluster
    alone: KubernetesCluster
    lost: list[float] = field(default_factory=list)

    async def write(self, namespace: str, name: str) -> None:
        await self.cluster.create(
            CONFIG_MAP,
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}},
        )


class Polls:
    """The candidates of one namespace, and its Lease."""

    def __init__(self, admin: KubernetesCluster, namespace: str) -> None:
        self.admin, self.namespace = admin, namespace
        self.candidates: list[Candidate] = []

    async def candidate(self, identity: str) -> Candidate:
        lost: list[float] = []
        fence = elections.fence(LEASE_SECONDS)
        alone = await KubernetesCluster.connect(
            timeout=LEASE_SECONDS * elections.CALL_PART, agent="candidate"
        )
        election = Election(
            alone,
            namespace=self.namespace,
            identity=identity,
            lease_seconds=LEASE_SECONDS,
            fence=fence,
            lost=lambda: lost.append(time.monotonic()),
        )
        cluster = await KubernetesCluster.connect(timeout=10, agent="candidate", fence=fence)
        made = Candidate(election, cluster, alone, lost)
        self.candidates.append(made)
        return made

    async def lease(self) -> dict[str, Any]:
        return await self.admin.request("GET", f"{LEASES.format(self.namespace)}/{LEASE}")

    async def holder(self) -> str:
        try:
            return str((await self.lease())["spec"].get("holderIdentity", ""))
        except NotFoundError:
            return ""


@pytest.fixture
async def polls(admin: KubernetesCluster) -> AsyncIterator[Polls]:
    namespace = f"election-{uuid.uuid4().hex[:8]}"
    await admin.request(
        "POST",
        "/api/v1/namespaces",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
    )
    found = Polls(admin, namespace)
    yield found
    for each in found.candidates:
        await each.election.release()
        await each.cluster.close()
        await each.alone.close()


async def won(candidate: Candidate, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        await candidate.election.won()


async def soon(met: Callable[[], Any], seconds: float = 2.0 * LEASE_SECONDS) -> None:
    """Wait for something, which may be a coroutine function, to be true."""
    async with asyncio.timeout(seconds):
        while True:
            answer = met()
            if await answer if asyncio.iscoroutine(answer) else answer:
                return
            await asyncio.sleep(0.05)


async def test_the_second_stands_by_and_takes_over_what_is_released(polls: Polls) -> None:
    first, second = await polls.candidate("first"), await polls.candidate("second")
    await won(first)
    waiting = asyncio.create_task(won(second, 60))
    await soon(lambda: second.election.standing_by)
    assert not first.election.standing_by
    await first.write(polls.namespace, "by-the-first")
    with pytest.raises(NotLeaderError):
        await second.write(polls.namespace, "by-the-second")

    await first.election.release()
    begin = time.monotonic()
    await waiting
    assert time.monotonic() - begin < LEASE_SECONDS
    assert await polls.holder() == "second"
    assert first.lost == [], "giving it back is no loss"
    with pytest.raises(NotLeaderError):
        await first.write(polls.namespace, "too-late")
    await second.write(polls.namespace, "by-the-second")


async def test_who_cannot_renew_stops_before_another_may_begin(
    polls: Polls, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await polls.candidate("first"), await polls.candidate("second")
    await won(first)
    waiting = asyncio.create_task(won(second, 60))
    await soon(lambda: second.election.standing_by)

    async def silence(*asked: Any) -> None:
        await asyncio.sleep(asked[-1].total)
        raise TimeoutError

    # Whatever it asks from now on is never answered.
    monkeypatch.setattr(first.alone, "_open", silence)
    await waiting
    taken = time.monotonic()
    assert len(first.lost) == 1
    assert first.lost[0] < taken
    with pytest.raises(NotLeaderError):
        await first.write(polls.namespace, "by-the-first")


async def test_a_wall_clock_that_jumps_takes_nobodys_lease(
    polls: Polls, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await polls.candidate("first"), await polls.candidate("second")
    await won(first)
    waiting = asyncio.create_task(won(second, 60))
    await soon(lambda: second.election.standing_by)
    # The library asks the wall clock; an hour ahead, every lease looks over.
    real = time.time
    monkeypatch.setattr(leaderelection.time, "time", lambda: real() + 3600)
    renewed = (await polls.lease())["spec"]["renewTime"]

    async def renewed_twice() -> bool:
        nonlocal renewed
        spec = (await polls.lease())["spec"]
        assert spec["holderIdentity"] == "first"
        seen, renewed = renewed, spec["renewTime"]
        return bool(seen != renewed)

    await soon(renewed_twice)
    await soon(renewed_twice)
    assert first.lost == []
    waiting.cancel()


async def test_a_lease_that_somebody_takes_away_is_lost_at_once(polls: Polls) -> None:
    first = await polls.candidate("first")
    await won(first)
    await polls.admin.request(
        "PATCH",
        f"{LEASES.format(polls.namespace)}/{LEASE}",
        {"spec": {"holderIdentity": "somebody"}},
        content_type="application/merge-patch+json",
    )
    await soon(lambda: first.lost, seconds=LEASE_SECONDS * elections.RENEW_PART)
    with pytest.raises(NotLeaderError):
        await first.write(polls.namespace, "by-the-first")


async def test_an_api_server_that_is_away_is_asked_until_it_is_back(
    polls: Polls, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await polls.candidate("first")
    asked: list[str] = []

    async def refuse(method: str, *_: Any, **__: Any) -> None:
        asked.append(method)
        raise ConnectionRefusedError("injected")

    with monkeypatch.context() as away:
        away.setattr(first.alone, "_open", refuse)
        waiting = asyncio.create_task(won(first))
        await soon(lambda: len(asked) > 2)
        assert not first.election.standing_by
    await waiting


async def test_pubsub_is_fenced_too(addresses: None) -> None:
    fence = elections.fence(LEASE_SECONDS)
    pubsub = PubSub(timeout=5, fence=fence)
    name = f"projects/guestpost-dev/topics/fenced-{uuid.uuid4().hex[:6]}"
    try:
        with pytest.raises(NotLeaderError):
            await pubsub.create_topic(Topic(name=name, labels={}, regions=("europe-west1",)))
        assert await pubsub.get_topic(name) is None
    finally:
        await pubsub.close()


# -- The real program


@dataclass
class Programs:
    """Operators as processes, each with a user of its own, so that the audit log tells them apart."""

    admin: KubernetesCluster
    kubeconfig: Path
    folder: Path
    configuration: dict[str, Any]
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    async def start(self, name: str) -> subprocess.Popen[bytes]:
        return self._launch(name, await admin_token(self.admin, name))

    def _launch(self, name: str, token: str) -> subprocess.Popen[bytes]:
        access, config = self.folder / f"{name}.kubeconfig", self.folder / "config.yaml"
        kubeconfig_with(token, self.kubeconfig, access)
        config.write_text(yaml.safe_dump(self.configuration))
        own = {"KUBECONFIG": str(access), "POD_NAME": name, "GUESTPOST_CONFIG": str(config)}
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "guestpost_operator", "run"],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(ROOT / "operator"), **own},
            )
        self.running.append(process)
        return process

    async def wait_for_log(self, name: str, text: str) -> None:
        await soon(lambda: text in (self.folder / f"{name}.log").read_text(), 30)

    async def leader(self) -> str:
        try:
            lease = await self.admin.request("GET", f"{LEASES.format('guestpost-system')}/{LEASE}")
        except NotFoundError:
            return ""
        return str(lease["spec"].get("holderIdentity", "")).partition("_")[0]

    async def wait_for_leader(self, name: str, seconds: float) -> None:
        async def leads() -> bool:
            return await self.leader() == name

        await soon(leads, seconds)

    def stop(self) -> None:
        for process in self.running:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def programs(
    plane: Any, standin: Any, admin: KubernetesCluster, tmp_path: Path, configure: Any
) -> Iterator[Programs]:
    document = configure(operator__leaseSeconds=LEASE_SECONDS).model_dump(mode="json", by_alias=True)
    made = Programs(admin, plane.kubeconfig, tmp_path, document)
    yield made
    made.stop()


async def keep_disturbing(admin: KubernetesCluster, names: list[str]) -> None:
    """Delete what the operator restores, again and again, so that it always has something to write."""
    while True:
        for name in names:
            await admin.delete(CONFIG_MAP, "trust", f"gpt-{name}", None)
            await asyncio.sleep(0.05)


async def test_sigterm_hands_over_at_once(programs: Programs) -> None:
    first = await programs.start("first")
    await programs.wait_for_leader("first", 30)
    await programs.start("second")
    await programs.wait_for_log("second", "another operator leads")
    first.terminate()
    begin = time.monotonic()
    assert await asyncio.to_thread(first.wait, 20) == 0
    await programs.wait_for_leader("second", LEASE_SECONDS)
    assert time.monotonic() - begin < LEASE_SECONDS


async def test_a_leader_that_was_stopped_and_goes_on_writes_nothing(
    programs: Programs, plane: Any, tenants: Any, workloads: Any, admin: KubernetesCluster
) -> None:
    first = await programs.start("first")
    await programs.wait_for_leader("first", 30)
    made = [(await tenants.create())["metadata"]["name"] for _ in range(5)]
    for name in made:
        await tenants.wait(name, "Ready")
    await programs.start("second")
    await programs.wait_for_log("second", "another operator leads")
    disturbing = asyncio.create_task(keep_disturbing(admin, made))
    mark = plane.audit.mark()
    await asyncio.sleep(0.5)
    first.send_signal(signal.SIGSTOP)
    await programs.wait_for_leader("second", 3 * LEASE_SECONDS)

    async def busy() -> bool:
        return any(
            each.user.endswith(":second") and not each.what.endswith(" leases")
            for each in plane.audit.writes(mark)
        )

    await tenants.eventually(busy, "the second to restore something")
    first.send_signal(signal.SIGCONT)
    assert await asyncio.to_thread(first.wait, 20) == 1
    disturbing.cancel()
    order = [
        (each.user.rpartition(":")[2], each.what)
        for each in plane.audit.writes(mark)
        if each.user.endswith((":first", ":second"))
    ]
    taken = next(at for at, each in enumerate(order) if each[0] == "second")
    assert order[taken][1].endswith(" leases")
    assert any(user == "first" and not what.endswith(" leases") for user, what in order[:taken]), (
        "it was busy"
    )
    assert [each for each in order[taken:] if each[0] == "first"] == []
    assert "lease lost" in (programs.folder / "first.log").read_text()
