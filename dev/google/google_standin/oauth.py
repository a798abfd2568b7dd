"""Clients, consents, codes and tokens, as Google's OAuth server keeps them.

https://developers.google.com/identity/protocols/oauth2/web-server and
https://developers.google.com/identity/openid-connect/openid-connect
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from google_standin.errors import OAuthError
from google_standin.store import Account

CODE_SECONDS = 600
ACCESS_SECONDS = 3599
_EXPIRED = "Token has been expired or revoked."


@dataclass
class Client:
    """An OAuth client; redirect URIs match exactly. `project` owns it, when it matters."""

    client_id: str
    client_secret: str
    redirect_uris: tuple[str, ...]
    project: str = ""


@dataclass(frozen=True)
class Request:
    """What a client asks of a person: the parameters of an authorization request."""

    client_id: str
    redirect_uri: str
    scope: tuple[str, ...]
    state: str
    nonce: str
    code_challenge: str
    access_type: str
    prompt: str
    login_hint: str


@dataclass(frozen=True)
class Code:
    """An authorization code's meaning."""

    request: Request
    email: str
    scopes: frozenset[str]
    refresh: bool
    expires: float


@dataclass(frozen=True)
class Access:
    """An access token's meaning."""

    client_id: str
    email: str
    scopes: frozenset[str]
    expires: float


@dataclass
class Grant:
    """What a person has allowed a client; revoked as a whole."""

    scopes: set[str] = field(default_factory=set)
    refresh_tokens: set[str] = field(default_factory=set)


class OAuth:
    """The authorization server's memory.

    Args:
        issuer: its address, the `iss` of ID tokens.
        clock: seconds since the epoch.
    """

    def __init__(self, issuer: str, clock: Callable[[], float] = time.time) -> None:
        self.issuer = issuer
        self.clients: dict[str, Client] = {}
        self._clock = clock
        self._codes: dict[str, Code] = {}
        self._spent: dict[str, tuple[str, str]] = {}
        self._access: dict[str, Access] = {}
        self._refresh: dict[str, tuple[str, str, frozenset[str]]] = {}
        self._grants: dict[tuple[str, str], Grant] = {}
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._key_id = secrets.token_hex(10)

    def check(self, request: Request) -> Client:
        """The client of a request.

        Raises:
            OAuthError: unknown client or redirect URI; nobody is redirected then.
        """
        client = self.clients.get(request.client_id)
        if client is None:
            raise OAuthError("invalid_client", "The OAuth client was not found.", 401)
        if request.redirect_uri not in client.redirect_uris:
            raise OAuthError("redirect_uri_mismatch", f"{request.redirect_uri} is not registered.")
        return client

    def has_consent(self, request: Request, email: str) -> bool:
        """Whether the person allowed all of this before."""
        grant = self._grants.get((request.client_id, email))
        return grant is not None and set(request.scope) <= grant.scopes

    def consent(self, request: Request, email: str, scopes: Iterable[str]) -> str:
        """Record what a person allowed, and return the code for the client."""
        known = self._grants.setdefault((request.client_id, email), Grant())
        first = not known.refresh_tokens
        known.scopes |= set(scopes)
        refresh = request.access_type == "offline" and (first or "consent" in request.prompt)
        code = f"4/0A{secrets.token_urlsafe(32)}"
        expires = self._clock() + CODE_SECONDS
        self._codes[code] = Code(request, email, frozenset(scopes), refresh, expires)
        return code

    def authenticate(self, client_id: str, client_secret: str) -> Client:
        """The client that proves itself (OAuthError invalid_client)."""
        client = self.clients.get(client_id)
        if client is None or not secrets.compare_digest(client.client_secret, client_secret):
            raise OAuthError("invalid_client", "Unauthorized", 401)
        return client

    def exchange(
        self, client: Client, code: str, redirect_uri: str, verifier: str, account: Callable[[str], Account]
    ) -> dict[str, Any]:
        """Tokens for a code, once.

        Raises:
            OAuthError: invalid_grant or redirect_uri_mismatch.
        """
        meaning = self._codes.pop(code, None)
        if meaning is None:
            if code in self._spent:
                # A code used twice ends what it gave (RFC 6749, section 4.1.2).
                self.revoke_grant(*self._spent[code])
            raise OAuthError("invalid_grant", "Malformed auth code.")
        if meaning.request.client_id != client.client_id or meaning.expires < self._clock():
            raise OAuthError("invalid_grant", "Bad Request")
        if meaning.request.redirect_uri != redirect_uri:
            raise OAuthError("redirect_uri_mismatch", "Bad Request")
        if meaning.request.code_challenge and _challenge(verifier) != meaning.request.code_challenge:
            raise OAuthError("invalid_grant", "Invalid code verifier.")
        self._spent[code] = (client.client_id, meaning.email)
        answer = self._issue(client.client_id, meaning.email, meaning.scopes)
        if meaning.refresh:
            token = f"1//0{secrets.token_urlsafe(48)}"
            self._refresh[token] = (client.client_id, meaning.email, meaning.scopes)
            self._grants[(client.client_id, meaning.email)].refresh_tokens.add(token)
            answer["refresh_token"] = token
        if "openid" in meaning.scopes:
            answer["id_token"] = self._id_token(meaning, account(meaning.email), answer["access_token"])
        return answer

    def refresh(self, client: Client, token: str) -> dict[str, Any]:
        """A new access token (OAuthError invalid_grant)."""
        meaning = self._refresh.get(token)
        if meaning is None or meaning[0] != client.client_id:
            raise OAuthError("invalid_grant", _EXPIRED)
        return self._issue(*meaning)

    def _issue(self, client_id: str, email: str, scopes: frozenset[str]) -> dict[str, Any]:
        token = f"ya29.{secrets.token_urlsafe(60)}"
        self._access[token] = Access(client_id, email, scopes, self._clock() + ACCESS_SECONDS)
        return {
            "access_token": token,
            "expires_in": ACCESS_SECONDS,
            "scope": " ".join(sorted(scopes)),
            "token_type": "Bearer",
        }

    def access(self, token: str) -> Access | None:
        """What an access token allows, None when it is unknown, expired or revoked."""
        meaning = self._access.get(token)
        return meaning if meaning and meaning.expires > self._clock() else None

    def revoke(self, token: str) -> None:
        """End the whole grant that a token belongs to (OAuthError invalid_token)."""
        if token in self._refresh:
            client_id, email, _ = self._refresh[token]
        elif meaning := self._access.get(token):
            client_id, email = meaning.client_id, meaning.email
        else:
            raise OAuthError("invalid_token", "Token expired or revoked")
        self.revoke_grant(client_id, email)

    def revoke_grant(self, client_id: str, email: str) -> None:
        """End everything that a person has allowed a client."""
        self._grants.pop((client_id, email), None)
        self._refresh = {
            token: meaning for token, meaning in self._refresh.items() if meaning[:2] != (client_id, email)
        }
        self._access = {
            token: meaning
            for token, meaning in self._access.items()
            if (meaning.client_id, meaning.email) != (client_id, email)
        }

    def granted(self) -> dict[str, list[str]]:
        """Who allows which clients something."""
        found: dict[str, list[str]] = {}
        for client_id, email in sorted(self._grants):
            found.setdefault(email, []).append(client_id)
        return found

    def revoke_account(self, email: str) -> None:
        """What a person does at myaccount.google.com: remove every app's access."""
        for client_id, who in [key for key in self._grants if key[1] == email.lower()]:
            self.revoke_grant(client_id, who)

    def _id_token(self, code: Code, account: Account, access_token: str) -> str:
        now = int(self._clock())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "azp": code.request.client_id,
            "aud": code.request.client_id,
            "sub": account.sub,
            "at_hash": _at_hash(access_token),
            "iat": now,
            "exp": now + 3600,
        }
        if code.request.nonce:
            claims["nonce"] = code.request.nonce
        if "email" in code.scopes:
            claims |= {"email": account.email, "email_verified": True}
        if "profile" in code.scopes:
            claims |= {"name": account.name, "given_name": account.name.split(" ")[0]}
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._key_id})

    def certificates(self) -> dict[str, str]:
        """The signing key as a certificate, by key id (`/oauth2/v1/certs`)."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "google-standin")])
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(1)
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=30))
            .sign(self._key, hashes.SHA256())
        )
        return {self._key_id: certificate.public_bytes(serialization.Encoding.PEM).decode()}

    def key_set(self) -> dict[str, Any]:
        """The signing key as a JSON Web Key Set (`/oauth2/v3/certs`, RFC 7517)."""
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**key, "kid": self._key_id, "alg": "RS256", "use": "sig"}]}


def _challenge(verifier: str) -> str:
    """The S256 code challenge of a verifier (RFC 7636, section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _at_hash(access_token: str) -> str:
    half = hashlib.sha256(access_token.encode()).digest()[:16]
    return base64.urlsafe_b64encode(half).decode().rstrip("=")
