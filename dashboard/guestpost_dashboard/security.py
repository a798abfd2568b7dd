"""What every request has to prove and every answer carries."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guestpost_dashboard.settings import Settings

# Nothing inline, nothing of others.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
LARGEST_BODY = 256 * 1024
SAFE = {"GET", "HEAD", "OPTIONS"}
BROKEN = "The dashboard failed at this. What you typed is kept in this tab; its log says why.\n"
FIELD = "csrf"
HEADER = "x-csrf-token"


class SecurityHeaders:
    """Puts the security headers on every answer."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._headers = {
            "content-security-policy": POLICY,
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": "camera=(), geolocation=(), microphone=(), browsing-topics=()",
            # Of other sites, nothing; of our own, enough for Origin's absence on plain forms.
            "referrer-policy": "same-origin",
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
        }
        if settings.secure:
            self._headers["strict-transport-security"] = "max-age=63072000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request through, and answer what failed: nothing further outside has the headers."""
        begun = False

        async def with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", _kept(scope))
            await send(message)

        try:
            await self._app(scope, receive, with_headers)
        except Exception:
            if scope["type"] == "http" and not begun:
                await PlainTextResponse(BROKEN, 500)(scope, receive, with_headers)
            # The server writes it down.
            raise


def _kept(scope: Scope) -> str:
    """Pages are for one person, once; files may be kept as long as the hash in their address holds."""
    if not scope["path"].startswith("/static/"):
        return "no-store"
    return "public, max-age=31536000, immutable" if scope["query_string"].startswith(b"v=") else "no-cache"


class Forgery:
    """Refuses what changes something and does not come from a page of ours, in this session.

    It reads the body, bounded, and hands it on: no page can forget to check.

    Args:
        app: what comes behind.
        settings: the address that pages have.
        unproven: what is answered to a form of ours that is not of the present session.
    """

    def __init__(self, app: ASGIApp, settings: Settings, unproven: Callable[[Request], Response]) -> None:
        self._app = app
        self._origin = settings.url
        self._unproven = unproven

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request through, or refuse it."""
        if scope["type"] != "http" or scope["method"] in SAFE:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(headers)
        body = b"" if refusal else await _body(receive, headers)
        if body is None:
            refusal = PlainTextResponse(f"More than {LARGEST_BODY // 1024} KiB were sent.\n", 413)
        elif not refusal and not _proven(headers, body, scope["state"]["session"].csrf):
            refusal = self._unproven(Request(scope))
        if refusal:
            await refusal(scope, receive, send)
            return
        handed = False

        async def replay() -> Message:
            nonlocal handed
            if handed:
                return await receive()
            handed = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)

    def _refusal(self, headers: Headers) -> Response | None:
        """Why a request is not looked at any further, by its headers."""
        if "origin" in headers:
            ours = headers["origin"] == self._origin
        elif "sec-fetch-site" in headers:
            ours = headers["sec-fetch-site"] in {"same-origin", "none"}
        else:
            ours = headers.get("referer", "").startswith(f"{self._origin}/")
        if not ours:
            return PlainTextResponse("This was sent from a page of another site.\n", 403)
        kind = (
            headers.get("content-type", "application/x-www-form-urlencoded").partition(";")[0].strip().lower()
        )
        if kind != "application/x-www-form-urlencoded":
            return PlainTextResponse("Forms are sent as application/x-www-form-urlencoded.\n", 415)
        return None


async def _body(receive: Receive, headers: Headers) -> bytes | None:
    """What was sent; None when it is more than is taken."""
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > LARGEST_BODY:
        return None
    content = bytearray()
    while True:
        message = await receive()
        content += message.get("body", b"")
        if len(content) > LARGEST_BODY:
            return None
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return bytes(content)


def _proven(headers: Headers, body: bytes, token: str) -> bool:
    """Whether the session's token came along, in a header or in the form."""
    given = headers.get(HEADER)
    if given is None:
        try:
            fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=2000)
        except ValueError:
            return False
        given = (fields.get(FIELD) or [""])[0]
    return hmac.compare_digest(given.encode(), token.encode())
