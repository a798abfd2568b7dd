"""Who asks the API: a token, with a scope, of somebody who may."""

from __future__ import annotations

from django.http import HttpRequest
from ninja.errors import HttpError
from ninja.security import HttpBearer
from ninja.throttling import AuthRateThrottle

from guestpost_crm.environment import current
from guestpost_crm.integrations import tokens
from guestpost_crm.integrations.models import ApiToken, Scope

RATE = "300/m"


class Token(HttpBearer):
    """`Authorization: Bearer gpc_…` with a scope; a session's cookie opens nothing here."""

    openapi_name = "token"

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        self._scope = scope

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken | None:
        """The token, None when it is none that holds (401).

        Raises:
            HttpError: 403 without the scope, 503 while the server is suspended.
        """
        found = tokens.find(token)
        if found is None:
            return None
        if current().suspend_reason:
            raise HttpError(503, f"This CRM is suspended: {current().suspend_reason}")
        if self._scope not in found.scopes:
            raise HttpError(403, f"This token lacks the scope {self._scope.value}.")
        if self._scope == Scope.OUTREACH_WRITE and not found.person.may_write:
            raise HttpError(403, "The person of this token may only read by now.")
        return found


class PerToken(AuthRateThrottle):
    """So many requests of a token in a minute."""

    def get_cache_key(self, request: HttpRequest) -> str:
        """One window for each token."""
        token: ApiToken = request.auth  # type: ignore[attr-defined]
        return f"api-token-{token.pk}"
