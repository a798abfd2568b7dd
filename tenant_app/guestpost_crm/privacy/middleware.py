"""Nobody works here without having been shown the policy in force, or while the server is erased."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin

from guestpost_crm.accounts.models import Person, Role
from guestpost_crm.environment import current
from guestpost_crm.privacy import policy
from guestpost_crm.privacy.pages import leaving

SEEN = "policy_version"
LEAVING = "leaving"
# Names of addresses that answer also then, besides public ones.
_OPEN_WHILE_LEAVING = ("export-archive", "sign-out")


class Leaving(MiddlewareMixin):
    """While the server is being erased, says so instead of showing what was asked for."""

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        """Let the request through, or answer it with 410 (RFC 9110, section 15.5.11)."""
        if current().closing != LEAVING:
            return None
        match = request.resolver_match
        if getattr(view, "is_public", False) or (match and match.url_name in _OPEN_WHILE_LEAVING):
            return None
        return leaving(request)


class PolicyAccepted(MiddlewareMixin):
    """Shows a new version of the policy before anything else, once to each person."""

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        """Let the request through, or send it to the policy first."""
        person = request.user
        if not isinstance(person, Person) or request.session.get(SEEN) == policy.CURRENT.version:
            return None
        if person.role == Role.SUPPORT:
            # The policy is between the service and its customers.
            return None
        if getattr(view, "is_public", False) or getattr(view, "is_open_while_suspended", False):
            return None
        if request.method == "POST" and SEEN in request.session:
            # Written when an earlier version held, which was accepted: it is taken, and the next page asks.
            return None
        if policy.accepted(person):
            request.session[SEEN] = policy.CURRENT.version
            return None
        following = request.get_full_path() if request.method == "GET" else ""
        return redirect(f"{reverse('policy')}?{urlencode({'next': following})}")
