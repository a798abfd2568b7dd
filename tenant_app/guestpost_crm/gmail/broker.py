"""The consent broker's client: consents, tokens, revocation. See docs/consent-broker.md."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from guestpost_crm.environment import current

TIMEOUT = (5, 20)


@dataclass
class BrokerError(Exception):
    """The broker, or Google behind it, said no.

    Attributes:
        error: a word: invalid_grant, mailbox_taken, scope_missing, google_unavailable, unreachable, …
        description: a sentence for people.
    """

    error: str
    description: str

    @property
    def temporary(self) -> bool:
        """Whether trying again later may help."""
        return self.error in ("google_unavailable", "temporarily_unavailable", "unreachable", "slow_down")


@dataclass(frozen=True)
class Consent:
    """A consent that was begun: where to send the browser, and what to keep in the session."""

    url: str
    state: str
    verifier: str
    nonce: str


@dataclass(frozen=True)
class AccessToken:
    """A token for Gmail. `expires_in` in seconds."""

    value: str
    expires_in: int

    def __repr__(self) -> str:
        return "AccessToken(…)"


class Broker:
    """The broker as this tenant's pod sees it."""

    def begin(self, purpose: str, login_hint: str = "") -> Consent:
        """Begin a consent: `sign_in` or `mailbox`. PKCE verifier and nonce never leave the session."""
        verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(32)
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        body = {"purpose": purpose, "code_challenge": challenge, "nonce": nonce, "login_hint": login_hint}
        answer = self._post("/v1/authorizations", body)
        return Consent(answer["authorization_url"], answer["state"], verifier, nonce)

    def exchange(self, state: str, code: str, verifier: str) -> dict[str, Any]:
        """Tokens for a code; see docs/consent-broker.md for what comes back."""
        return self._post("/v1/tokens", {"state": state, "code": code, "code_verifier": verifier})

    def refresh(self, sealed: str) -> AccessToken:
        """A new access token (BrokerError invalid_grant when the consent is gone)."""
        answer = self._post("/v1/tokens/refresh", {"sealed_refresh_token": sealed})
        return AccessToken(answer["access_token"], int(answer["expires_in"]))

    def revoke(self, sealed: str) -> None:
        """End the consent at Google and give the mailbox free."""
        self._post("/v1/tokens/revoke", {"sealed_refresh_token": sealed})

    def _post(self, path: str, body: dict[str, str]) -> dict[str, Any]:
        environment = current()
        token = Path(environment.broker_token_file).read_text(encoding="utf-8").strip()
        try:
            answer = requests.post(
                f"{environment.broker_url}{path}",
                json=body,
                headers={"Authorization": f"Bearer {token}"},
                timeout=TIMEOUT,
                verify=environment.broker_ca_file or True,
                allow_redirects=False,
            )
        except requests.RequestException:
            raise BrokerError("unreachable", "The consent broker does not answer. Try again soon.") from None
        if answer.status_code == 204:
            return {}
        try:
            content: dict[str, Any] = answer.json()
        except ValueError:
            content = {}
        if answer.status_code != 200:
            error = str(content.get("error", "unreachable"))
            raise BrokerError(error, str(content.get("error_description", "The consent broker failed.")))
        return content
