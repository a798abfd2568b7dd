"""The broker's HTTP interface, with Google's stand-in behind it, as a tenant's pod uses it."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import structlog
from google_standin.testing import GoogleStandin
from lxml import html

VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
NONCE = "n" * 43
READONLY = "https://www.googleapis.com/auth/gmail.readonly"


@dataclass
class Crm:
    """A tenant's pod and the person before it."""

    name: str
    broker: Any
    google: GoogleStandin
    email: str

    def __post_init__(self) -> None:
        self.url = f"https://{self.name}.example"
        self.token = self.broker.kubernetes.add(self.name, self.url)
        self.http = httpx.Client(
            base_url=self.broker.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=20
        )

    def begin(self, purpose: str = "mailbox", **more: str) -> httpx.Response:
        body = {"purpose": purpose, "code_challenge": CHALLENGE, "nonce": NONCE, "login_hint": self.email}
        return self.http.post("/v1/authorizations", json={**body, **more})

    def consent(self, purpose: str = "mailbox", *, allow: list[str] | None = None) -> dict[str, str]:
        """Begin, click through Google, and return what comes back to the CRM."""
        asked = self.begin(purpose).json()["authorization_url"]
        page = httpx.get(asked)
        if page.status_code == 200:
            [form] = html.fromstring(page.text).forms
            boxes = form.xpath(".//input[@name='allow']/@value") if allow is None else allow
            values = {"email": self.email, "decision": "allow", "allow": boxes}
            page = httpx.post(f"{self.google.url}{form.get('action')}", data=values)
        returned = urlsplit(page.headers["location"])
        back = self.http.get(f"{returned.path}?{returned.query}")
        assert back.status_code == 303, back.text
        assert back.headers["location"].startswith(f"{self.url}/oauth/callback?")
        return {key: value[0] for key, value in parse_qs(urlsplit(back.headers["location"]).query).items()}

    def exchange(self, answer: dict[str, str], verifier: str = VERIFIER) -> httpx.Response:
        body = {"state": answer["state"], "code": answer["code"], "code_verifier": verifier}
        return self.http.post("/v1/tokens", json=body)

    def connect(self) -> str:
        """A connected mailbox; returns the sealed refresh token."""
        return str(self.exchange(self.consent()).json()["sealed_refresh_token"])

    def refresh(self, sealed: str) -> httpx.Response:
        return self.http.post("/v1/tokens/refresh", json={"sealed_refresh_token": sealed})


@pytest.fixture
def crm(broker: Any, google: GoogleStandin) -> Crm:
    name = f"t{uuid.uuid4().hex[:10]}"
    email = f"{name}@example.com"
    google.control.account(email, "Pat Example")
    return Crm(name, broker, google, email)


@pytest.fixture
def other(broker: Any, google: GoogleStandin, crm: Crm) -> Crm:
    return Crm(f"o{uuid.uuid4().hex[:10]}", broker, google, crm.email)


@pytest.mark.promise("P1.1")
def test_sign_in_asks_for_no_mail_and_gives_only_who_it_is(crm: Crm) -> None:
    asked = parse_qs(urlsplit(crm.begin("sign_in").json()["authorization_url"]).query)
    assert asked["scope"] == ["openid email profile"]
    assert asked["code_challenge_method"] == ["S256"]
    assert set(crm.exchange(crm.consent("sign_in")).json()) == {"id_token"}


@pytest.mark.promise("P1.2")
def test_a_mailbox_is_asked_for_with_the_least_scopes(crm: Crm) -> None:
    asked = parse_qs(urlsplit(crm.begin().json()["authorization_url"]).query)
    gmail = {scope for scope in asked["scope"][0].split() if "gmail" in scope}
    assert gmail == {READONLY, "https://www.googleapis.com/auth/gmail.send"}


@pytest.mark.promise("P1.1")
def test_a_connected_mailbox_is_refreshed_through_the_broker_only(crm: Crm) -> None:
    answer = crm.exchange(crm.consent()).json()
    assert "refresh_token" not in answer
    refreshed = crm.refresh(answer["sealed_refresh_token"])
    assert refreshed.status_code == 200
    profile = httpx.get(
        f"{crm.google.url}/gmail/v1/users/me/profile",
        headers={"Authorization": f"Bearer {refreshed.json()['access_token']}"},
    )
    assert profile.json()["emailAddress"] == crm.email


@pytest.mark.promise("P1.1")
def test_a_partial_grant_says_what_is_missing_and_claims_nothing(crm: Crm) -> None:
    answer = crm.exchange(crm.consent(allow=[READONLY]))
    assert answer.status_code == 400
    assert answer.json()["error"] == "scope_missing"
    assert answer.json()["missing"] == "https://www.googleapis.com/auth/gmail.send"
    assert not [claim for claim in crm.broker.kubernetes.claims.values() if claim.tenant_name == crm.name]


@pytest.mark.promise("P5.2")
def test_a_mailbox_of_another_tenant_is_refused_and_goes_on_there(crm: Crm, other: Crm) -> None:
    sealed = crm.connect()
    refused = other.exchange(other.consent())
    assert (refused.status_code, refused.json()["error"]) == (409, "mailbox_taken")
    assert crm.name not in refused.text
    assert crm.refresh(sealed).status_code == 200


def test_the_same_tenant_connects_its_mailbox_again(crm: Crm) -> None:
    crm.connect()
    assert crm.refresh(crm.connect()).status_code == 200


def test_the_mailbox_of_a_tenant_that_is_gone_is_free(crm: Crm, other: Crm) -> None:
    crm.connect()
    del crm.broker.kubernetes.tenants[crm.name]
    assert other.exchange(other.consent()).status_code == 200


@pytest.mark.promise("P5.2")
@pytest.mark.promise("P8.1")
def test_a_stolen_sealed_token_is_worth_nothing_elsewhere(crm: Crm, other: Crm) -> None:
    refused = other.refresh(crm.connect())
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_seal")


def test_another_tenants_state_is_refused(crm: Crm, other: Crm) -> None:
    answer = crm.consent()
    refused = other.exchange(answer)
    assert refused.json()["error"] == "invalid_state"
    assert crm.exchange(answer).status_code == 200, "the attempt did not use the code up"


def test_a_wrong_verifier_and_a_used_code_are_refused(crm: Crm) -> None:
    assert crm.exchange(crm.consent(), "w" * 64).json()["error"] == "invalid_grant"
    answer = crm.consent()
    assert crm.exchange(answer).status_code == 200
    assert crm.exchange(answer).json()["error"] == "invalid_grant"


def test_a_forged_state_redirects_nowhere(crm: Crm) -> None:
    for state in ("", "forged", "eyJhbGciOiJub25lIn0.e30."):
        answer = crm.http.get("/oauth/callback", params={"state": state, "code": "c"})
        assert answer.status_code == 400
        assert "location" not in answer.headers


def test_the_return_address_comes_from_the_tenant_alone(crm: Crm) -> None:
    state = crm.begin().json()["state"]
    back = crm.http.get(
        "/oauth/callback",
        params={"state": state, "code": "c", "return": "https://evil.example", "redirect_uri": "//evil"},
    )
    assert urlsplit(back.headers["location"]).hostname == f"{crm.name}.example"


def test_a_cancelled_consent_comes_back_with_its_error(crm: Crm) -> None:
    state = crm.begin().json()["state"]
    back = crm.http.get("/oauth/callback", params={"state": state, "error": "access_denied"})
    assert parse_qs(urlsplit(back.headers["location"]).query)["error"] == ["access_denied"]


@pytest.mark.promise("P9.3")
def test_a_revoked_grant_is_an_invalid_grant(crm: Crm) -> None:
    sealed = crm.connect()
    crm.google.control.revoke(crm.email)
    refused = crm.refresh(sealed)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


def test_revoking_ends_the_grant_and_frees_the_mailbox(crm: Crm, other: Crm) -> None:
    sealed = crm.connect()
    assert crm.http.post("/v1/tokens/revoke", json={"sealed_refresh_token": sealed}).status_code == 204
    assert crm.refresh(sealed).json()["error"] == "invalid_grant"
    assert other.exchange(other.consent()).status_code == 200
    again = crm.http.post("/v1/tokens/revoke", json={"sealed_refresh_token": sealed})
    assert again.status_code == 204
    claims = crm.broker.kubernetes.claims.values()
    assert [claim.tenant_name for claim in claims if claim.tenant_name == other.name] == [other.name]


def test_a_tenant_under_deletion_may_only_revoke(crm: Crm) -> None:
    sealed = crm.connect()
    tenants = crm.broker.kubernetes.tenants
    tenants[crm.name] = replace(tenants[crm.name], deleting=True)
    assert crm.refresh(sealed).status_code == 403
    assert crm.http.post("/v1/tokens/revoke", json={"sealed_refresh_token": sealed}).status_code == 204


@pytest.fixture
def no_token(broker: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=broker.url) as client:
        yield client


@pytest.mark.promise("P5.2")
@pytest.mark.parametrize(
    "path", ["/v1/authorizations", "/v1/tokens", "/v1/tokens/refresh", "/v1/tokens/revoke"]
)
def test_nobody_gets_in_without_a_tenants_token(no_token: httpx.Client, broker: Any, path: str) -> None:
    assert no_token.post(path, json={}).status_code == 401
    assert no_token.post(path, json={}, headers={"Authorization": "Bearer wrong"}).status_code == 401
    for user in ("system:serviceaccount:default:web", "system:serviceaccount:gpt-x:db", "admin",
                 "system:serviceaccount:gpt-unknown:web"):  # fmt: skip
        broker.kubernetes.users["strange"] = user
        answer = no_token.post(path, json={}, headers={"Authorization": "Bearer strange"})
        assert answer.status_code == 403, user


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "purpose"),
        ({"purpose": "all", "code_challenge": CHALLENGE, "nonce": NONCE}, "purpose"),
        ({"purpose": "mailbox", "code_challenge": "short", "nonce": NONCE}, "code_challenge"),
        ({"purpose": "mailbox", "code_challenge": CHALLENGE, "nonce": NONCE, "return": "x"}, "return"),
    ],
)
def test_a_malformed_request_names_the_field(crm: Crm, body: dict[str, str], place: str) -> None:
    answer = crm.http.post("/v1/authorizations", json=body)
    assert answer.status_code == 400
    assert place in answer.json()["error_description"]


def test_an_oversized_body_is_refused(crm: Crm) -> None:
    assert crm.http.post("/v1/tokens/refresh", content=b"x" * 100_000).status_code == 413


@pytest.mark.parametrize("fault", [{"status": 503}, {"drop": "before"}, {"status": 500}])
def test_googles_failures_are_told_as_such(crm: Crm, fault: dict[str, Any]) -> None:
    sealed = crm.connect()
    crm.google.control.fault("token", **fault)
    try:
        refused = crm.refresh(sealed)
    finally:
        crm.google.control.no_faults()
    assert (refused.status_code, refused.json()["error"]) == (503, "google_unavailable")
    assert refused.headers["retry-after"]
    assert crm.refresh(sealed).status_code == 200


@pytest.mark.promise("P8.1")
def test_no_secret_and_no_address_reaches_the_logs(
    crm: Crm, other: Crm, capfd: pytest.CaptureFixture[str]
) -> None:
    with structlog.testing.capture_logs() as logged:
        answer = crm.consent()
        tokens = crm.exchange(answer).json()
        crm.refresh(tokens["sealed_refresh_token"])
        other.refresh(tokens["sealed_refresh_token"])
        crm.exchange(answer)
    out, err = capfd.readouterr()
    everything = json.dumps(logged, default=str) + out + err
    secrets = [tokens["access_token"], tokens["sealed_refresh_token"], answer["code"], answer["state"],
               crm.token, crm.email, "client-secret-of-the-broker"]  # fmt: skip
    assert logged
    assert not [secret for secret in secrets if secret in everything]


def test_answers_carry_the_security_headers(crm: Crm) -> None:
    headers = crm.http.get("/healthz").headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
