"""Waiting for a condition, with a bound and a reason when it does not come."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(what: str, check: Callable[[], T | None], *, seconds: float, interval: float = 0.25) -> T:
    """Ask `check` until it returns something true, and return that.

    Raises:
        TimeoutError: it did not within `seconds`; names `what` was waited for and the last error.
    """
    deadline = time.monotonic() + seconds
    last: Exception | None = None
    while time.monotonic() < deadline:
        try:
            if answer := check():
                return answer
        except (OSError, LookupError, RuntimeError, ValueError) as error:
            last = error
        time.sleep(interval)
    detail = f" (last: {last})" if last else ""
    raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}{detail}")
