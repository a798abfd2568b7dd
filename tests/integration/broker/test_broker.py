"""The broker's HTTP interface, with Google's stand-in behind it, as a tenant's pods use it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import structlog

CHALLENGE = "c" * 43
NONCE = "n" * 43
READONLY = "https://www.googleapis.com/auth/gmail.readonly"


@pytest.mark.promise("P1.1")
def test_sign_in_asks_for_no_mail_and_gives_only_who_it_is(crm: Any) -> None:
    asked = parse_qs(urlsplit(crm.begin("sign_in").json()["authorization_url"]).query)
    assert asked["scope"] == ["openid email profile"]
    assert asked["code_challenge_method"] == ["S256"]
    assert set(crm.exchange(crm.consent("sign_in")).json()) == {"id_token"}


@pytest.mark.promise("P1.2")
def test_a_mailbox_is_asked_for_with_the_least_scopes(crm: Any) -> None:
    asked = parse_qs(urlsplit(crm.begin().json()["authorization_url"]).query)
    gmail = {scope for scope in asked["scope"][0].split() if "gmail" in scope}
    assert gmail == {READONLY, "https://www.googleapis.com/auth/gmail.send"}


@pytest.mark.promise("P1.1")
def test_a_connected_mailbox_is_refreshed_through_the_broker_only(crm: Any) -> None:
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
def test_a_partial_grant_says_what_is_missing_and_claims_nothing(crm: Any) -> None:
    answer = crm.exchange(crm.consent(allow=[READONLY]))
    assert answer.status_code == 400
    assert answer.json()["error"] == "scope_missing"
    assert answer.json()["missing"] == "https://www.googleapis.com/auth/gmail.send"
    assert crm.claims() == []


@pytest.mark.promise("P5.2")
def test_a_mailbox_of_another_tenant_is_refused_and_goes_on_there(crm: Any, other: Any) -> None:
    sealed = crm.connect()
    refused = other.exchange(other.consent())
    assert (refused.status_code, refused.json()["error"]) == (409, "mailbox_taken")
    assert crm.name not in refused.text
    assert crm.refresh(sealed).status_code == 200


def test_the_same_tenant_connects_its_mailbox_again(crm: Any) -> None:
    crm.connect()
    assert crm.refresh(crm.connect()).status_code == 200


def test_the_mailbox_of_a_tenant_that_is_gone_is_free(crm: Any, other: Any) -> None:
    crm.connect()
    del crm.broker.kubernetes.tenants[crm.name]
    assert other.exchange(other.consent()).status_code == 200


def test_a_cancelled_consent_comes_back_with_its_error(crm: Any) -> None:
    state = crm.begin().json()["state"]
    back = crm.http.get("/oauth/callback", params={"state": state, "error": "access_denied"})
    assert parse_qs(urlsplit(back.headers["location"]).query)["error"] == ["access_denied"]


@pytest.mark.promise("P9.3")
def test_a_revoked_grant_is_an_invalid_grant(crm: Any) -> None:
    sealed = crm.connect()
    crm.google.control.revoke(crm.email)
    refused = crm.refresh(sealed)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


def test_revoking_ends_the_grant_and_frees_the_mailbox(crm: Any, other: Any) -> None:
    sealed = crm.connect()
    assert crm.revoke(sealed).status_code == 204
    assert crm.refresh(sealed).json()["error"] == "invalid_grant"
    assert crm.claims() == [], "asking in vain claims nothing"
    assert other.exchange(other.consent()).status_code == 200
    assert crm.revoke(sealed).status_code == 204
    assert len(other.claims()) == 1


@pytest.mark.promise("P9.2")
def test_a_tenant_under_deletion_gets_no_mailbox_but_ends_what_it_has(crm: Any) -> None:
    sealed, begun = crm.connect(), crm.consent()
    tenants = crm.broker.kubernetes.tenants
    tenants[crm.name] = replace(tenants[crm.name], deleting=True)
    refused = [crm.exchange(begun), crm.begin(), crm.backfill(sealed)]
    assert [each.status_code for each in refused] == [403] * 3
    # Its owner signs in for the last export; notifications are stopped with a token, then the consent ends.
    assert crm.begin("sign_in").status_code == 200
    assert crm.refresh(sealed).status_code == 200
    assert crm.revoke(sealed).status_code == 204


@pytest.fixture
def no_token(broker: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=broker.url) as client:
        yield client


@pytest.mark.promise("P5.2")
@pytest.mark.parametrize(
    "path", ["/v1/authorizations", "/v1/tokens", "/v1/tokens/refresh", "/v1/tokens/revoke", "/v1/backfills"]
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
def test_a_malformed_request_names_the_field(crm: Any, body: dict[str, str], place: str) -> None:
    answer = crm.http.post("/v1/authorizations", json=body)
    assert answer.status_code == 400
    assert place in answer.json()["error_description"]


def test_an_oversized_body_is_refused(crm: Any) -> None:
    assert crm.http.post("/v1/tokens/refresh", content=b"x" * 100_000).status_code == 413


@pytest.mark.parametrize("fault", [{"status": 503}, {"drop": "before"}, {"status": 500}])
def test_googles_failures_are_told_as_such(crm: Any, fault: dict[str, Any]) -> None:
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
    crm: Any, other: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    with structlog.testing.capture_logs() as logged:
        answer = crm.consent()
        tokens = crm.exchange(answer).json()
        crm.refresh(tokens["sealed_refresh_token"])
        other.refresh(tokens["sealed_refresh_token"])
        crm.exchange(answer)
        crm.backfill(tokens["sealed_refresh_token"])
        crm.revoke(tokens["sealed_refresh_token"])
    out, err = capfd.readouterr()
    everything = json.dumps(logged, default=str) + out + err
    secrets = [tokens["access_token"], tokens["sealed_refresh_token"], answer["code"], answer["state"],
               crm.token, crm.sync_token, crm.email, crm.sub, "client-secret-of-the-broker"]  # fmt: skip
    assert logged
    assert not [secret for secret in secrets if secret in everything]


def test_answers_carry_the_security_headers(crm: Any) -> None:
    headers = crm.http.get("/healthz").headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]


def test_a_claim_that_was_lost_is_made_again(crm: Any, other: Any) -> None:
    """As after a cluster was restored from an older backup."""
    sealed = crm.connect()
    crm.broker.kubernetes.claims.clear()
    assert crm.refresh(sealed).status_code == 200
    assert len(crm.claims()) == 1
    assert other.exchange(other.consent()).json()["error"] == "mailbox_taken"


def test_a_mailbox_that_became_another_tenants_is_told_and_its_access_left_alone(
    crm: Any, other: Any
) -> None:
    """A claim that was lost, and taken by somebody else before the next refresh."""
    sealed = crm.connect()
    crm.broker.kubernetes.claims.clear()
    theirs = other.connect()
    refused = crm.refresh(sealed)
    assert (refused.status_code, refused.json()["error"]) == (409, "mailbox_taken")
    assert "disconnect it there first" in refused.json()["error_description"]
    assert crm.revoke(sealed).status_code == 204
    assert other.refresh(theirs).status_code == 200


def test_what_is_no_answer_of_googles_is_told_as_such(crm: Any) -> None:
    """A proxy's page with status 200, or an answer without a token."""
    broker = crm.broker.broker
    sealed, google = crm.connect(), broker._google._config
    try:
        broker._google._config = replace(google, token_url=f"{crm.google.url}/_standin/healthz")
        refused = crm.refresh(sealed)
    finally:
        broker._google._config = google
    assert (refused.status_code, refused.json()["error"]) == (503, "google_unavailable")


def test_a_failure_of_our_own_is_an_answer_without_details(
    crm: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("1//a-refresh-token")

    sealed = crm.connect()
    monkeypatch.setattr(crm.broker.broker._google, "refresh", fail)
    with structlog.testing.capture_logs() as logged:
        answer = crm.refresh(sealed)
    assert (answer.status_code, answer.json()["error"]) == (500, "server_error")
    assert {"operation": "refresh", "problem": "RuntimeError"}.items() <= logged[-1].items()
    assert "1//a-refresh-token" not in answer.text + str(logged) + "".join(capfd.readouterr())
