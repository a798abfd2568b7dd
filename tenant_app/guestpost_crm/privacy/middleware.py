"""Nobody works here without having been shown the policy in force."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin

from guestpost_crm.accounts.models import Person
from guestpost_crm.privacy import policy

SEEN = "policy_version"


class PolicyAccepted(MiddlewareMixin):
    """Shows a new version of the policy before anything else, once to each person."""

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        """Let the request through, or send it to the policy first."""
        person = request.user
        if not isinstance(person, Person) or request.session.get(SEEN) == policy.CURRENT.version:
            return None
        if getattr(view, "is_public", False) or getattr(view, "is_open_while_suspended", False):
            return None
        if policy.accepted(person):
            request.session[SEEN] = policy.CURRENT.version
            return None
        following = request.get_full_path() if request.method == "GET" else ""
        return redirect(f"{reverse('policy')}?{urlencode({'next': following})}")
