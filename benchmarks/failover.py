"""Two operators, and the one that leads is killed, again and again: how long does nobody lead?

    make bench NAME=failover

A fresh control plane, two real operator processes with the lease of the chart, some tenants, and somebody
who keeps damaging what the operators restore. `failover.max` is the longest time from a SIGKILL to the
first object that the other operator restores; its floor is the length of the lease, for which a
silent holder keeps others away. Then leaders are stopped (SIGSTOP) until another one leads, and go on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from harness import figure, say
from scene import Ready, Scene, apply_all, client, new, until

ROOT = Path(__file__).resolve().parent.parent

from guestpost_operator.backends.cluster import KubernetesCluster  # noqa: E402
from guestpost_operator.backends.election import LEASE  # noqa: E402
from guestpost_operator.backends.errors import NotFoundError  # noqa: E402
from guestpost_operator.backends.kinds import CONFIG_MAP  # noqa: E402
from guestpost_operator.settings import OperatorSettings  # noqa: E402
from guestpost_operator.testing import Write, admin_token, kubeconfig_with  # noqa: E402

TENANTS = 5
POLL = 0.05
LEASE_PATH = f"/apis/coordination.k8s.io/v1/namespaces/guestpost-system/leases/{LEASE}"
LEASE_SECONDS: int = OperatorSettings().lease_seconds
SEED = 20261124


@dataclass
class Operator:
    """One operator process; its name is its user's at the API server, too."""

    name: str
    process: subprocess.Popen[bytes]


class Pair:
    """Two operators: one leads, one stands by."""

    def __init__(self, scene: Scene, cluster: KubernetesCluster) -> None:
        self.scene, self.cluster = scene, cluster
        self.operators: dict[str, Operator] = {}
        self.base = Path(scene.environment["KUBECONFIG"])
        self._stack = contextlib.ExitStack()
        self._started = 0

    async def start(self) -> Operator:
        """One more operator."""
        self._started += 1
        name = f"operator-{self._started}"
        return self._launch(name, await admin_token(self.cluster, name))

    def _launch(self, name: str, token: str) -> Operator:
        access = self.scene.folder / f"{name}.kubeconfig"
        kubeconfig_with(token, self.base, access)
        config = yaml.safe_load(self.scene.config.read_text())
        config["operator"] |= {"metricsPort": 0, "healthPort": 0}
        path = self.scene.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(config))
        self.scene.environment |= {"KUBECONFIG": str(access), "GUESTPOST_CONFIG": str(path), "POD_NAME": name}
        process = self._stack.enter_context(
            self.scene.process(name, [sys.executable, "-m", "guestpost_operator", "run"])
        )
        self.operators[name] = Operator(name, process)
        return self.operators[name]

    async def leader(self) -> Operator | None:
        """Whoever holds the lease and lives."""
        try:
            lease = await self.cluster.request("GET", LEASE_PATH)
        except NotFoundError:
            return None
        name = str(lease["spec"].get("holderIdentity", "")).partition("_")[0]
        return self.operators.get(name)

    async def other_leads(self, than: Operator | None) -> Operator:
        """Wait until somebody else leads."""
        while True:
            leader = await self.leader()
            if leader is not None and leader is not than:
                return leader
            await asyncio.sleep(POLL)

    async def stands_by(self, operator: Operator) -> None:
        """Wait until an operator knows who leads."""
        log = self.scene.folder / f"{operator.name}.log"
        await until(lambda: b"another operator leads" in log.read_bytes())

    def ended(self, operator: Operator) -> None:
        """Forget one that has ended."""
        del self.operators[operator.name]

    def stop(self) -> None:
        """End those that are left."""
        for each in self.operators.values():
            each.process.send_signal(signal.SIGCONT)
        self._stack.close()


async def damage(cluster: KubernetesCluster) -> None:
    """Keep deleting what the operator restores."""
    while True:
        for number in range(TENANTS):
            await cluster.delete(CONFIG_MAP, "trust", f"gpt-t{number}", None)
            await asyncio.sleep(POLL)


@contextlib.asynccontextmanager
async def damaging(cluster: KubernetesCluster) -> AsyncIterator[None]:
    """Somebody who damages, meanwhile."""
    task = asyncio.create_task(damage(cluster))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def works(scene: Scene, mark: int, name: str) -> list[Write]:
    """Writes of an operator besides those to its lease, since a mark."""
    return [each for each in scene.audit.writes(mark) if by(each, name) and not each.what.endswith(" leases")]


def by(write: Write, name: str) -> bool:
    """Whether an operator made a write."""
    return write.user.endswith(f":{name}")


async def kill(pair: Pair) -> tuple[float, float]:
    """Kill the leader. Seconds until another one leads, and until it has restored something."""
    leader = await pair.leader()
    assert leader is not None
    mark = pair.scene.audit.mark()
    begin = time.perf_counter()
    leader.process.kill()
    successor = await pair.other_leads(leader)
    led = time.perf_counter() - begin
    await until(lambda: works(pair.scene, mark, successor.name))
    worked = time.perf_counter() - begin
    leader.process.wait()
    pair.ended(leader)
    await pair.stands_by(await pair.start())
    return led, worked


async def stop_and_continue(pair: Pair, chance: random.Random) -> int:
    """Stop the leader until another one is at work, let it go on. Writes that it still makes."""
    leader = await pair.leader()
    assert leader is not None
    mark = pair.scene.audit.mark()
    leader.process.send_signal(signal.SIGSTOP)
    successor = await pair.other_leads(leader)
    await until(lambda: works(pair.scene, mark, successor.name))
    await asyncio.sleep(chance.uniform(0, 2))
    leader.process.send_signal(signal.SIGCONT)
    code = await asyncio.to_thread(leader.process.wait, 30)
    if code != 1:
        raise RuntimeError(f"{leader.name} went on as if nothing had happened: it ended with {code}")
    pair.ended(leader)
    writes = list(pair.scene.audit.writes(mark))
    taken = next(at for at, each in enumerate(writes) if by(each, successor.name))
    late = sum(by(each, leader.name) for each in writes[taken:])
    await pair.stands_by(await pair.start())
    return late


async def measure(folder: Path, kills: int, stops: int) -> None:
    """Everything, in order."""
    chance = random.Random(SEED)  # noqa: S311  # moments, no secret
    scene = Scene(new(folder, "failover"))
    with scene.set_up():
        async with client("bench") as cluster:
            pair = Pair(scene, cluster)
            try:
                first = await pair.start()
                await pair.other_leads(None)
                await apply_all(cluster, TENANTS, Ready())
                second = await pair.start()
                await pair.stands_by(second)
                say(f"{first.name} leads, {second.name} stands by")
                await run(pair, cluster, chance, kills, stops)
            finally:
                pair.stop()


async def run(pair: Pair, cluster: KubernetesCluster, chance: random.Random, kills: int, stops: int) -> None:
    """Kill and stop, and print the figures."""
    times: list[tuple[float, float]] = []
    late = 0
    async with damaging(cluster):
        for number in range(kills):
            # At another moment between two renewals each time.
            await asyncio.sleep(chance.uniform(0, 2))
            times.append(await kill(pair))
            say(f"kill {number + 1} of {kills}: {times[-1][0]:.1f} s, at work after {times[-1][1]:.1f} s")
        for number in range(stops):
            await asyncio.sleep(chance.uniform(0, 2))
            late += await stop_and_continue(pair, chance)
            say(f"stop {number + 1} of {stops}: {late} writes too late so far")
    led, worked = [each[0] for each in times], [each[1] for each in times]
    details: dict[str, Any] = {
        "kills": kills,
        "lease_seconds": LEASE_SECONDS,
        "until_led": round(max(led), 3),
    }
    figure("failover.max", max(worked), "s", floor=LEASE_SECONDS, **details)
    figure("failover.median", statistics.median(worked), "s", floor=LEASE_SECONDS, kills=kills)
    figure("failover.stopped_writes", late, "writes", stops=stops)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--stops", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="folder for logs; by default they are removed")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(measure(folder, arguments.kills, arguments.stops))


if __name__ == "__main__":
    main()
