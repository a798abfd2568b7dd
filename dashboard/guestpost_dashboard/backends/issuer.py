"""Sign-in through the cluster's issuer: OpenID Connect, code with PKCE."""

from __future__ import annotations

import base64
import hashlib
import secrets
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt

from guestpost_dashboard.identity import Person
from guestpost_dashboard.settings import Oidc

# What an issuer's keys may sign with: nothing symmetric, and never "none".
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
KEPT_SECONDS = 3600
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class SignInError(Exception):
    """The sign-in did not work; the message is for people and quotes nothing that was sent."""


class Issuer:
    """The cluster's issuer.

    Args:
        settings: of the dashboard's client there.
        transport: for tests; the network by default.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        settings: Oidc,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._clock = clock
        self._trust = ssl.create_default_context(cafile=settings.ca_file or None)
        self._metadata: Mapping[str, Any] = {}
        self._keys: jwt.PyJWKSet | None = None
        self._read_at = 0.0

    async def begin(self, redirect_uri: str) -> tuple[str, dict[str, str]]:
        """Where to send the browser, and what to remember until it comes back."""
        metadata = await self._discovered()
        remembered = {each: secrets.token_urlsafe(32) for each in ("state", "nonce", "verifier")}
        digest = hashlib.sha256(remembered["verifier"].encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": self._settings.scopes,
            "state": remembered["state"],
            "nonce": remembered["nonce"],
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        address = str(metadata["authorization_endpoint"])
        return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}", remembered

    async def finish(self, code: str, redirect_uri: str, remembered: Mapping[str, str]) -> tuple[Person, str]:
        """Who came back, and their ID token, verified.

        Args:
            code: that the issuer gave.
            redirect_uri: the same as at the beginning.
            remembered: what `begin` gave.

        Raises:
            SignInError: it is not in order.
        """
        metadata = await self._discovered()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": self._settings.client_id,
            "code_verifier": remembered["verifier"],
        }
        if self._settings.client_secret:
            form["client_secret"] = self._settings.client_secret
        answer = await self._ask("POST", str(metadata["token_endpoint"]), form)
        token = str(answer.get("id_token", ""))
        said = await self._verified(token)
        if not secrets.compare_digest(str(said.get("nonce", "")), remembered["nonce"]):
            raise SignInError("The issuer's answer is not to this sign-in. Begin again.")
        return self._person(said, token), token

    def _person(self, said: Mapping[str, Any], token: str) -> Person:
        settings = self._settings
        name = said.get(settings.username_claim)
        if not isinstance(name, str) or not name:
            raise SignInError(f"The issuer does not say the claim {settings.username_claim} of you.")
        # As the API server does it: an address counts only when it was verified.
        if settings.username_claim == "email" and said.get("email_verified") is False:
            raise SignInError("Your address is not verified at the issuer.")
        groups = said.get(settings.groups_claim) or []
        groups = [groups] if isinstance(groups, str) else groups
        return Person(
            settings.username_prefix + name,
            tuple(settings.groups_prefix + str(each) for each in groups),
            token,
            float(said["exp"]),
        )

    async def _verified(self, token: str) -> Mapping[str, Any]:
        """What an ID token says, its signature, issuer, audience and time being right."""
        try:
            key_id = jwt.get_unverified_header(token).get("kid", "")
            key = await self._key(key_id)
            said: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._settings.client_id,
                issuer=self._settings.issuer,
                leeway=30,
                options={"require": ["exp", "iat", "aud", "iss"]},
            )
        except jwt.PyJWTError as error:
            raise SignInError("The issuer's answer is not in order. Begin again.") from error
        return said

    async def _key(self, key_id: str) -> jwt.PyJWK:
        for again in (False, True):
            metadata = await self._discovered(again=again)
            if self._keys is None:
                keys = await self._ask("GET", str(metadata["jwks_uri"]))
                self._keys = jwt.PyJWKSet.from_dict(dict(keys))
            for key in self._keys.keys:
                if key.key_id == key_id or not key_id:
                    return key
        raise SignInError("The issuer signed with a key that it does not publish.")

    async def _discovered(self, *, again: bool = False) -> Mapping[str, Any]:
        """What the issuer says of itself; read again each hour, and when a key is unknown."""
        if again or not self._metadata or self._clock() - self._read_at > KEPT_SECONDS:
            address = self._settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
            found = await self._ask("GET", address)
            if found.get("issuer") != self._settings.issuer:
                raise SignInError("The issuer calls itself by another name than the settings do.")
            if missing := [each for each in ENDPOINTS if not isinstance(found.get(each), str)]:
                raise SignInError(f"The issuer does not say its {missing[0]}.")
            self._metadata, self._keys, self._read_at = found, None, self._clock()
        return self._metadata

    async def _ask(
        self, method: str, address: str, form: Mapping[str, str] | None = None
    ) -> Mapping[str, Any]:
        try:
            async with httpx.AsyncClient(
                verify=self._trust, transport=self._transport, timeout=10, trust_env=False
            ) as http:
                answer = await http.request(method, address, data=form)
                said = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise SignInError("The issuer does not answer. Try again soon.") from error
        if answer.status_code >= 400 or not isinstance(said, dict):
            raise SignInError("The issuer refused the sign-in. Begin again.")
        return said
