"""A thousand tenants, or ten thousand: made at once, edited one by one, and found again after a restart.

    make bench NAME=fleet
    make bench NAME=fleet SIZE=10000

As `provision`, on a fresh control plane whose workloads are said to be ready; the floor is the bare client
with the same writes, before and after, each on a control plane of its own. Lines say how many cores others
kept busy meanwhile (`others`); what grows has its `curve`: tenants by seconds, or by MiB. dev/fleet_plot.py
draws docs/images/fleet.svg of lines that were kept.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import os
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
from guestpost_operator.api import names
from guestpost_operator.backends.cluster import KubernetesCluster
from guestpost_operator.backends.kinds import DEPLOYMENT, TENANT
from harness import Others, figure, peak_memory, say, spread
from scene import (
    Ready,
    Scene,
    apply_all,
    bare,
    client,
    new,
    operators,
    pubsub_writes,
    settle,
    until,
)

EDITS = 100
SEED = 20261124
WORKLOADS = {"web", "sync"}
# The operator counts all tenants each time that its metrics are asked for.
LOOK_SECONDS = 1.0


class Applied:
    """Sees an edit arrive at the workloads of a tenant, by a watch that begins now."""

    def __init__(self, cluster: KubernetesCluster, version: str) -> None:
        self._cluster, self._version = cluster, version
        self._waiting: tuple[str, str] = ("", "")
        self._arrived: set[str] = set()
        self._done = asyncio.Event()

    def expect(self, namespace: str, owner: str) -> None:
        """Wait from now on for this owner's name in this namespace."""
        self._waiting = (namespace, owner)
        self._arrived.clear()
        self._done.clear()

    async def wait(self) -> None:
        """Until all workloads carry it."""
        await asyncio.wait_for(self._done.wait(), 120)

    async def watch(self) -> None:
        """Watch until cancelled."""
        while True:
            async for event in self._cluster.watch(
                DEPLOYMENT, names.OWNED_SELECTOR, self._version, server_seconds=300, silence=120
            ):
                self._version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._note(event["object"])

    def _note(self, deployment: dict[str, Any]) -> None:
        metadata = deployment["metadata"]
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        owner = next((each["value"] for each in container["env"] if each["name"] == "OWNER_NAME"), "")
        if (metadata["namespace"], owner) == self._waiting:
            self._arrived.add(metadata["name"])
        if self._arrived >= WORKLOADS:
            self._done.set()


async def edits(cluster: KubernetesCluster, count: int) -> list[float]:
    """Seconds from the answer to an edit until web and sync have it, for one tenant after the other."""
    chance = random.Random(SEED)  # noqa: S311  # which tenants, no secret
    listed = await cluster.request("GET", DEPLOYMENT.path(), query={"limit": "1"})
    applied = Applied(cluster, listed["metadata"]["resourceVersion"])
    watching = asyncio.create_task(applied.watch())
    times = []
    try:
        for number in range(EDITS):
            name, owner = f"t{chance.randrange(count)}", f"Owner {number}"
            applied.expect(f"gpt-{name}", owner)
            await cluster.merge(TENANT, name, None, {"spec": {"owner": {"name": owner}}})
            begin = time.perf_counter()
            await applied.wait()
            times.append(time.perf_counter() - begin)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    return times


@contextlib.asynccontextmanager
async def sampling(ready: Ready, pid: int) -> AsyncIterator[list[tuple[int, float]]]:
    """The operator's memory in MiB as the number of tenants that are Ready grows."""
    samples: list[tuple[int, float]] = []

    async def sample() -> None:
        while True:
            samples.append((len(ready.since), round(psutil.Process(pid).memory_info().rss / 2**20, 1)))
            await asyncio.sleep(2)

    task = asyncio.create_task(sample())
    try:
        yield samples
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def thinned(samples: list[tuple[int, float]], points: int = 20) -> list[tuple[int, float]]:
    """Some of many samples, the last one included."""
    step = max(1, len(samples) // points)
    return samples[::-step][::-1]


async def provision(scene: Scene, process: subprocess.Popen[bytes], count: int) -> dict[str, Any]:
    """All tenants at once: seconds, and what grew how."""
    ready, others = Ready(), Others()
    used = -processor(process)
    async with client("bench") as cluster, sampling(ready, process.pid) as samples:
        took = await apply_all(cluster, count, ready)
    used += processor(process)
    say(f"operator: {count} tenants in {took:.1f} s, {used:.1f} s of processor time its own")
    await settle(scene, LOOK_SECONDS)
    return {
        "took": took,
        "others": others.cores(),
        "processor": round(used, 1),
        "curve": list(spread(list(ready.since.values()))),
        "memory": thinned(samples),
    }


async def restart(scene: Scene, count: int) -> float:
    """A new operator finds all tenants: what it writes until it has checked every one. Its peak memory."""
    mark, others, begin = scene.audit.mark(), Others(), time.perf_counter()
    with scene.operator() as process:
        await until(lambda: scene.metric("guestpost_reconciles_total") >= count, LOOK_SECONDS)
        await settle(scene, LOOK_SECONDS)
        took = time.perf_counter() - begin
        passes = scene.metric("guestpost_reconciles_total", 'result="ok"')
        written = operators(scene, mark)
        writes = len(written) + pubsub_writes(scene)
        peak = peak_memory(process.pid)
    say(f"restarted operator: {passes:.0f} passes in {took:.1f} s, {writes:.0f} writes, peak {peak:.0f} MiB")
    named = sorted({each.what for each in written})
    detail = {"tenants": count, "seconds": round(took, 1), "others": others.cores()}
    figure("fleet.restart_writes", writes, "writes", what=named, **detail)
    if passes < count:
        raise RuntimeError(f"only {passes:.0f} of {count} tenants were found well: see the operator's log")
    return peak


async def floor(folder: Path, name: str, count: int) -> tuple[list[float], float]:
    """When the bare client was through with each tenant, and how many cores others kept busy."""
    scene = Scene(new(folder, name))
    with scene.set_up():
        others = Others()
        times = await bare(scene, count)
    say(f"bare client: {count} tenants in {max(times):.1f} s")
    return times, others.cores()


def processor(process: subprocess.Popen[bytes]) -> float:
    """Seconds of processor time that a process has used."""
    return float(sum(psutil.Process(process.pid).cpu_times()[:2]))


async def measure(folder: Path, count: int, *, twice: bool) -> None:
    """Everything, in order."""
    floors = [await floor(folder, "bare-before", count)]
    scene = Scene(new(folder, "operator"))
    with scene.set_up():
        with scene.operator() as process:
            await until(lambda: scene.metric("guestpost_heartbeat_timestamp_seconds"))
            seen = await provision(scene, process, count)
            others = Others()
            async with client("bench") as cluster:
                times = sorted(await edits(cluster, count))
            p99 = times[math.ceil(0.99 * len(times)) - 1]
            detail = {"tenants": count, "edits": EDITS, "p50": round(statistics.median(times), 3)}
            figure("fleet.edit_p99", p99, "s", **detail, others=others.cores())
            await settle(scene, LOOK_SECONDS)
            peak = peak_memory(process.pid)
        again = await restart(scene, count)
    if twice:
        # Before and after: whatever else this machine does drifts.
        floors.append(await floor(folder, "bare-after", count))
    figure(
        "fleet.memory", max(peak, again), "MiB", tenants=count, provisioned=round(peak, 1),
        restarted=round(again, 1), curve=seen["memory"],
    )  # fmt: skip
    figure(
        "fleet.wall", seen["took"], "s", floor=statistics.mean(max(each) for each, _ in floors),
        tenants=count, processor=seen["processor"], others=seen["others"],
        floor_others=[each for _, each in floors], curve=seen["curve"],
        floor_curve=list(spread(floors[0][0])),
    )  # fmt: skip


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--tenants", type=int, default=int(os.environ.get("SIZE") or 1000))
    parser.add_argument("--once", action="store_true", help="measure the floor before only: half the time")
    parser.add_argument("--keep", type=Path, help="folder for logs; by default they are removed")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(measure(folder, arguments.tenants, twice=not arguments.once))


if __name__ == "__main__":
    main()
