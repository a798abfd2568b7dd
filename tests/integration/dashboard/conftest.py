"""A real API server with the chart's staff roles, the dashboard before it, and Chromium before that."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import browsing
import httpx
import pytest
from dashboard_world import HOST, Served, World, status, world
from issuer_standin import IssuerStandin
from localkube.process import free_port
from staff_pages import As, staff_at


class Wire(httpx.AsyncBaseTransport):
    """The way to the API server, which can be cut.

    Attributes:
        cut: whether nothing comes through any more; open watches break at the next thing they read.
        paths: (method, path) of what went through, the newest last.
    """

    def __init__(self, verify: Any) -> None:
        self._inner = httpx.AsyncHTTPTransport(verify=verify)
        self.cut = False
        self.paths: list[tuple[str, str]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.cut:
            raise httpx.ConnectError("cut")
        self.paths.append((request.method, request.url.path))
        answer = await self._inner.handle_async_request(request)
        answer.stream = Cut(self, answer.stream)
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()


class Cut(httpx.AsyncByteStream):
    """An answer that ends when the wire is cut."""

    def __init__(self, wire: Wire, stream: Any) -> None:
        self._wire, self._stream = wire, stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            if self._wire.cut:
                raise httpx.ReadError("cut")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


AUDIT = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    resources: [{group: guestpostcrm.com}]
  - level: None
"""


@pytest.fixture(scope="session")
def audit_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the API server writes who did what with our kinds."""
    return tmp_path_factory.mktemp("audit") / "audit.log"


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IssuerStandin]:
    """The issuer that the API server trusts."""
    found = IssuerStandin(tmp_path_factory.mktemp("issuer"))
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="session")
def api_server(
    tmp_path_factory: pytest.TempPathFactory, audit_log: Path, issuer: IssuerStandin
) -> Iterator[World]:
    policy = audit_log.parent / "policy.yaml"
    policy.write_text(AUDIT)
    audit = (f"--audit-policy-file={policy}", f"--audit-log-path={audit_log}", "--audit-log-mode=blocking")
    arguments = (*audit, *issuer.flags)
    # These two watch every kind by themselves, and tests count who watches tenants.
    without = ("garbage-collector-controller", "resourcequota-controller")
    with world(tmp_path_factory.mktemp("dashboard"), without=without, apiserver=arguments) as found:
        for name in ("acme", "beta", "gamma"):
            found.tenant(name, status(name))
        found.tenant("delta", status("delta", "Degraded"), region="us-central1", plan="Scale")
        found.tenant("orchard-one", status("orchard-one"))
        found.tenant("orchard-two", status("orchard-two"), region="us-central1")
        yield found


@pytest.fixture(scope="session")
def wire(api_server: World) -> Wire:
    import ssl

    return Wire(ssl.create_default_context(cafile=str(api_server.ca_file)))


@pytest.fixture(scope="session")
def dashboard(api_server: World, wire: Wire) -> Iterator[Served]:
    port = free_port()
    served = Served(api_server.settings(f"http://{HOST}:{port}", port=port), wire)
    served.start()
    yield served
    served.stop()


@pytest.fixture
def tenant(api_server: World) -> Iterator[Callable[..., str]]:
    """Makes tenants of the test's own, and takes them away."""
    made: list[str] = []

    def make(name: str, phase: str = "Running", **spec: Any) -> str:
        api_server.tenant(name, status(name, phase), **spec)
        made.append(name)
        return name

    yield make
    for name in made:
        try:
            api_server.delete(name)
        except Exception as error:
            assert getattr(error, "status", 0) == 404, error  # noqa: PT017


@pytest.fixture
def mended(wire: Wire) -> Iterator[Wire]:
    """The wire, whole again after the test."""
    yield wire
    wire.cut = False


class Person:
    """Somebody at a browser without scripts.

    Attributes:
        http: keeps the cookies.
    """

    def __init__(self, served: Served, token: str) -> None:
        port = served.settings.port
        self.origin = served.url
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Host": f"{HOST}:{port}"},
            trust_env=False,
            timeout=15,
        )
        found = re.search(r'name="csrf" value="([^"]+)"', self.http.get("/sign-in").text)
        assert found
        form = {"csrf": found[1], "token": token, "next": "/"}
        answer = self.http.post("/sign-in", data=form, headers={"Origin": served.url})
        assert answer.status_code == 303, answer.text

    def get(self, address: str, **headers: str) -> httpx.Response:
        return self.http.get(address, headers=headers)


@pytest.fixture
def person(dashboard: Served, api_server: World) -> Iterator[Callable[[str], Person]]:
    """Signs somebody in who has one of the chart's roles."""
    made: list[Person] = []

    def enter(account: str) -> Person:
        made.append(Person(dashboard, api_server.token(account)))
        return made[-1]

    yield enter
    for each in made:
        each.http.close()


# Of a module: as long as it is open, its event loop keeps asyncio's tests of the same process from running.
@pytest.fixture(scope="module")
def chromium(dashboard: Served, chromium_there: None) -> Iterator[browsing.Visitors]:
    port = dashboard.settings.port
    with browsing.patience(), browsing.chromium(f"{HOST}:{port}", port) as browser:
        yield browsing.Visitors(browser)


@pytest.fixture
def at(chromium: browsing.Visitors, dashboard: Served, api_server: World) -> Iterator[As]:
    """A person at a browser; every error of a script and every foreign request fails the test."""
    with staff_at(chromium, dashboard.url, api_server.token) as open_page:
        yield open_page
