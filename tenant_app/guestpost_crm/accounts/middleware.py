"""Nobody sees anything without having signed in, unless a view says that it is public."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.deprecation import MiddlewareMixin
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _

from guestpost_crm.accounts.models import Person
from guestpost_crm.environment import current
from guestpost_crm.web.telling import told
from guestpost_crm.web.typed import typed


def public(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Mark a view as one that needs no sign-in."""
    view.is_public = True  # type: ignore[attr-defined]
    return view


def open_while_suspended(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Mark a view that answers also while the server is suspended: nobody's own data is held back."""
    view.is_open_while_suspended = True  # type: ignore[attr-defined]
    return view


def signed_in(request: HttpRequest) -> Person:
    """The person who asks (PermissionDenied when nobody has signed in)."""
    if not isinstance(request.user, Person):
        raise PermissionDenied
    return request.user


class SignInRequired(MiddlewareMixin):
    """Sends everybody who has not signed in to the sign-in page; shows a form that comes too late."""

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        """Let the request through, or answer it."""
        if request.user.is_authenticated or getattr(view, "is_public", False):
            return None
        following = _page_of(request)
        if written := typed(request):
            heading = _("You are not signed in any more")
            text = _("Sessions end after two hours without use, and when somebody ends them.")
            sign_in = f"{reverse('sign-in')}?{urlencode({'next': following})}"
            return told(request, heading, text, 403, typed=written, following=sign_in)
        return redirect_to_login(following)


def _page_of(request: HttpRequest) -> str:
    """The page that a request is for: for a form the one that it stands on, its own address shows nothing."""
    if request.method != "POST":
        return request.get_full_path()
    came_from, environment = request.headers.get("Referer", ""), current()
    if not url_has_allowed_host_and_scheme(came_from, {environment.host}, require_https=environment.secure):
        return reverse("inbox")
    parts = urlsplit(came_from)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path or "/"


class Preferences(MiddlewareMixin):
    """Shows pages in a person's language and moments in their time zone."""

    def process_request(self, request: HttpRequest) -> None:
        """Choose both, for this request alone."""
        person = request.user
        if isinstance(person, Person) and person.language:
            translation.activate(person.language)
            request.LANGUAGE_CODE = translation.get_language()
        zone = person.time_zone if isinstance(person, Person) else ""
        try:
            timezone.activate(zoneinfo.ZoneInfo(zone or "UTC"))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            # An archive from a machine that knows other zones.
            timezone.deactivate()


class Suspended(MiddlewareMixin):
    """While the server is suspended, says why instead of showing what was asked for."""

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        """Let the request through, or answer it with 503 (RFC 9110, section 15.6.4)."""
        if not current().suspend_reason:
            return None
        if getattr(view, "is_public", False) or getattr(view, "is_open_while_suspended", False):
            return None
        context = {"reason": current().suspend_reason, "typed": typed(request)}
        return render(request, "accounts/suspended.html", context, status=503)
