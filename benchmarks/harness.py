"""What every benchmark needs: figures as JSON lines on standard output, progress on standard error."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil


def figure(name: str, value: float, unit: str, floor: float | None = None, **detail: Any) -> None:
    """Print one figure as one JSON line.

    Args:
        name: such as "provision.wall".
        value: what was measured.
        unit: its unit, such as "s", "MiB" or "writes".
        floor: what cannot be beaten, measured in the same run; its ratio is printed with it.
        **detail: further keys, such as what a count is made of.
    """
    line = {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "floor": None if floor is None else round(floor, 3),
        "ratio": None if not floor else round(value / floor, 3),
        "cores": len(os.sched_getaffinity(0)),
        **detail,
    }
    print(json.dumps(line), flush=True)


def say(text: str) -> None:
    """Tell of progress."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def times(client: Any, address: Callable[[], str], requests: int, warm: int) -> list[float]:
    """Milliseconds of GET requests that are answered with 200.

    Args:
        client: of Django's tests or httpx's.
        address: gives the next address to ask for.
        requests: how many count.
        warm: how many go before them.
    """
    found = []
    for number in range(requests + warm):
        wanted = address()
        begun = time.perf_counter()
        answer = client.get(wanted)
        passed = (time.perf_counter() - begun) * 1000
        assert answer.status_code == 200, (wanted, answer.status_code)
        if number >= warm:
            found.append(passed)
    return found


def p95(found: list[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(found, n=20)[-1]


def peak_memory(pid: int) -> float:
    """The most memory that a process has had since it began its program, in MiB (Linux: VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has ended")


class Others:
    """What else keeps this machine busy: a figure that was measured beside it says little.

    Counts what was used from the beginning on by all but this process and those that it started.
    """

    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self._before = _busy() - _ours()

    def cores(self) -> float:
        """How many cores others kept busy so far, on average."""
        used = _busy() - _ours() - self._before
        return round(max(0.0, used / (time.perf_counter() - self._begin)), 2)


def _busy() -> float:
    """Seconds of processor time that this machine has used."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def _ours() -> float:
    """Seconds of processor time that this process and its children have used, those that ended included."""
    me = psutil.Process()
    used = sum(me.cpu_times()[:4])
    for child in me.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            used += sum(child.cpu_times()[:4])
    return float(used)


def spread(values: list[float], points: int = 20) -> Iterator[tuple[int, float]]:
    """A growing curve by some of its points.

    Args:
        values: when each of many things was done, in any order.
        points: how many to give.

    Yields:
        How many were done by when.
    """
    ordered = sorted(values)
    for point in range(1, points + 1):
        done = max(1, len(ordered) * point // points)
        yield done, round(ordered[done - 1], 2)
