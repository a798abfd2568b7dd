"""Tenants and settings for tests without a cluster, and a browser without a network."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet
from guestpost_dashboard import app
from guestpost_dashboard.identity import Person
from guestpost_dashboard.sessions import Session
from guestpost_dashboard.settings import Oidc, Settings
from starlette.applications import Starlette

URL = "https://dashboard.example.com"
SAM = "sam-token"
STAMP = "2026-11-24T12:00:00Z"


def made(name: str = "acme", *, version: str = "1", **changes: Any) -> dict[str, Any]:
    """A GuestPostTenant that runs; `changes` replace parts of its status."""
    conditions = {"Ready": ("True", "Running"), **changes.pop("conditions", {})}
    status = {
        "phase": "Running",
        "observedGeneration": 1,
        "app": {"url": f"https://{name}.crm.example.com", "version": "1.2.0"},
        "namespace": {"name": f"gpt-{name}", "uid": "n"},
        "conditions": [
            {"type": kind, "status": truth, "reason": reason, "message": "", "lastTransitionTime": STAMP}
            for kind, (truth, reason) in conditions.items()
        ],
        **changes,
    }
    return {
        "apiVersion": "guestpostcrm.com/v1alpha1",
        "kind": "GuestPostTenant",
        "metadata": {
            "name": name, "uid": f"uid-{name}", "resourceVersion": version, "generation": 1,
            "creationTimestamp": "2026-11-24T11:59:20Z",
        },
        "spec": {
            "owner": {"name": "Anna Reyes", "email": f"anna@{name}.example"},
            "region": "europe-west1", "googleProject": "acme-crm-prod", "plan": "Starter",
            "state": "Running", "release": {"channel": "Stable"},
        },
        "status": status,
    }  # fmt: skip


@pytest.fixture
def tenant() -> Callable[..., dict[str, Any]]:
    return made


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    token = tmp_path / "token"
    token.write_text("own-token\n")
    return Settings(
        url=URL,
        kubernetes_url="https://kubernetes.example",
        kubernetes_ca_file="",
        kubernetes_token_file=str(token),
        oidc=None,
        session_keys=(Fernet.generate_key().decode(),),
    )


@pytest.fixture
def oidc() -> Oidc:
    return Oidc(
        issuer="https://issuer.example",
        client_id="dashboard",
        client_secret="",
        scopes="openid email groups",
        ca_file="",
        username_claim="email",
        username_prefix="oidc:",
        groups_claim="groups",
        groups_prefix="oidc:",
    )


class Clock:
    """Stands still until it is turned."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Browser:
    """A person at a browser: keeps cookies, sends forms as pages do.

    Attributes:
        http: speaks to the application, without a network.
        cluster: answers in the API server's place.
    """

    def __init__(
        self, http: httpx.AsyncClient, cluster: Cluster, application: Starlette, clock: Clock
    ) -> None:
        self.http = http
        self.cluster = cluster
        self.application = application
        self.clock = clock

    def set_clock(self, now: float) -> None:
        """Have the dashboard believe that it is then."""
        self.clock.now = now

    def turn_clock(self, seconds: float) -> None:
        """Have time pass."""
        self.clock.now += seconds

    def enter(self, person: Person) -> None:
        """Sign a person in, without an issuer."""
        session = Session(self.clock(), self.clock(), person)
        sealed = Fernet(self.application.state.settings.session_keys[0]).encrypt(
            json.dumps(session.dump()).encode()
        )
        self.http.cookies.set("__Host-guestpost-dashboard", sealed.decode())

    async def token(self, address: str = "/sign-in") -> str:
        """The CSRF token of a page."""
        found = re.search(r'name="csrf" value="([^"]+)"', (await self.http.get(address)).text)
        assert found
        return found[1]

    async def csrf(self) -> str:
        """What forms of the present session carry."""
        found = re.search(r'"X-CSRF-Token": "([^"]+)"', (await self.http.get("/")).text)
        assert found
        return found[1]

    async def sign_in(self, token: str = SAM, following: str = "/") -> httpx.Response:
        form = {"csrf": await self.token(), "token": token, "next": following}
        return await self.http.post("/sign-in", data=form, headers={"Origin": URL})


class Cluster(httpx.AsyncBaseTransport):
    """An API server of three requests: who am I, may I, and the tenants.

    Attributes:
        people: name by token.
        viewers: names of those who may list tenants.
        tenants: objects by name.
        others: what each tenant's namespace holds, by plural.
        asked: each request but the watch's, which comes again whenever it likes.
        away: whether nothing answers.
    """

    def __init__(self) -> None:
        self.people = {"sam-token": "sam", "own-token": "dashboard"}
        self.viewers = {"sam", "dashboard"}
        self.tenants: dict[str, dict[str, Any]] = {}
        self.others: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[httpx.Request] = []
        self.away = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        authorization = request.headers.get("authorization", "")
        if not request.url.params.get("watch"):
            self.asked.append(request)
        if self.away:
            raise httpx.ConnectError("away")
        name = self.people.get(authorization.removeprefix("Bearer "))
        if name is None:
            return httpx.Response(401, json={"reason": "Unauthorized", "message": "Unauthorized"})
        name = request.headers.get("impersonate-user", name)
        if "/selfsubject" in request.url.path:
            said = {"userInfo": {"username": name, "groups": ["staff"]}, "allowed": name in self.viewers}
            return httpx.Response(201, json={"status": said})
        if name not in self.viewers:
            return httpx.Response(403, json={"reason": "Forbidden", "message": f"{name} may not"})
        return self._read(request)

    def _read(self, request: httpx.Request) -> httpx.Response:
        if request.url.params.get("watch"):
            # A watch without news ends at once.
            return httpx.Response(200, content=b"")
        wanted = request.url.path.rpartition("/")[2]
        if wanted == "guestposttenants":
            return httpx.Response(
                200, json={"items": list(self.tenants.values()), "metadata": {"resourceVersion": "7"}}
            )
        if wanted in self.tenants:
            return httpx.Response(200, json=self.tenants[wanted])
        if request.url.path.count("/") > 5:
            begin, limit = (
                int(request.url.params.get("continue") or 0),
                int(request.url.params.get("limit", 1)),
            )
            there = self.others.get(wanted, []) if "/gpt-" in request.url.path else []
            following = str(begin + limit) if begin + limit < len(there) else ""
            return httpx.Response(
                200,
                json={
                    "items": there[begin : begin + limit],
                    "metadata": {"continue": following},
                    "columnDefinitions": [],
                    "rows": [],
                },
            )
        return httpx.Response(
            404, json={"reason": "NotFound", "message": f'guestposttenants "{wanted}" not found'}
        )


@asynccontextmanager
async def opened(settings: Settings, cluster: Cluster) -> AsyncIterator[Browser]:
    """The application, and a browser in front of it."""
    clock = Clock()
    application = app.create(settings, transport=cluster, clock=clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url=URL) as http:
        browser = Browser(http, cluster, application, clock)
        async with application.router.lifespan_context(application):
            await listed(application)
            yield browser


async def listed(application: Starlette) -> None:
    """Wait until the dashboard knows the tenants, or that it can't."""
    fleet = application.state.fleet
    with fleet.subscribed() as subscription:
        while not fleet.listed and not fleet.problem:
            await subscription.changes(5)


@pytest.fixture
def cluster() -> Cluster:
    found = Cluster()
    found.tenants = {name: made(name) for name in ("acme", "beta")}
    return found


@pytest.fixture
async def browser(settings: Settings, cluster: Cluster) -> AsyncIterator[Browser]:
    async with opened(settings, cluster) as found:
        yield found


@pytest.fixture
def open_browser() -> Callable[..., Any]:
    return opened
