"""The one page of a server that is gone (`guestpost-crm closed`): it has nothing of its tenant any more."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, re_path

from guestpost_crm.environment import current


def healthy(request: HttpRequest) -> HttpResponse:
    """The kubelet's probes: there is nothing that could be missing."""
    del request
    return HttpResponse("ok\n", content_type="text/plain")


def closed(request: HttpRequest, **_: object) -> HttpResponse:
    """The same for every address (RFC 9110, section 15.5.11)."""
    environment = current()
    context = {"number": environment.tenant_uid, "support_contact": environment.support_contact}
    return render(request, "privacy/closed.html", context, status=410)


urlpatterns = [path("healthz", healthy), path("readyz", healthy), re_path(r"^", closed)]


def serve() -> int:
    """Serve it until stopped."""
    from django.core.handlers.wsgi import WSGIHandler

    from guestpost_crm.web.server import serve as serve_web

    serve_web(WSGIHandler)
    return 0
