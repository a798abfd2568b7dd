"""Watches of owned objects and of what people ask for, one per kind, outside kopf."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import structlog

from guestpost_operator import metrics
from guestpost_operator.backends.cluster import KubernetesCluster
from guestpost_operator.backends.errors import BackendError, ExpiredError, NotFoundError, RefusedError
from guestpost_operator.backends.kinds import Kind

log = structlog.get_logger()

SERVER_SECONDS = 300
# The API server sends bookmarks about every minute: longer silence means a dead connection.
SILENCE_SECONDS = 90.0
FIRST_BACKOFF, MAX_BACKOFF = 0.5, 30.0


class Book(Protocol):
    """What watches keep true. Each method gives back of whom something changed."""

    def observe(self, obj: Mapping[str, Any]) -> set[str]:
        """Take note of an object."""

    def forget(self, obj: Mapping[str, Any]) -> set[str]:
        """Take note that an object is gone."""

    def keep_only(self, kind: str, seen: Iterable[tuple[str | None, str]], since: int) -> set[str]:
        """Take note that what a list of a kind did not hold is gone, unless it is newer than the list."""


class Watches:
    """Keeps a `Book` true for the given kinds.

    Args:
        cluster: where to list and watch.
        kinds: what to watch.
        book: what to keep true.
        changed: called with each that the book says something changed of.
        selector: of labels; all objects by default.
    """

    def __init__(
        self,
        cluster: KubernetesCluster,
        kinds: tuple[Kind, ...],
        book: Book,
        changed: Callable[[str], None],
        selector: str = "",
    ) -> None:
        self._cluster = cluster
        self._kinds = kinds
        self._book = book
        self._changed = changed
        self._selector = selector
        self._tasks: list[asyncio.Task[None]] = []
        self._listed = {kind.name: asyncio.Event() for kind in kinds}
        self._alive: dict[str, float] = {}

    def start(self) -> None:
        """Begin to watch, in tasks of the running loop."""
        self._tasks = [
            asyncio.create_task(self._keep(kind), name=f"watch {kind.plural}") for kind in self._kinds
        ]

    async def synced(self) -> None:
        """Wait until every kind was listed once: before that, absence means nothing."""
        for event in self._listed.values():
            await event.wait()

    async def stop(self) -> None:
        """End the watches."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def silence(self) -> float:
        """Seconds since the watch that has been silent longest heard anything (lists count)."""
        now = time.monotonic()
        return max((now - self._alive.get(kind.name, now) for kind in self._kinds), default=0.0)

    async def _keep(self, kind: Kind) -> None:
        """List, then watch; again and again, with back-off when it fails."""
        version: str | None = None
        delay = FIRST_BACKOFF
        while True:
            try:
                if version is None:
                    version = await self._list(kind)
                version = await self._watch(kind, version)
                delay = FIRST_BACKOFF
                metrics.WATCH_RESTARTS.labels(kind.name, "ended").inc()
                continue
            except ExpiredError:
                version = None
            except BackendError as error:
                if isinstance(error, RefusedError | NotFoundError):
                    version = None
                if isinstance(error, NotFoundError) and kind.optional:
                    # Its API is not installed: there is nothing to watch until it is.
                    self._listed[kind.name].set()
                    delay = MAX_BACKOFF
                    log.debug("kind not served", kind=kind.name)
                else:
                    log.warning("watch failed", kind=kind.name, reason=error.reason, error=str(error))
                metrics.WATCH_RESTARTS.labels(kind.name, error.reason).inc()
            # A failure that was told is a sign of life; only a watch that hangs is not.
            self._hear(kind)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311  # jitter, not a secret
            delay = min(delay * 2, MAX_BACKOFF)

    async def _list(self, kind: Kind) -> str:
        seen: list[tuple[str | None, str]] = []
        version: list[str] = []
        async for item in self._cluster.pages(kind, None, self._selector, version):
            seen.append((item["metadata"].get("namespace"), item["metadata"]["name"]))
            self._report(self._book.observe(item))
        self._report(self._book.keep_only(kind.name, seen, int(version[0]) if version[0].isdigit() else 0))
        self._hear(kind)
        self._listed[kind.name].set()
        return version[0]

    async def _watch(self, kind: Kind, version: str) -> str:
        events = self._cluster.watch(
            kind, self._selector, version, server_seconds=SERVER_SECONDS, silence=SILENCE_SECONDS
        )
        async for event in events:
            self._hear(kind)
            obj = event["object"]
            version = obj["metadata"]["resourceVersion"]
            if event["type"] == "BOOKMARK":
                continue
            obj["kind"] = kind.name
            take_note = self._book.forget if event["type"] == "DELETED" else self._book.observe
            self._report(take_note(obj))
        self._hear(kind)
        return version

    def _hear(self, kind: Kind) -> None:
        self._alive[kind.name] = time.monotonic()

    def _report(self, changed: set[str]) -> None:
        for each in changed:
            self._changed(each)
