"""OAuth and OpenID Connect as Google answers, checked with Google's own library where it can."""

from __future__ import annotations

import httpx
import pytest
from google.auth.transport.requests import Request
from google.oauth2 import id_token
from google_standin.testing import GoogleStandin

READONLY = "https://www.googleapis.com/auth/gmail.readonly"


def test_the_id_token_is_signed_and_says_who(google: GoogleStandin, person) -> None:
    tokens = person.tokens("openid email profile")
    claims = id_token.verify_token(tokens["id_token"], Request(), "app", f"{google.url}/oauth2/v1/certs")
    assert claims["iss"] == google.url
    assert (claims["email"], claims["email_verified"], claims["nonce"]) == (person.email, True, "n")
    assert claims["name"] == "Pat Example"


def test_a_code_is_good_once_and_reuse_ends_the_grant(google: GoogleStandin, person) -> None:
    code = person.code()["code"]
    tokens = person.exchange(code).json()
    assert person.exchange(code).json()["error"] == "invalid_grant"
    refreshed = httpx.post(
        f"{google.url}/token",
        data={
            "grant_type": "refresh_token",
            "refresh_token": tokens["refresh_token"],
            "client_id": "app",
            "client_secret": "secret",
        },
    )
    assert refreshed.json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"code_verifier": "wrong"}, "invalid_grant"),
        ({"redirect_uri": "http://elsewhere.localhost/"}, "redirect_uri_mismatch"),
        ({"client_secret": "wrong"}, "invalid_client"),
    ],
)
def test_a_code_needs_the_right_verifier_redirect_and_secret(person, fields, error) -> None:
    assert person.exchange(person.code()["code"], **fields).json()["error"] == error


def test_a_partial_grant_names_what_was_allowed(person) -> None:
    tokens = person.tokens(allow=[READONLY])
    assert set(tokens["scope"].split()) == {"openid", "email", READONLY}


def test_cancelling_is_told(google: GoogleStandin, person) -> None:
    answer = httpx.post(
        f"{google.url}/o/oauth2/v2/auth",
        params={
            "client_id": "app",
            "redirect_uri": "http://broker.localhost/oauth/callback",
            "response_type": "code",
            "scope": f"openid {READONLY}",
            "state": "kept",
        },
        data={"decision": "deny"},
    )
    assert answer.headers["location"].endswith("?state=kept&error=access_denied")


def test_an_unregistered_redirect_goes_nowhere(google: GoogleStandin) -> None:
    answer = httpx.get(
        f"{google.url}/o/oauth2/v2/auth",
        params={"client_id": "app", "redirect_uri": "http://evil.example/", "response_type": "code"},
    )
    assert answer.status_code == 400
    assert "location" not in answer.headers


def test_revocation_ends_the_whole_grant(google: GoogleStandin, person) -> None:
    tokens = person.tokens()
    gmail = httpx.Client(headers={"Authorization": f"Bearer {tokens['access_token']}"})
    profile = f"{google.url}/gmail/v1/users/me/profile"
    assert gmail.get(profile).status_code == 200
    assert httpx.post(f"{google.url}/revoke", data={"token": tokens["refresh_token"]}).status_code == 200
    assert gmail.get(profile).status_code == 401
    assert httpx.post(f"{google.url}/revoke", data={"token": "unknown"}).json()["error"] == "invalid_token"
