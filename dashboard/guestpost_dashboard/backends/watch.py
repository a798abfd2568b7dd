"""One watch of all tenants, for every page: by the dashboard's own account, which may do nothing else."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import httpx
import structlog

from guestpost_dashboard.backends.api import KubernetesApi
from guestpost_dashboard.backends.errors import (
    ApiError,
    AwayError,
    ExpiredError,
    ForbiddenError,
    TokenError,
    from_answer,
)
from guestpost_dashboard.backends.kinds import TENANT

log = structlog.get_logger()

SERVER_SECONDS = 300
# The API server sends bookmarks about every minute: longer silence means a dead connection.
SILENCE_SECONDS = 90.0
FIRST_DELAY, MAX_BACKOFF = 0.2, 15.0
PAGE = 500
# How long a watch may take to be there again before pages say so.
GRACE_SECONDS = 3.0


class Book(Protocol):
    """What the watch keeps true."""

    def observe(self, tenant: Mapping[str, Any]) -> None:
        """Take note of a tenant."""

    def forget(self, name: str) -> None:
        """Take note that a tenant is gone."""

    def keep_only(self, names: set[str]) -> None:
        """Take note that these are all."""

    def fares(self, problem: str) -> None:
        """Take note of how the watch fares: empty when well."""

    def sample(self) -> None:
        """Take note, each minute, of how many are ready."""


class Watch:
    """Lists page by page, watches, goes on where it was; begins again when that is too old.

    Args:
        http: knows address and trust of the API server.
        token_file: the dashboard's own token, which the kubelet renews.
        book: what to keep true.
    """

    def __init__(self, http: httpx.AsyncClient, token_file: str, book: Book) -> None:
        self._http = http
        self._token_file = Path(token_file)
        self._book = book
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin, in tasks of the running loop."""
        self._tasks = [
            asyncio.create_task(self._keep(), name="watch tenants"),
            asyncio.create_task(self._sample(), name="sample tenants"),
        ]

    async def stop(self) -> None:
        """End."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _sample(self) -> None:
        while True:
            self._book.sample()
            await asyncio.sleep(60)

    async def _keep(self) -> None:
        """List, then watch; again and again, with back-off when it fails."""
        version, delay, failing_since = "", FIRST_DELAY, 0.0
        while True:
            try:
                if not version:
                    version = await self._list()
                async for reached in self._watch(version):
                    version = reached
                    failing_since, delay = 0.0, FIRST_DELAY
                    self._book.fares("")
            except ExpiredError:
                version = ""
            except (ApiError, OSError) as error:
                failing_since = failing_since or time.monotonic()
                log.warning("watch failed", problem=getattr(error, "reason", type(error).__name__))
                if time.monotonic() - failing_since + delay >= GRACE_SECONDS:
                    self._book.fares(_said(error))
            # Also after an end that is usual, so that a server which ends at once is not asked without pause.
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            delay = min(delay * 2, MAX_BACKOFF)

    def _authorization(self) -> list[tuple[str, str]]:
        return [("Authorization", f"Bearer {self._token_file.read_text(encoding='utf-8').strip()}")]

    async def _list(self) -> str:
        """Take note of all; gives where to watch from."""
        api = KubernetesApi(self._http, self._authorization())
        names: set[str] = set()
        following = ""
        while True:
            page = await api.page(TENANT, limit=PAGE, following=following)
            for each in page.items:
                names.add(str(each["metadata"]["name"]))
                self._book.observe(each)
            # Let requests in between: a page of tenants is some milliseconds of work.
            await asyncio.sleep(0)
            if not (following := page.following):
                self._book.keep_only(names)
                return page.version

    async def _watch(self, version: str) -> AsyncIterator[str]:
        """Take note of changes until the API server ends the watch; gives where it is, each time.

        Raises:
            ApiError: the API server refused, or the connection broke.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(random.randint(SERVER_SECONDS * 2 // 3, SERVER_SECONDS)),  # noqa: S311 - spread
        }
        timeout = httpx.Timeout(SILENCE_SECONDS, connect=5)
        try:
            async with self._http.stream(
                "GET", TENANT.path(), params=query, headers=self._authorization(), timeout=timeout
            ) as answer:
                if answer.status_code >= 400:
                    raise from_answer(answer.status_code, await answer.aread())
                yield version
                async for line in answer.aiter_lines():
                    yield self._note(json.loads(line))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise AwayError from error
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise AwayError("The watch of the tenants broke.") from error

    def _note(self, event: Mapping[str, Any]) -> str:
        """Take note of an event; gives the resource version to go on from."""
        kind, obj = event["type"], event["object"]
        if kind == "ERROR":
            raise from_answer(int(obj.get("code") or 500), json.dumps(obj))
        if kind == "DELETED":
            self._book.forget(str(obj["metadata"]["name"]))
        elif kind in {"ADDED", "MODIFIED"}:
            self._book.observe(obj)
        return str(obj["metadata"]["resourceVersion"])


def _said(error: Exception) -> str:
    if isinstance(error, ForbiddenError):
        return "The dashboard's own account may not watch the tenants: its ClusterRole is missing."
    if isinstance(error, TokenError):
        return "The API server does not know the dashboard's own account."
    if isinstance(error, ApiError):
        return error.message
    return "The dashboard's own token can't be read."
