"""For the kubelet."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


async def healthz(request: Request) -> Response:
    """The process answers."""
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:
    """The fleet was listed once. While the API server is away later, pages say so themselves."""
    listed = request.app.state.fleet.listed
    return PlainTextResponse("ok\n" if listed else "the tenants are not listed yet\n", 200 if listed else 503)


routes = [Route("/healthz", healthz), Route("/readyz", readyz)]
