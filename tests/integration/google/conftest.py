"""A person who has given an application consent."""

from __future__ import annotations

import base64
import hashlib
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from google.oauth2.credentials import Credentials
from google_standin.testing import PLAIN, GoogleStandin
from google_standin.testing import consent as at_google
from googleapiclient.discovery import build

REDIRECT = "http://broker.localhost/oauth/callback"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
READONLY = "https://www.googleapis.com/auth/gmail.readonly"
SEND = "https://www.googleapis.com/auth/gmail.send"
SCOPES = f"openid email {READONLY} {SEND}"


@dataclass
class Person:
    """An account of the stand-in, and what it does with the application `app`."""

    google: GoogleStandin
    email: str

    def code(self, scope: str = SCOPES, *, allow: list[str] | None = None, **query: str) -> dict[str, str]:
        """Go through the consent page; return what the redirect carries."""
        asked = {
            "client_id": "app",
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "scope": scope,
            "state": "s",
            "nonce": "n",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "access_type": "offline",
            "prompt": "consent",
            "login_hint": self.email,
            **query,
        }
        return at_google(f"{self.google.url}/o/oauth2/v2/auth?{urlencode(asked)}", allow=allow)

    def exchange(self, code: str, **fields: str) -> httpx.Response:
        """Ask for tokens."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": "app",
            "client_secret": "secret",
            "redirect_uri": REDIRECT,
            "code_verifier": VERIFIER,
            **fields,
        }
        return httpx.post(f"{self.google.url}/token", data=form, verify=PLAIN)

    def tokens(
        self, scope: str = SCOPES, *, allow: list[str] | None = None, client_id: str = "app"
    ) -> dict[str, Any]:
        """Consent, and the tokens that come of it."""
        code = self.code(scope, allow=allow, client_id=client_id)["code"]
        answer: dict[str, Any] = self.exchange(code, client_id=client_id).json()
        return answer

    def gmail(self, scope: str = SCOPES, *, client_id: str = "app") -> Any:
        """Google's own client for this person's mailbox."""
        return build(
            "gmail",
            "v1",
            credentials=Credentials(self.tokens(scope, client_id=client_id)["access_token"]),
            client_options={"api_endpoint": self.google.url},
            static_discovery=True,
        )


@pytest.fixture
def person(google: GoogleStandin) -> Person:
    email = f"p{uuid.uuid4().hex[:10]}@example.com"
    google.control.account(email, "Pat Example")
    return Person(google, email)
