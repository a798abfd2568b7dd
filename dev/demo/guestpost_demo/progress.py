"""Progress that a person can follow: what is being done, and how long it took."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print a line when a step begins, and its seconds when it has ended; on standard error."""
    print(f"▸ {title} …", file=sys.stderr, flush=True)
    started = time.monotonic()
    yield
    print(f"  ✓ {title} ({time.monotonic() - started:.1f} s)", file=sys.stderr, flush=True)
