"""The HTTP interface: parse, call the service, answer."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TypeVar

import structlog
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guestpost_broker import limits
from guestpost_broker.bodies import Authorization, Backfill, Body, Exchange, Sealed
from guestpost_broker.config import CALLBACK
from guestpost_broker.errors import BrokerError, invalid_request, invalid_state, slow_down
from guestpost_broker.kubernetes import Tenant
from guestpost_broker.limits import Rate, RateLimit
from guestpost_broker.metrics import REQUESTS, SECONDS
from guestpost_broker.service import SYNC, WEB, Broker

LARGEST_BODY = 16 * 1024
_HEADERS = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
    b"strict-transport-security": b"max-age=63072000",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}
Endpoint = Callable[[Request], Awaitable[Response]]
B = TypeVar("B", bound=Body)
log = structlog.get_logger()


def create(
    broker: Broker,
    ready: Callable[[], Awaitable[bool]],
    rates: Mapping[str, Rate] = limits.RATES,
    strangers: Rate = limits.STRANGERS,
) -> Starlette:
    """The application.

    Args:
        broker: does the work.
        ready: whether everything it needs is there.
        rates: what one tenant may ask, by operation.
        strangers: how often one address may come with a token that proves nothing.
    """
    application = Starlette(
        routes=[
            Route("/v1/authorizations", _counted("begin", authorizations), methods=["POST"]),
            Route(CALLBACK, _counted("callback", callback), methods=["GET"]),
            Route("/v1/tokens", _counted("exchange", exchange), methods=["POST"]),
            Route("/v1/tokens/refresh", _counted("refresh", refresh), methods=["POST"]),
            Route("/v1/tokens/revoke", _counted("revoke", revoke), methods=["POST"]),
            Route("/v1/backfills", _counted("backfill", backfill), methods=["POST"]),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
        ],
        middleware=[Middleware(SecurityHeaders)],
    )
    application.state.broker = broker
    application.state.ready = ready
    application.state.limits = {operation: RateLimit(rate) for operation, rate in rates.items()}
    application.state.strangers = RateLimit(strangers)
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


def _counted(operation: str, endpoint: Endpoint) -> Endpoint:
    """An endpoint whose answers are counted and timed, and whose failures become answers."""

    async def serve(request: Request) -> Response:
        request.state.operation = operation
        began, outcome = time.monotonic(), "ok"
        try:
            return await endpoint(request)
        except BrokerError as error:
            outcome = error.error
            log.info("refused", operation=operation, error=outcome)
            return _refusal(operation, error)
        except ClientDisconnect:
            outcome = "disconnected"
            raise
        except Exception as error:
            # Its text could quote what was sent; the kind is enough to find the place.
            outcome = "server_error"
            log.error("failed", operation=operation, problem=type(error).__name__)
            return _refusal(operation, BrokerError(500, outcome, "The consent broker failed. Try again."))
        finally:
            REQUESTS.labels(operation, outcome).inc()
            SECONDS.labels(operation).observe(time.monotonic() - began)

    serve.__doc__ = endpoint.__doc__
    return serve


def _refusal(operation: str, error: BrokerError) -> Response:
    """A BrokerError as JSON; a person at a browser gets its sentence."""
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    if operation == "callback":
        return Response(error.description, error.status, headers, "text/plain; charset=utf-8")
    body = {"error": error.error, "error_description": error.description, **error.extra}
    return JSONResponse(body, error.status, headers)


async def authorizations(request: Request) -> Response:
    """Begin a consent."""
    tenant, body = await _asked(request, Authorization, accounts=(WEB,))
    consent = _broker(request).begin(tenant, body.purpose, body.code_challenge, body.nonce, body.login_hint)
    return JSONResponse(
        {
            "authorization_url": consent.authorization_url,
            "state": consent.state,
            "expires_in": consent.expires_in,
        }
    )


async def callback(request: Request) -> Response:
    """Pass Google's redirect on to the CRM that began the consent."""
    query = request.query_params
    if any(len(query.getlist(name)) > 1 for name in ("state", "code", "error")):
        # Two parts of a chain may read different ones (RFC 6749, section 3.1: not more than once).
        raise invalid_state()
    state, code, error = query.get("state", ""), query.get("code", ""), query.get("error", "")
    if len(state) > 4096 or len(code) > 1024 or len(error) > 64:
        raise invalid_state()
    return RedirectResponse(_broker(request).return_address(state, code=code, error=error), status_code=303)


async def exchange(request: Request) -> Response:
    """Tokens for a code."""
    tenant, body = await _asked(request, Exchange, accounts=(WEB,))
    return JSONResponse(await _broker(request).exchange(tenant, body.state, body.code, body.code_verifier))


async def refresh(request: Request) -> Response:
    """A new access token."""
    tenant, body = await _asked(request, Sealed)
    return JSONResponse(await _broker(request).refresh(tenant, body.sub, body.sealed_refresh_token))


async def revoke(request: Request) -> Response:
    """End a consent."""
    tenant, body = await _asked(request, Sealed)
    await _broker(request).revoke(tenant, body.sub, body.sealed_refresh_token)
    return Response(status_code=204)


async def backfill(request: Request) -> Response:
    """A share of the project's quota for a mailbox's first import."""
    tenant, body = await _asked(request, Backfill)
    answer = _broker(request).backfill(tenant, body.sub, body.sealed_refresh_token, body.units_per_minute)
    return JSONResponse(answer)


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


async def _asked(
    request: Request, model: type[B], *, accounts: Collection[str] = (WEB, SYNC)
) -> tuple[Tenant, B]:
    """Who asks, and for what; the caller is known before the body is read."""
    tenant = await _caller(request, accounts)
    limit: RateLimit = request.app.state.limits[request.state.operation]
    if wait := limit.take(tenant.uid):
        raise slow_down(f"This tenant asks too often. Wait {wait} s.", wait)
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


async def _caller(request: Request, accounts: Collection[str]) -> Tenant:
    """The tenant that the request's token proves; who keeps failing to prove one is not reviewed any more."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip() if kind.lower() == "bearer" and len(token) < 16_384 else ""
    address = request.client.host if request.client else ""
    strangers: RateLimit = request.app.state.strangers
    if wait := strangers.wait(address):
        raise slow_down(f"Too many tokens that prove nothing. Wait {wait} s.", wait)
    try:
        return await _broker(request).caller(token, accounts)
    except BrokerError as error:
        if error.status == 401:
            strangers.take(address)
        raise
