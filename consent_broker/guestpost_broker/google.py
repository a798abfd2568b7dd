"""Google's token endpoint, behind a small interface.

https://developers.google.com/identity/protocols/oauth2/web-server
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import httpx
import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from guestpost_broker.config import Config, GoogleClient
from guestpost_broker.errors import BrokerError, google_unavailable, invalid_grant

TIMEOUT = httpx.Timeout(10.0)
_MAX_AGE = re.compile(r"max-age=(\d{1,6})")
_CLOCK_SKEW = 10


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


class Certificates:
    """Google's signing keys, kept for as long as it says.

    Args:
        url: certificates in PEM by key id (`/oauth2/v1/certs`).
        http: shared connections.
    """

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self._url = url
        self._http = http
        self._kept: Mapping[str, str] = {}
        self._until = 0.0

    async def key(self, key_id: str) -> RSAPublicKey | None:
        """A public key by its id, None when Google has none (BrokerError google_unavailable)."""
        if key_id not in self._kept or time.monotonic() > self._until:
            await self._fetch()
        pem = self._kept.get(key_id)
        key = x509.load_pem_x509_certificate(pem.encode()).public_key() if pem else None
        return key if isinstance(key, RSAPublicKey) else None

    async def _fetch(self) -> None:
        try:
            answer = (await self._http.get(self._url, timeout=TIMEOUT)).raise_for_status()
            self._kept = {str(name): str(pem) for name, pem in answer.json().items()}
        except (httpx.HTTPError, ValueError, AttributeError):
            raise google_unavailable() from None
        age = _MAX_AGE.search(answer.headers.get("cache-control", ""))
        self._until = time.monotonic() + (int(age[1]) if age else 0)


class HttpGoogle:
    """Google over HTTPS.

    Args:
        config: its addresses.
        client: shared connections.
    """

    def __init__(self, config: Config, client: httpx.AsyncClient) -> None:
        self._config = config
        self._http = client
        self._certificates = Certificates(config.certs_url, client)

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
        issuer = self._config.issuer
        try:
            key = await self._certificates.key(str(jwt.get_unverified_header(token).get("kid", "")))
            if key is None:
                raise invalid_grant()
            claims = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=client.client_id,
                issuer=[issuer, issuer.removeprefix("https://")],
                leeway=_CLOCK_SKEW,
                options={"require": ["exp", "iat", "sub"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            raise invalid_grant() from None
        return str(claims["sub"])

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
        try:
            body = answer.json()
            return Tokens(
                access_token=str(body["access_token"]),
                expires_in=int(body["expires_in"]),
                scope=str(body.get("scope", "")),
                refresh_token=str(body.get("refresh_token", "")),
                id_token=str(body.get("id_token", "")),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            # Not Google's words, such as a proxy's page; without a cause, which would quote it.
            raise google_unavailable() from None

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
