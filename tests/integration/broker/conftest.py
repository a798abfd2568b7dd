"""A tenant's pod and the person before it, in front of the real broker and Google's stand-in."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from google_standin.testing import PLAIN, GoogleStandin
from google_standin.testing import consent as at_google
from local_services import PROJECT

VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
NONCE = "n" * 43


@dataclass
class Crm:
    """A tenant's pods and the person before them."""

    name: str
    broker: Any
    google: GoogleStandin
    email: str
    project: str = PROJECT

    def __post_init__(self) -> None:
        self.url = f"https://{self.name}.example"
        self.sub = str(self.google.control.account(self.email, "Pat Example")["sub"])
        self.token = self.broker.kubernetes.add(self.name, self.url, project=self.project)
        self.sync_token = self.broker.kubernetes.add(self.name, self.url, "sync", project=self.project)
        self.http = httpx.Client(
            base_url=self.broker.url,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=20,
            verify=PLAIN,
        )

    def begin(self, purpose: str = "mailbox", **more: str) -> httpx.Response:
        body = {"purpose": purpose, "code_challenge": CHALLENGE, "nonce": NONCE, "login_hint": self.email}
        return self.http.post("/v1/authorizations", json={**body, **more})

    def consent(self, purpose: str = "mailbox", *, allow: list[str] | None = None) -> dict[str, str]:
        """Begin, click through Google, and return what comes back to the CRM."""
        answer = at_google(self.begin(purpose).json()["authorization_url"], allow=allow)
        back = self.http.get("/oauth/callback", params=answer)
        assert back.status_code == 303, back.text
        assert back.headers["location"].startswith(f"{self.url}/oauth/callback?")
        return {key: value[0] for key, value in parse_qs(urlsplit(back.headers["location"]).query).items()}

    def exchange(self, answer: dict[str, str], verifier: str = VERIFIER) -> httpx.Response:
        body = {"state": answer["state"], "code": answer["code"], "code_verifier": verifier}
        return self.http.post("/v1/tokens", json=body)

    def connect(self) -> str:
        """A connected mailbox; returns the sealed refresh token."""
        return str(self.exchange(self.consent()).json()["sealed_refresh_token"])

    def refresh(self, sealed: str, sub: str = "") -> httpx.Response:
        body = {"sub": sub or self.sub, "sealed_refresh_token": sealed}
        return self.http.post("/v1/tokens/refresh", json=body)

    def revoke(self, sealed: str) -> httpx.Response:
        return self.http.post("/v1/tokens/revoke", json={"sub": self.sub, "sealed_refresh_token": sealed})

    def backfill(self, sealed: str, units: int = 6_000) -> httpx.Response:
        body = {"sub": self.sub, "sealed_refresh_token": sealed, "units_per_minute": units}
        return self.http.post(
            "/v1/backfills", json=body, headers={"Authorization": f"Bearer {self.sync_token}"}
        )

    def claims(self) -> list[Any]:
        """Mailboxes that are this tenant's."""
        return [each for each in self.broker.kubernetes.claims.values() if each.tenant_name == self.name]


@pytest.fixture
def person() -> str:
    """The address of a Google account that nobody else uses."""
    return f"p{uuid.uuid4().hex[:10]}@example.com"


@pytest.fixture
def tenant(broker: Any, google: GoogleStandin, person: str) -> Callable[..., Crm]:
    """tenant() → one more tenant, whose person has the same mailbox unless another is named."""
    return lambda email=person, **more: Crm(f"t{uuid.uuid4().hex[:10]}", broker, google, email, **more)


@pytest.fixture
def crm(tenant: Callable[..., Crm]) -> Crm:
    return tenant()


@pytest.fixture
def other(tenant: Callable[..., Crm], crm: Crm) -> Crm:
    """Another tenant, whose person has the same mailbox."""
    return tenant()
