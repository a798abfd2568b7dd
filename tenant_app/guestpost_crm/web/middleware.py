"""Probes before anything else, and the headers that every page carries."""

from __future__ import annotations

from collections.abc import Callable

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware

from guestpost_crm.environment import current
from guestpost_crm.web.readiness import schema_is_current

# Everything comes from here; no inline script or style, nothing of third parties. Forms are sent here
# too, but a consent's form is answered by a redirect to Google, which the policy has to allow.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; frame-src 'self'; form-action 'self' {google}; base-uri 'none'; "
    "frame-ancestors 'self'"
)
Handler = Callable[[HttpRequest], HttpResponse]


class Health:
    """Answers the kubelet's probes, which come to the pod's address and not to the tenant's host."""

    def __init__(self, following: Handler) -> None:
        self._following = following

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a probe, or pass the request on."""
        if request.path == "/healthz":
            return HttpResponse("ok\n", content_type="text/plain")
        if request.path == "/readyz":
            try:
                ready = schema_is_current()
            except DatabaseError:
                ready = False
            text = "ok\n" if ready else "the database is not ready\n"
            return HttpResponse(text, content_type="text/plain", status=200 if ready else 503)
        return self._following(request)


class Compressed(GZipMiddleware):
    """Packs pages, which a slow line has to carry; not what is streamed, for that has a length of its own.

    Django adds a random length to each, so that it gives nothing away of what is in it (BREACH).
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Pack it, or leave it."""
        kind = response.headers.get("Content-Type", "")
        if response.streaming or not kind.startswith(("text/html", "application/json")):
            return response
        return super().process_response(request, response)


class SecurityHeaders:
    """Sets a strict Content-Security-Policy and its relatives, unless a view has set its own."""

    def __init__(self, following: Handler) -> None:
        self._following = following
        self._policy = POLICY.format(google=current().google_issuer)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on and complete its answer."""
        response = self._following(request)
        response.headers.setdefault("Content-Security-Policy", self._policy)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.headers.setdefault(
            "Permissions-Policy", "camera=(), geolocation=(), microphone=(), browsing-topics=()"
        )
        if not request.path.startswith("/static/"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response
