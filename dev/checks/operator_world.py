"""What happens around an operator whose cluster has no nodes: exports are made, disks go."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from guestpost_operator.backends.cluster import KubernetesCluster
from guestpost_operator.backends.errors import BackendError
from guestpost_operator.backends.kinds import EXPORT, PERSISTENT_VOLUME, STATEFUL_SET, Kind

Object = dict[str, Any]
# A change of one of these is news.
HEARD = (EXPORT, STATEFUL_SET, PERSISTENT_VOLUME)


class World:
    """Plays the exports' pods with their owners, and the disks' driver.

    Args:
        admin: a client of its own.

    Attributes:
        exported: what the pod of an export says when it is through.
    """

    def __init__(self, admin: KubernetesCluster) -> None:
        self.exported: Callable[[Object], Object] = lambda export: downloaded()
        self._admin = admin
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._hear(kind)) for kind in HEARD]
        self._tasks.append(asyncio.create_task(self._play()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _hear(self, kind: Kind) -> None:
        while True:
            with contextlib.suppress(BackendError):
                async for _ in self._admin.watch(kind, "", "0", server_seconds=300, silence=90):
                    self._news.set()
            await asyncio.sleep(0.2)

    async def _play(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            for part in (self._make_exports, self._remove_disks):
                try:
                    await part()
                except BackendError:
                    # Changed meanwhile: once more.
                    self._news.set()
            await asyncio.sleep(0.05)

    async def _make_exports(self) -> None:
        for export in await self._admin.find(EXPORT):
            metadata, status = export["metadata"], export.get("status", {})
            pod = await self._admin.get(STATEFUL_SET, f"export-{metadata['name']}", metadata["namespace"])
            if pod is not None and status.get("phase") == "Pending":
                said = self.exported(export)
                await self._admin.merge_status(
                    EXPORT, metadata["name"], metadata["namespace"], metadata["uid"], said
                )

    async def _remove_disks(self) -> None:
        for volume in await self._admin.find(PERSISTENT_VOLUME):
            if volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete":
                await self._admin.merge(
                    PERSISTENT_VOLUME, volume["metadata"]["name"], None, {"metadata": {"finalizers": None}}
                )
                await self._admin.delete(PERSISTENT_VOLUME, volume["metadata"]["name"], None, None)


def downloaded() -> Object:
    """The status of an export that its owner has."""
    return complete(600) | {"downloadedAt": moment(0)}


def complete(seconds: float) -> Object:
    """The status of an export that can be downloaded for so long."""
    return {
        "phase": "Complete",
        "sha256": "0a" * 32,
        "expiresAt": moment(seconds),
        "counts": {"mailboxes": 1, "messages": 3, "records": 5},
    }


def moment(seconds: float) -> str:
    """A time so many seconds from now, as the API writes it."""
    return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
