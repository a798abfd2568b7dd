"""Waiting for something to become so, and telling meanwhile how far it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from kubectl_guestpost.cluster import Cluster, Kind, Object
from kubectl_guestpost.errors import PluginError


class Progress:
    """Says on standard error how far something is: in place on a terminal, else a line for each change."""

    def __init__(self) -> None:
        self._said = ""
        self._terminal = sys.stderr.isatty()

    def tell(self, text: str) -> None:
        """The present state, if it is news."""
        if text and text != self._said:
            self._said = text
            end = "" if self._terminal else "\n"
            sys.stderr.write(f"\r\x1b[2K{text}" if self._terminal else f"{text}{end}")
            sys.stderr.flush()

    def end(self) -> None:
        """What follows begins on a line of its own."""
        if self._terminal and self._said:
            sys.stderr.write("\n")
            sys.stderr.flush()


def until(
    cluster: Cluster,
    kind: Kind,
    name: str,
    *,
    tenant: str = "",
    tell: Callable[[Object], str],
    met: Callable[[Object], bool],
    seconds: float,
) -> Object | None:
    """Follow an object until something is so.

    Args:
        cluster: where it is.
        kind: of the object.
        name: of the object.
        tenant: whose namespace it is in.
        tell: what to say of it.
        met: whether it is so; may raise PluginError when it never will be.
        seconds: how long to wait at most.

    Returns:
        The object, or None when it is gone.

    Raises:
        PluginError: it took too long; says what it was like last.
    """
    progress, last = Progress(), ""
    try:
        for now in cluster.follow(kind, name, tenant, time.monotonic() + seconds):
            if now is None:
                return None
            last = tell(now)
            progress.tell(last)
            if met(now):
                return now
    finally:
        progress.end()
    raise PluginError(
        f"{kind.word} {name} is not so far after {seconds:.0f} s ({last}). It goes on by itself; "
        "look again with kubectl guestpost status."
    )
