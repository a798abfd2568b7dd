"""How often something may be tried from one address, counted in this process for a minute."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from guestpost_crm.web.telling import told

_SECONDS = 60


def client_address(request: HttpRequest) -> str:
    """Where a request comes from: what the gateway, which alone reaches this server, wrote down last."""
    forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return (forwarded or request.META.get("REMOTE_ADDR", ""))[:64]


def at_most(times: int) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """For views that strangers reach: answers 429 (RFC 6585) to an address that asks more often a minute."""

    def limited(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            key = f"limit-{view.__name__}-{client_address(request)}"
            cache.add(key, 0, _SECONDS)
            if request.method == "POST" or view.__name__ == "callback":
                try:
                    count = cache.incr(key)
                except ValueError:
                    # It ran out between the two.
                    count = 1
                if count > times:
                    return _refused(request)
            return view(request, *args, **kwargs)

        return guarded

    return limited


def _refused(request: HttpRequest) -> HttpResponse:
    text = _("From your address this was tried too often. Wait a minute, then try again.")
    response = told(request, _("Too many attempts"), text, 429)
    response.headers["Retry-After"] = str(_SECONDS)
    return response
