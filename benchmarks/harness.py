"""What every benchmark needs: figures as JSON lines on standard output, progress on standard error."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any


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
