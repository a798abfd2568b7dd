"""Loading a program's code."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stays() -> Iterator[None]:
    """What is loaded within it stays until the program ends: looking for garbage in it is time lost.

    A look at all of Django takes a tenth of a second on a slow core, in the middle of somebody's page.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
