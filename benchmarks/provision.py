"""200 tenants at once: the operator against a bare client that makes the same writes.

    make bench NAME=provision

Both run on a fresh control plane (etcd, API server, controllers) beside the same stand-ins: Pub/Sub,
and a process that says that workloads are ready. Both times include making the GuestPostTenants. The
bare client gets its manifests rendered and its Secrets generated beforehand, sends them over 16
connections and looks at nothing; the operator's own writes (status, event) it leaves out.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
from guestpost_operator.api import names
from guestpost_operator.backends.kinds import BY_NAME, TENANT
from guestpost_operator.testing import Write
from harness import figure, peak_memory, say
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

# What the operator writes that is not one of a tenant's objects.
EXTRA_NAMES = {
    "patch guestposttenants": "kopf's finalizer",
    "patch guestposttenants/status": "status",
    "create events": "event",
}


async def provision(scene: Scene, count: int) -> tuple[float, list[Write]]:
    """Seconds from the first tenant applied to the last one Ready, and the operator's writes."""
    mark = scene.audit.mark()
    async with client("bench") as cluster:
        took = await apply_all(cluster, count, Ready())
    # The last tenant's event follows its status.
    await settle(scene)
    return took, operators(scene, mark)


async def request_reconcile(scene: Scene, count: int) -> None:
    """Have every tenant looked at again, everything verified, and wait until that is done."""
    before = scene.metric("guestpost_reconciles_total", 'result="ok"')
    stamp = {"metadata": {"annotations": {names.ANNOTATION_REQUESTED: str(time.time())}}}
    async with client("bench") as cluster:
        await asyncio.gather(*(cluster.merge(TENANT, f"t{number}", None, stamp) for number in range(count)))
    await until(lambda: scene.metric("guestpost_reconciles_total", 'result="ok"') - before >= count)
    await settle(scene)


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
        took = max(await bare(scene, count))
    say(f"bare client: {count} tenants in {took:.1f} s")
    return took


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument("--keep", type=Path, help="folder for logs; by default they are removed")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(measure(folder, arguments.tenants))


if __name__ == "__main__":
    main()
