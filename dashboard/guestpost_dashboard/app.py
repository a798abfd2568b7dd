"""The application: its routes, its middleware, and what lives as long as it."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from guestpost_dashboard.backends.errors import ApiError
from guestpost_dashboard.backends.issuer import Issuer
from guestpost_dashboard.backends.watch import Watch
from guestpost_dashboard.fleet import Fleet
from guestpost_dashboard.pages import doing, fleet, health, signing, streams, tenant
from guestpost_dashboard.pages.asking import Forms
from guestpost_dashboard.pages.problems import refused, unknown, unproven
from guestpost_dashboard.pages.rights import Rights
from guestpost_dashboard.security import Forgery, SecurityHeaders
from guestpost_dashboard.sessions import Sessions
from guestpost_dashboard.settings import Settings

STATIC = Path(__file__).parent / "static"


def create(
    settings: Settings,
    transport: httpx.AsyncBaseTransport | None = None,
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """The application; what it opens is closed when it ends.

    Args:
        settings: see settings.py.
        transport: the way to the API server, for tests of its faults; by default the network.
        clock: seconds since 1970, by which sessions end.
    """

    @asynccontextmanager
    async def lifespan(application: Starlette) -> AsyncIterator[None]:
        trust = ssl.create_default_context(cafile=settings.kubernetes_ca_file or None)
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=20)
        # trust_env: nothing of a proxy, and no other credentials than the person's.
        async with httpx.AsyncClient(
            base_url=settings.kubernetes_url,
            verify=trust,
            transport=transport,
            timeout=httpx.Timeout(10, connect=5),
            limits=limits,
            trust_env=False,
        ) as http:
            application.state.http = http
            application.state.rights = Rights()
            application.state.forms = Forms()
            application.state.issuer = Issuer(settings.oidc) if settings.oidc else None
            application.state.fleet = Fleet()
            application.state.watch = Watch(http, settings.kubernetes_token_file, application.state.fleet)
            application.state.watch.start()
            try:
                yield
            finally:
                await application.state.watch.stop()

    application = Starlette(
        routes=[
            *health.routes,
            *signing.routes,
            *fleet.routes,
            *streams.routes,
            *doing.routes,
            *tenant.routes,
            Mount("/static", StaticFiles(directory=STATIC), name="static"),
        ],
        middleware=[
            Middleware(SecurityHeaders, settings=settings),
            Middleware(Sessions, settings=settings, clock=clock),
            Middleware(Forgery, settings=settings, unproven=unproven),
        ],
        exception_handlers={ApiError: refused, 404: unknown, 405: unknown},
        lifespan=lifespan,
    )
    application.state.settings = settings
    application.state.clock = clock
    return application
