"""What the controller holds of each tenant."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from guestpost_operator.inventory import version_of
from guestpost_operator.keeping import compact
from guestpost_operator.lifecycle.memory import Memory
from guestpost_operator.revision import Object


@dataclass(slots=True)
class Entry:
    """One tenant at work.

    Attributes:
        kept: its body, see `body`.
        memory: see `Memory`.
        failures: passes in a row that did not come through, for the back-off.
        wake: the timer of the next look, if one is set.
        lock: held by a pass and by erasure.
        written: when the status was last written (monotonic seconds).
        unguarded: since when it is known to lack our finalizer (monotonic seconds), None when it has it.
        erasing: it is being erased, and nothing else is done to it.
        missed: the API server did not know something that the last pass wanted of it.
    """

    kept: Object
    memory: Memory = field(default_factory=Memory)
    failures: int = 0
    wake: asyncio.TimerHandle | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    written: float = float("-inf")
    unguarded: float | None = None
    erasing: bool = False
    missed: bool = False

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Entry:
        """A tenant that was not known before."""
        return cls(compact(body))

    @property
    def body(self) -> Object:
        """As last read from kopf or from the answer to our own status write, without managedFields."""
        return self.kept

    @body.setter
    def body(self, body: Mapping[str, Any]) -> None:
        self.kept = compact(body)

    def answered(self, body: Mapping[str, Any]) -> None:
        """Take note of the answer to a write of ours, unless kopf has told of a later change meanwhile."""
        if version_of(body["metadata"]) > version_of(self.kept["metadata"]):
            self.body = body

    def outdated(self, resync: float) -> bool:
        """Whether everything has to be looked at again, what no watch tells of included.

        Args:
            resync: seconds between such looks.
        """
        checked = self.memory.messaging_checked
        return checked is not None and time.monotonic() - checked > resync * 0.9

    def doubtful(self, resync: float) -> bool:
        """Whether it may be gone without anybody having told; see `outdated`."""
        deleting = "deletionTimestamp" in self.kept["metadata"]
        return self.missed or self.erasing or deleting or self.outdated(resync)


def status_of(entry: Entry) -> Object:
    """The status of a tenant as last read; empty when it has none yet."""
    found: Object = entry.body.get("status") or {}
    return found
