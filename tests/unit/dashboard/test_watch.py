"""The one watch: page by page, on from where it was, again after what is too old, and honest about it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from guestpost_dashboard.backends import watch
from guestpost_dashboard.backends.watch import Watch
from guestpost_dashboard.fleet import Fleet


class Lines(httpx.AsyncByteStream):
    """A watch's answer: lines as they are put in; an exception breaks it."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[dict[str, Any] | Exception | None] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (said := await self.queue.get()) is not None:
            if isinstance(said, Exception):
                raise said
            yield json.dumps(said).encode() + b"\n"


class Server(httpx.AsyncBaseTransport):
    """An API server that knows tenants alone.

    Attributes:
        watched: resource version of each watch.
        lists: how often a list was begun.
        refusals: answers to give first.
        refusing: what answers, or raises, as long as it is there.
    """

    def __init__(self) -> None:
        self.tenants: dict[str, dict[str, Any]] = {}
        self.version = 10
        self.lines: Lines | None = None
        self.watched: list[str] = []
        self.lists = 0
        self.refusals: list[httpx.Response | Exception] = []
        self.refusing: Callable[[], httpx.Response] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer own"
        query = request.url.params
        if self.refusing is not None:
            return self.refusing()
        if self.refusals:
            refusal = self.refusals.pop(0)
            if isinstance(refusal, Exception):
                raise refusal
            return refusal
        if query.get("watch"):
            assert query["allowWatchBookmarks"] == "true"
            self.watched.append(query["resourceVersion"])
            self.lines = Lines()
            return httpx.Response(200, stream=self.lines)
        start = int(query.get("continue") or 0)
        self.lists += not start
        items = list(self.tenants.values())
        following = start + watch.PAGE if start + watch.PAGE < len(items) else 0
        metadata = {"resourceVersion": str(self.version), "continue": str(following or "")}
        return httpx.Response(200, json={"items": items[start : start + watch.PAGE], "metadata": metadata})

    def tell(self, kind: str, obj: dict[str, Any]) -> None:
        assert self.lines is not None
        self.lines.queue.put_nowait({"type": kind, "object": obj})

    def end(self, error: Exception | None = None) -> None:
        assert self.lines is not None
        self.lines.queue.put_nowait(error)


@pytest.fixture
def server() -> Server:
    return Server()


@asynccontextmanager
async def watching(server: Server, folder: Path) -> AsyncIterator[Fleet]:
    token = folder / "own"
    token.write_text("own\n")
    fleet = Fleet()
    async with httpx.AsyncClient(transport=server, base_url="https://kubernetes.example") as http:
        running = Watch(http, str(token), fleet)
        running.start()
        try:
            yield fleet
        finally:
            await running.stop()


async def until(fleet: Fleet, holds: Callable[[], bool]) -> None:
    """Wait for it; the fleet tells when something changed, and a watch's beginning does not."""
    async with asyncio.timeout(10):
        with fleet.subscribed() as subscription:
            while not holds():
                await subscription.changes(0.01)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "FIRST_DELAY", 0.001)
    monkeypatch.setattr(watch, "MAX_BACKOFF", 0.01)


async def test_tenants_are_listed_page_by_page_and_then_watched(
    server: Server, tenant: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "PAGE", 2)
    server.tenants = {name: tenant(name) for name in ("a", "b", "c", "d", "e")}
    async with watching(server, tmp_path) as fleet:
        await until(fleet, lambda: server.watched == ["10"])
        assert (len(fleet), fleet.listed, server.lists) == (5, True, 1)
        server.tell("ADDED", tenant("f", version="11"))
        server.tell("MODIFIED", tenant("a", version="12", phase="Degraded"))
        server.tell("DELETED", tenant("b", version="13"))
        await until(fleet, lambda: fleet.get("b") is None)
        found = fleet.get("a")
        assert found is not None
        assert (len(fleet), found.phase) == (5, "Degraded")


async def test_a_watch_goes_on_from_where_it_was_also_after_bookmarks(
    server: Server, tenant: Any, tmp_path: Path
) -> None:
    async with watching(server, tmp_path) as fleet:
        await until(fleet, lambda: server.watched == ["10"])
        server.tell("ADDED", tenant("f", version="11"))
        server.end()
        await until(fleet, lambda: server.watched == ["10", "11"])
        server.tell("BOOKMARK", {"metadata": {"resourceVersion": "40"}})
        server.end(httpx.ReadTimeout("silent"))
        await until(fleet, lambda: server.watched == ["10", "11", "40"])
        assert server.lists == 1


@pytest.mark.parametrize("how", ["event", "answer"])
async def test_what_is_too_old_is_listed_again_and_who_went_meanwhile_is_gone(
    server: Server, tenant: Any, tmp_path: Path, how: str
) -> None:
    server.tenants = {name: tenant(name) for name in ("a", "b")}
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    async with watching(server, tmp_path) as fleet:
        await until(fleet, lambda: server.watched == ["10"])
        server.tenants = {"b": tenant("b", version="15")}
        server.version = 20
        if how == "event":
            server.tell("ERROR", gone)
        else:
            server.refusals = [httpx.Response(410, json=gone)]
        server.end()
        await until(fleet, lambda: server.watched == ["10", "20"])
        assert [row.name for row in fleet] == ["b"]
        assert fleet.problem == ""


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (None, "The API server does not answer."),
        (lambda: httpx.Response(403, json={"message": "no"}), "its ClusterRole is missing"),
        (lambda: httpx.Response(401, json={}), "does not know the dashboard's own account"),
        (lambda: httpx.Response(500, content=b"<html>"), "The API server answered with 500."),
    ],
    ids=["away", "forbidden", "unknown", "broken"],
)
async def test_what_is_in_the_way_is_said_until_it_is_not(
    server: Server, tenant: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Any, said: str
) -> None:
    def away() -> httpx.Response:
        raise httpx.ConnectError("away")

    monkeypatch.setattr(watch, "GRACE_SECONDS", 0)
    async with watching(server, tmp_path) as fleet:
        await until(fleet, lambda: server.watched == ["10"])
        server.refusing = refusal or away
        server.end(httpx.ReadError("broken"))
        await until(fleet, lambda: said in fleet.problem)
        assert fleet.problem_since > 0
        server.refusing = None
        await until(fleet, lambda: fleet.problem == "")
        server.tell("ADDED", tenant("late", version="30"))
        await until(fleet, lambda: fleet.get("late") is not None)


async def test_a_short_interruption_is_not_worth_a_word(server: Server, tmp_path: Path) -> None:
    async with watching(server, tmp_path) as fleet:
        await until(fleet, lambda: server.watched == ["10"])
        problems: list[str] = []
        fleet.fares = problems.append  # type: ignore[method-assign]
        server.refusals = [httpx.ConnectError("away")] * 3
        server.end(httpx.ReadError("broken"))
        await until(fleet, lambda: len(server.watched) == 2)
        assert set(problems) <= {""}


async def test_a_line_that_is_no_json_breaks_the_watch_and_not_the_dashboard(
    server: Server, tmp_path: Path
) -> None:
    async with watching(server, tmp_path) as fleet:
        await until(fleet, lambda: server.watched == ["10"])
        assert server.lines is not None
        server.lines.queue.put_nowait({"neither": "type nor object"})
        await until(fleet, lambda: len(server.watched) == 2)
