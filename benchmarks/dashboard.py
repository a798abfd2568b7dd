"""The dashboard with 10,000 tenants: how fast pages are, how live, how large it gets, and what it costs.

    make bench NAME=dashboard [ARGS='--tenants 10000 --requests 300 --changes 300']

The API server is a real one that holds the tenants, without an operator; the dashboard is its own process.
Times of pages are a client's on the same machine, of one request at a time, so the server's own are below
them; the floor is the same for /healthz. Live: 100 pages are open, which together show every tenant, while
statuses are written; the time is from before the write is sent until the page that shows the tenant has it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from dashboard_world import OWNERS, REGIONS, World, status, world
from harness import Others, figure, p95, say, times
from localkube.process import free_port

PAGES = 100
# These watch every kind by themselves.
WATCHERS = ("garbage-collector-controller", "resourcequota-controller")
SORTS = ("name", "phase", "reason", "plan", "region", "version", "owner", "age")
SEARCHES = (
    "acme",
    "north-link",
    "example",
    "europe",
    "databasenotready",
    "zoë",
    "owner@river",
    "00042",
    "1.5.0",
)


@contextmanager
def running(found: World, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The dashboard as a process; gives its address and itself."""
    port = free_port()
    settings = found.settings(f"http://127.0.0.1:{port}", port=port)
    keys = folder / "session-keys"
    keys.write_text(settings.session_keys[0])
    environment = {
        "DASHBOARD_URL": settings.url, "HOST": "127.0.0.1", "PORT": str(port), "SIGN_IN": "token",
        "KUBERNETES_URL": settings.kubernetes_url, "KUBERNETES_CA_FILE": settings.kubernetes_ca_file,
        "KUBERNETES_TOKEN_FILE": settings.kubernetes_token_file, "SESSION_KEYS_FILE": str(keys),
    }  # fmt: skip
    command = [sys.executable, "-m", "guestpost_dashboard"]
    process = subprocess.Popen(command, env={**os.environ, **environment})
    try:
        begun = time.monotonic()
        while not ready(settings.url):
            if process.poll() is not None or time.monotonic() - begun > 120:
                raise RuntimeError("the dashboard does not begin to serve")
            time.sleep(0.1)
        yield settings.url, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(15)


def ready(url: str) -> bool:
    """Whether it has listed the tenants."""
    try:
        return httpx.get(f"{url}/readyz", trust_env=False, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def signed_in(url: str, token: str) -> httpx.Client:
    """A viewer's browser."""
    http = httpx.Client(base_url=url, trust_env=False, timeout=30)
    found = re.search(r'name="csrf" value="([^"]+)"', http.get("/sign-in").text)
    assert found
    answer = http.post("/sign-in", data={"csrf": found[1], "token": token}, headers={"Origin": url})
    assert answer.status_code == 303, answer.text
    return http


def measure_pages(http: httpx.Client, names: list[str], requests: int) -> None:
    """Server times of the list, of what is filtered, and of a tenant."""
    chance, others = random.Random(5), Others()  # noqa: S311 - which pages are looked at
    last = max(1, len(names) // 100)

    def listed() -> str:
        return f"/?sort={chance.choice(('', '-'))}{chance.choice(SORTS)}&page={chance.randint(1, last)}"

    def filtered() -> str:
        facet = chance.choice(
            (f"region={chance.choice(REGIONS)}", "phase=Degraded", "plan=Scale", "show=unready", "x=y")
        )
        owner = chance.choice(OWNERS).split()[0]
        # Another search each time, as one types: nothing is remembered of it.
        words = f"{chance.choice((*SEARCHES, owner))}+{chance.randrange(10)}"
        return f"/?q={words}&{facet}&sort={chance.choice(SORTS)}"

    floor = p95(times(http, lambda: "/healthz", requests, warm=5))
    for name, address in (
        ("list", listed),
        ("filter", filtered),
        ("detail", lambda: f"/tenants/{chance.choice(names)}"),
        ("figures", lambda: "/figures"),
    ):
        found = times(http, address, requests, warm=5)
        figure(
            f"dashboard.{name}_p95", p95(found), "ms", floor, bound=100, tenants=len(names),
            median=round(statistics.median(found), 2), others=others.cores(),
        )  # fmt: skip


class OpenPage:
    """An open page of the list: which rows it has been given, and when."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.shows: set[str] = set()
        self.came: dict[tuple[str, str], float] = {}
        self.told = asyncio.Event()

    def take(self, kind: str, data: Any) -> None:
        """Take note of an event."""
        now = time.perf_counter()
        rows = data["rows"] if kind == "list" else data if kind == "rows" else {}
        if kind == "list":
            self.shows = set(data["order"])
            self.begun.set()
        for name, html in rows.items():
            if mark := re.search(r"Mark\d+", html):
                self.came[name, mark[0]] = now
                self.told.set()


@asynccontextmanager
async def opened(http: httpx.AsyncClient, number: int) -> AsyncIterator[OpenPage]:
    """A page of the list that stays open."""
    page = OpenPage()

    async def listen() -> None:
        async with http.stream("GET", f"/streams/fleet?page={number}&columns=reason") as answer:
            assert answer.status_code == 200
            kind = ""
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    kind = line[7:]
                elif line.startswith("data: "):
                    page.take(kind, json.loads(line[6:]))

    listening = asyncio.create_task(listen())
    try:
        await asyncio.wait_for(page.begun.wait(), 60)
        yield page
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def measure_live(url: str, http: httpx.Client, found: World, changes: int) -> None:
    """From a write to the open page that shows it."""
    chance, others, waits = random.Random(9), Others(), []  # noqa: S311 - which tenants change
    limits = httpx.Limits(max_connections=PAGES)
    async with AsyncExitStack() as stack:
        browser = await stack.enter_async_context(
            httpx.AsyncClient(base_url=url, cookies=http.cookies, trust_env=False, timeout=60, limits=limits)
        )
        pages = [await stack.enter_async_context(opened(browser, number)) for number in range(1, PAGES + 1)]
        at = {name: page for page in pages for name in page.shows}
        figure(
            "dashboard.watches", await asyncio.to_thread(found.watches), "watches", bound=1, pages=len(pages)
        )
        for number in range(changes):
            name = chance.choice(sorted(at))
            page, mark = at[name], f"Mark{number}"
            said = status(name)
            said["conditions"][0]["reason"] = mark
            begun = time.perf_counter()
            await asyncio.to_thread(found.says, name, said)
            while (name, mark) not in page.came:
                page.told.clear()
                await asyncio.wait_for(page.told.wait(), 30)
            waits.append(page.came[name, mark] - begun)
    figure(
        "dashboard.live_p99", statistics.quantiles(waits, n=100)[-1], "s", bound=1, changes=changes,
        pages=PAGES, median=round(statistics.median(waits), 3), others=others.cores(),
    )  # fmt: skip


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--changes", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, world(Path(folder) / "plane", without=WATCHERS) as found:
        say(f"{options.tenants} tenants")
        names = found.fill(options.tenants)
        say("the dashboard")
        begun = time.monotonic()
        with running(found, Path(folder)) as (url, process):
            say(f"ready after {time.monotonic() - begun:.1f} s, {process.memory_info().rss / 2**20:.0f} MiB")
            http = signed_in(url, found.token("viewer", 7200))
            measure_pages(http, names, options.requests)
            say(f"{PAGES} open pages")
            asyncio.run(measure_live(url, http, found, options.changes))
            memory = process.memory_full_info()
            figure(
                "dashboard.memory", memory.rss / 2**20, "MiB", bound=200, unique=round(memory.uss / 2**20, 1)
            )


if __name__ == "__main__":
    main()
