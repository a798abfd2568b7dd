"""Google's token endpoint, behind a small interface.

https://developers.google.com/identity/protocols/oauth2/web-server
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request
from google.oauth2 import id_token

from guestpost_broker.config import Config, GoogleClient
from guestpost_broker.errors import BrokerError, google_unavailable, invalid_grant

TIMEOUT = httpx.Timeout(10.0)


@dataclass(frozen=True)
class Tokens:
    """An answer of the token endpoint; what was not given is empty."""

    access_token: str
    expires_in: int
    scope: str
    refresh_token: str = ""
    id_token: str = ""

    def __repr__(self) -> str:
        return "Tokens(…)"


class Google(Protocol):
    """What the broker asks of Google."""

    async def exchange(self, client: GoogleClient, code: str, verifier: str) -> Tokens:
        """Tokens for a code (BrokerError invalid_grant or google_unavailable)."""

    async def refresh(self, client: GoogleClient, refresh_token: str) -> Tokens:
        """A new access token (BrokerError invalid_grant or google_unavailable)."""

    async def revoke(self, refresh_token: str) -> None:
        """End a grant; one that is ended already is fine (BrokerError google_unavailable)."""

    async def subject(self, client: GoogleClient, token: str) -> str:
        """The `sub` of a verified ID token (BrokerError invalid_grant)."""


class HttpGoogle:
    """Google over HTTPS.

    Args:
        config: its addresses.
        client: shared connections.
    """

    def __init__(self, config: Config, client: httpx.AsyncClient) -> None:
        self._config = config
        self._http = client
        # Keeps Google's certificates between calls, for as long as they say.
        self._certificates = Request()

    async def exchange(self, client: GoogleClient, code: str, verifier: str) -> Tokens:
        """See Google.exchange."""
        return await self._tokens(
            client,
            grant_type="authorization_code",
            code=code,
            code_verifier=verifier,
            redirect_uri=self._config.redirect_uri,
        )

    async def refresh(self, client: GoogleClient, refresh_token: str) -> Tokens:
        """See Google.refresh."""
        return await self._tokens(client, grant_type="refresh_token", refresh_token=refresh_token)

    async def revoke(self, refresh_token: str) -> None:
        """See Google.revoke."""
        answer = await self._post(self._config.revoke_url, {"token": refresh_token})
        if answer.status_code >= 400 and _error(answer) not in ("invalid_token", "invalid_grant"):
            raise google_unavailable()

    async def subject(self, client: GoogleClient, token: str) -> str:
        """See Google.subject."""
        try:
            claims = await asyncio.to_thread(self._verify, client, token)
        except (GoogleAuthError, ValueError) as error:
            raise invalid_grant() from error
        if claims.get("iss") not in (self._config.issuer, self._config.issuer.removeprefix("https://")):
            raise invalid_grant()
        return str(claims["sub"])

    def _verify(self, client: GoogleClient, token: str) -> Mapping[str, Any]:
        return id_token.verify_token(
            token,
            self._certificates,
            audience=client.client_id,
            certs_url=self._config.certs_url,
            clock_skew_in_seconds=10,
        )

    async def _tokens(self, client: GoogleClient, **form: str) -> Tokens:
        secret = {"client_id": client.client_id, "client_secret": client.client_secret}
        answer = await self._post(self._config.token_url, {**form, **secret})
        if answer.status_code == 400 and _error(answer) == "invalid_grant":
            raise invalid_grant()
        if answer.status_code in (400, 401):
            raise BrokerError(
                502,
                "google_refused",
                "Google refuses this installation's OAuth client: its operator has to check client id, "
                "secret and redirect URI.",
            )
        if answer.status_code != 200:
            raise google_unavailable()
        body = answer.json()
        return Tokens(
            access_token=str(body["access_token"]),
            expires_in=int(body["expires_in"]),
            scope=str(body.get("scope", "")),
            refresh_token=str(body.get("refresh_token", "")),
            id_token=str(body.get("id_token", "")),
        )

    async def _post(self, url: str, form: dict[str, str]) -> httpx.Response:
        try:
            return await self._http.post(url, data=form, timeout=TIMEOUT)
        except httpx.HTTPError as error:
            raise google_unavailable() from error


def _error(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("error", ""))
    except (ValueError, AttributeError):
        return ""
