"""The HTTP interface: parse, call the service, answer."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from prometheus_client import Counter, Histogram
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guestpost_broker.bodies import Authorization, Body, Exchange, Sealed
from guestpost_broker.errors import BrokerError, invalid_request
from guestpost_broker.kubernetes import Tenant
from guestpost_broker.limits import RateLimit
from guestpost_broker.service import Broker

LARGEST_BODY = 16 * 1024
_HEADERS = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
    b"strict-transport-security": b"max-age=63072000",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}
REQUESTS = Counter("guestpost_broker_requests_total", "Requests answered.", ["operation", "outcome"])
SECONDS = Histogram("guestpost_broker_request_seconds", "Time to answer a request.", ["operation"])

B = TypeVar("B", bound=Body)
log = structlog.get_logger()


def create(broker: Broker, ready: Callable[[], Awaitable[bool]], limit: RateLimit | None = None) -> Starlette:
    """The application.

    Args:
        broker: does the work.
        ready: whether everything it needs is there.
        limit: calls of one tenant.
    """
    application = Starlette(
        routes=[
            Route("/v1/authorizations", authorizations, methods=["POST"]),
            Route("/oauth/callback", callback, methods=["GET"]),
            Route("/v1/tokens", exchange, methods=["POST"]),
            Route("/v1/tokens/refresh", refresh, methods=["POST"]),
            Route("/v1/tokens/revoke", revoke, methods=["POST"]),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
        ],
        middleware=[Middleware(SecurityHeaders)],
        exception_handlers={BrokerError: refused},
    )
    application.state.broker = broker
    application.state.ready = ready
    application.state.limit = limit or RateLimit(per_minute=120, burst=60)
    return application


class SecurityHeaders:
    """Puts the security headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request through."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_HEADERS.items()]
            await send(message)

        await self._app(scope, receive, with_headers)


async def refused(request: Request, error: Exception) -> Response:
    """A BrokerError as JSON; a person at a browser gets its sentence."""
    if not isinstance(error, BrokerError):
        raise error
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    REQUESTS.labels(request.url.path, error.error).inc()
    log.info("refused", operation=request.url.path, error=error.error)
    if request.url.path == "/oauth/callback":
        return Response(error.description, error.status, headers, "text/plain; charset=utf-8")
    body = {"error": error.error, "error_description": error.description, **error.extra}
    return JSONResponse(body, error.status, headers)


async def authorizations(request: Request) -> Response:
    """Begin a consent."""
    tenant, body = await _asked(request, Authorization)
    consent = _broker(request).begin(tenant, body.purpose, body.code_challenge, body.nonce, body.login_hint)
    return _done(
        request,
        {
            "authorization_url": consent.authorization_url,
            "state": consent.state,
            "expires_in": consent.expires_in,
        },
    )


async def callback(request: Request) -> Response:
    """Pass Google's redirect on to the CRM that began the consent."""
    query = request.query_params
    code, error = query.get("code", "")[:1024], query.get("error", "")[:64]
    address = _broker(request).return_address(query.get("state", "")[:4096], code=code, error=error)
    REQUESTS.labels(request.url.path, "ok").inc()
    return RedirectResponse(address, status_code=303)


async def exchange(request: Request) -> Response:
    """Tokens for a code."""
    tenant, body = await _asked(request, Exchange)
    answer = await _broker(request).exchange(tenant, body.state, body.code, body.code_verifier)
    return _done(request, answer)


async def refresh(request: Request) -> Response:
    """A new access token."""
    tenant, body = await _asked(request, Sealed)
    return _done(request, await _broker(request).refresh(tenant, body.sealed_refresh_token))


async def revoke(request: Request) -> Response:
    """End a consent; a tenant that is being deleted may do this too."""
    tenant, body = await _asked(request, Sealed, deleting_allowed=True)
    await _broker(request).revoke(tenant, body.sealed_refresh_token)
    REQUESTS.labels(request.url.path, "ok").inc()
    return Response(status_code=204)


async def healthz(request: Request) -> Response:
    """The process answers."""
    return Response("ok\n")


async def readyz(request: Request) -> Response:
    """Everything it needs answers too."""
    ready = await request.app.state.ready()
    return Response("ok\n" if ready else "not ready\n", 200 if ready else 503)


def _broker(request: Request) -> Broker:
    broker: Broker = request.app.state.broker
    return broker


async def _asked(request: Request, model: type[B], *, deleting_allowed: bool = False) -> tuple[Tenant, B]:
    """Who asks, and for what; the caller is known before the body is read."""
    request.state.started = time.monotonic()
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip() if kind.lower() == "bearer" and len(token) < 16_384 else ""
    tenant = await _broker(request).caller(token, deleting_allowed=deleting_allowed)
    if not request.app.state.limit.allows(tenant.uid):
        raise BrokerError(429, "slow_down", "This tenant asks too often. Wait a moment.", retry_after=10)
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST_BODY:
            raise BrokerError(413, "invalid_request", f"The body is larger than {LARGEST_BODY} bytes.")
    try:
        return tenant, model.model_validate_json(bytes(content))
    except ValidationError as error:
        # Only where it is wrong, never what was sent.
        places = sorted({".".join(map(str, item["loc"])) or "body" for item in error.errors()})
        raise invalid_request(f"Wrong or missing: {', '.join(places)[:500]}.") from None


def _done(request: Request, answer: dict[str, object]) -> Response:
    REQUESTS.labels(request.url.path, "ok").inc()
    SECONDS.labels(request.url.path).observe(time.monotonic() - request.state.started)
    return JSONResponse(answer)
