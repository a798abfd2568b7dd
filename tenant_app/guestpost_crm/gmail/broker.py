"""The consent broker's client: consents, tokens, revocation. See docs/consent-broker.md."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import requests
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from guestpost_crm.environment import current

TIMEOUT = (5.0, 20.0)
# For what mail must not wait for.
SOON = (2.0, 3.0)


# What the broker says in English, for people who read another language here.
_SENTENCES: dict[str, str | Promise] = {
    "unreachable": _("The consent broker does not answer. Try again soon."),
    "temporarily_unavailable": _("The consent broker can't ask the cluster at the moment. Try again soon."),
    "google_unavailable": _("Google does not answer at the moment. Try again soon."),
    "slow_down": _("That was asked for too often. Wait a minute, then try again."),
    "invalid_state": _("This sign-in has expired or was not begun here. Begin again from the CRM."),
    "invalid_grant": _("Google no longer accepts this consent. Connect the Google account again."),
    "scope_missing": _(
        "Google was asked for permission to read and to send mail, and not all of it was allowed. "
        "Connect again and leave every box ticked."
    ),
    "mailbox_taken": _(
        "This mailbox is connected to another GuestPostCRM server. A mailbox can be connected to one server "
        "only: disconnect it there first."
    ),
}


@dataclass
class BrokerError(Exception):
    """The broker, or Google behind it, said no.

    Attributes:
        error: a word: invalid_grant, mailbox_taken, scope_missing, google_unavailable, unreachable, …
        description: a sentence for people.
    """

    error: str
    description: str

    def shown(self) -> str:
        """The sentence in the language in use, as far as it is known here."""
        return str(_SENTENCES.get(self.error, self.description))

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


class TokenHolder(Protocol):
    """A mailbox as far as its consent goes. `sub` is its Google account."""

    sub: str

    def token(self) -> str:
        """The sealed refresh token, empty when there is none."""

    def renew_token(self, sealed: str) -> None:
        """Keep a refresh token that was sealed anew instead of the one that `token` gave."""


@dataclass(frozen=True)
class AccessToken:
    """A token for Gmail. `expires_in` in seconds; `sealed` is a new refresh token, if there is one."""

    value: str
    expires_in: int
    sealed: str = ""

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

    def refresh(self, sub: str, sealed: str) -> AccessToken:
        """A new access token (BrokerError invalid_grant when the consent is gone)."""
        answer = self._post("/v1/tokens/refresh", {"sub": sub, "sealed_refresh_token": sealed})
        sealed_anew = str(answer.get("sealed_refresh_token", ""))
        return AccessToken(answer["access_token"], int(answer["expires_in"]), sealed_anew)

    def revoke(self, sub: str, sealed: str) -> None:
        """End the consent at Google and give the mailbox free."""
        self._post("/v1/tokens/revoke", {"sub": sub, "sealed_refresh_token": sealed})

    def backfill(self, sub: str, sealed: str, wanted: int) -> tuple[int, float]:
        """A share of the project's quota for a first import: units a minute, and for how many seconds.

        0 units: ask again then. Asking for 0 gives the share back.
        """
        body = {"sub": sub, "sealed_refresh_token": sealed, "units_per_minute": wanted}
        answer = self._post("/v1/backfills", body, timeout=SOON)
        return int(answer["units_per_minute"]), float(answer["expires_in"])

    def _post(
        self, path: str, body: dict[str, Any], timeout: tuple[float, float] = TIMEOUT
    ) -> dict[str, Any]:
        environment = current()
        token = Path(environment.broker_token_file).read_text(encoding="utf-8").strip()
        try:
            answer = requests.post(
                f"{environment.broker_url}{path}",
                json=body,
                headers={"Authorization": f"Bearer {token}"},
                timeout=timeout,
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
