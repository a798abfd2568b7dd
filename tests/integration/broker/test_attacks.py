"""Attacks on states, redirects, replays, seals and callers, each tried for itself."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from guestpost_broker import state as states

THEIRS = "https://evil.example"


def states_of(crm: Any) -> Any:
    return crm.broker.broker.config.state_keys


def arrive(crm: Any, state: str, **more: str) -> httpx.Response:
    """A browser comes back from Google."""
    answer: httpx.Response = crm.http.get("/oauth/callback", params={"state": state, "code": "c", **more})
    return answer


def resigned(state: str, key: bytes | None, algorithm: str = "HS256", **claims: object) -> str:
    """A state with other claims, signed by somebody."""
    said = jwt.decode(state, options={"verify_signature": False})
    kid = jwt.get_unverified_header(state)["kid"]
    return jwt.encode(said | claims, key, algorithm=algorithm, headers={"kid": kid})


# States.


def test_a_state_that_sends_people_elsewhere_is_refused(crm: Any) -> None:
    state = crm.begin().json()["state"]
    header, claims, signature = state.split(".")
    said = base64.urlsafe_b64decode(claims + "==").replace(crm.url.encode(), THEIRS.encode())
    changed = base64.urlsafe_b64encode(said).decode().rstrip("=")
    for forged in (f"{header}.{changed}.{signature}", f"{header}.{changed}."):
        answer = arrive(crm, forged)
        assert (answer.status_code, "location" in answer.headers) == (400, False)
        assert "Begin again from the CRM" in answer.text


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(None, "none"), (b"\0" * 32, "HS256"), (b"guess" * 8, "HS256"), (b"s" * 32, "HS512")],
    ids=["unsigned", "key of zeros", "guessed key", "other algorithm"],
)
@pytest.mark.filterwarnings("ignore:The HMAC key is")
def test_a_state_signed_by_somebody_else_is_refused(crm: Any, key: bytes | None, algorithm: str) -> None:
    state = crm.begin().json()["state"]
    forged = resigned(state, key, algorithm, **{"return": THEIRS})
    assert arrive(crm, forged).status_code == 400


def test_a_state_whose_time_is_over_is_refused_in_every_place(crm: Any) -> None:
    answer = crm.consent()
    consent = states.read(answer["state"], states_of(crm))
    old = states.sign(consent, states_of(crm), time.time() - states.SECONDS - 1)
    assert arrive(crm, old).status_code == 400
    assert crm.exchange({**answer, "state": old}).json()["error"] == "invalid_state"


def test_another_tenants_state_is_refused_and_uses_nothing_up(crm: Any, other: Any) -> None:
    answer = crm.consent()
    assert other.exchange(answer).json()["error"] == "invalid_state"
    assert crm.exchange(answer).status_code == 200, "the attempt did not use the code up"


def test_the_state_of_a_sign_in_gives_no_mail(crm: Any) -> None:
    """The purpose is the state's and not the request's."""
    mailbox, sign_in = crm.consent(), crm.consent("sign_in")
    answer = crm.exchange({"state": sign_in["state"], "code": mailbox["code"]})
    assert set(answer.json()) == {"id_token"}
    assert crm.claims() == []


def test_a_sign_in_presented_as_a_mailbox_connects_nothing(crm: Any) -> None:
    mailbox, sign_in = crm.consent(), crm.consent("sign_in")
    answer = crm.exchange({"state": mailbox["state"], "code": sign_in["code"]})
    assert (answer.status_code, answer.json()["error"]) == (400, "scope_missing")
    assert crm.claims() == []


def test_a_tenant_made_anew_under_the_same_name_inherits_no_state(crm: Any) -> None:
    answer = crm.consent()
    tenants = crm.broker.kubernetes.tenants
    tenants[crm.name] = replace(tenants[crm.name], uid="another-uid")
    assert crm.exchange(answer).json()["error"] == "invalid_state"


# Redirects.


def test_no_parameter_and_no_header_decides_where_a_browser_goes(crm: Any) -> None:
    state = crm.begin().json()["state"]
    back = crm.http.get(
        "/oauth/callback",
        params={
            "state": state,
            "code": "c",
            "return": THEIRS,
            "redirect_uri": THEIRS,
            "next": "//evil.example",
        },
        headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Referer": THEIRS},
    )
    assert back.headers["location"].startswith(f"{crm.url}/oauth/callback?")
    assert "evil" not in back.headers["location"]


def test_the_address_that_google_redirects_to_is_always_the_same(crm: Any) -> None:
    answer = crm.http.post(
        "/v1/authorizations",
        json={"purpose": "mailbox", "code_challenge": "c" * 43, "nonce": "n" * 43},
        headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher"},
    )
    asked = parse_qs(urlsplit(answer.json()["authorization_url"]).query)
    assert asked["redirect_uri"] == [crm.broker.broker.config.redirect_uri]


@pytest.mark.parametrize("twice", ["state", "code", "error"])
def test_a_parameter_that_comes_twice_is_refused(crm: Any, twice: str) -> None:
    """What a filter before us reads may be another one than what we read."""
    state = crm.begin().json()["state"]
    query = [("state", state), ("code", "c"), (twice, "other")] + (
        [("error", "e")] if twice == "error" else []
    )
    answer = crm.http.get("/oauth/callback", params=query)
    assert (answer.status_code, "location" in answer.headers) == (400, False)


@pytest.mark.parametrize("field", ["code", "error"])
def test_line_breaks_and_scripts_stay_text_in_the_address(crm: Any, field: str) -> None:
    state = crm.begin().json()["state"]
    hostile = "x\r\nSet-Cookie: a=b\r\n\r\n<script>//&state=y"
    back = crm.http.get("/oauth/callback", params={"state": state, field: hostile})
    assert back.status_code == 303
    assert "set-cookie" not in back.headers
    assert parse_qs(urlsplit(back.headers["location"]).query) == {"state": [state], field: [hostile]}


def test_an_endless_code_is_refused(crm: Any) -> None:
    state = crm.begin().json()["state"]
    assert arrive(crm, state, code="c" * 2000).status_code == 400
    assert arrive(crm, state, error="e" * 2000).status_code == 400
    assert arrive(crm, state + "x" * 5000).status_code == 400


@pytest.mark.parametrize(
    "address",
    ["", "javascript:alert(1)", "https://acme.example@evil.example", "https://acme.example/path",
     "https://acme.example?next=//evil", "https://acme.example#x", "//evil.example", "ftp://acme.example"],
)  # fmt: skip
def test_an_address_that_is_no_site_of_a_tenant_gets_no_state(crm: Any, address: str) -> None:
    tenants = crm.broker.kubernetes.tenants
    tenants[crm.name] = replace(tenants[crm.name], url=address)
    answer = crm.begin()
    assert (answer.status_code, answer.json()["error"]) == (409, "tenant_not_ready")


# Replays.


def test_a_code_is_good_once(crm: Any) -> None:
    answer = crm.consent()
    assert crm.exchange(answer).status_code == 200
    assert crm.exchange(answer).json()["error"] == "invalid_grant"


def test_a_stolen_code_is_worth_nothing_without_the_verifier(crm: Any) -> None:
    assert crm.exchange(crm.consent(), "w" * 64).json()["error"] == "invalid_grant"


def test_a_stolen_code_is_worth_nothing_in_the_thiefs_own_consent(crm: Any, other: Any) -> None:
    """Code injection: the victim's code, with the thief's own state and verifier."""
    victims = crm.consent()
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"t" * 64).digest()).decode().rstrip("=")
    thiefs = other.begin(code_challenge=challenge).json()["state"]
    answer = other.exchange({"state": thiefs, "code": victims["code"]}, "t" * 64)
    assert answer.json()["error"] == "invalid_grant"
    assert other.claims() == []


def test_a_redirect_that_is_repeated_leads_to_the_same_tenant_and_gives_nothing(crm: Any) -> None:
    answer = crm.consent()
    again = [arrive(crm, answer["state"], code=answer["code"]).headers["location"] for _ in range(2)]
    assert again[0] == again[1]
    assert crm.exchange(answer).status_code == 200
    assert arrive(crm, answer["state"], code=answer["code"]).status_code == 303
    assert crm.exchange(answer).json()["error"] == "invalid_grant"


def test_a_revoked_mailbox_is_not_brought_back_by_its_old_token(crm: Any, other: Any) -> None:
    sealed = crm.connect()
    crm.revoke(sealed)
    fresh = other.connect()
    assert crm.refresh(sealed).json()["error"] == "mailbox_taken"
    assert crm.revoke(sealed).status_code == 204
    assert other.refresh(fresh).status_code == 200, "the old holder can't end the new one's access"


# Seals.


@pytest.mark.promise("P5.2")
@pytest.mark.promise("P8.1")
def test_a_stolen_sealed_token_is_worth_nothing_to_another_tenant(crm: Any, other: Any) -> None:
    sealed = crm.connect()
    for answer in (other.refresh(sealed), other.revoke(sealed), other.backfill(sealed)):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_seal")
    assert crm.refresh(sealed).status_code == 200


def test_a_token_does_not_move_to_another_mailbox_of_the_same_tenant(crm: Any, tenant: Any) -> None:
    elsewhere = tenant("second-" + crm.email).sub
    refused = crm.refresh(crm.connect(), sub=elsewhere)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_seal")


def test_a_tenant_made_anew_under_the_same_name_opens_nothing(crm: Any) -> None:
    """A copied database in a tenant that took the name of one that was erased."""
    sealed = crm.connect()
    tenants = crm.broker.kubernetes.tenants
    tenants[crm.name] = replace(tenants[crm.name], uid="another-uid")
    assert crm.refresh(sealed).json()["error"] == "invalid_seal"


CHANGES: dict[str, Callable[[str], str]] = {
    "cut short": lambda sealed: sealed[:-8],
    "made longer": lambda sealed: sealed + "AAAA",
    "a bit turned": lambda sealed: sealed[:-3] + ("A" if sealed[-3] != "A" else "B") + sealed[-2:],
    "without a key's id": lambda sealed: sealed.partition(".")[2],
    "empty of content": lambda sealed: sealed.partition(".")[0] + ".",
    "in the clear": lambda sealed: sealed.partition(".")[0] + ".WyJwIiwgIjEvL3Rva2VuIl0=",
    "with a line break": lambda sealed: sealed[:20] + "\n" + sealed[20:],
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_sealed_token_that_was_changed_does_not_open(crm: Any, how: str) -> None:
    sealed = crm.connect()
    changed = CHANGES[how](sealed)
    assert changed != sealed
    refused = crm.refresh(changed)
    assert refused.status_code == 400, refused.text
    assert refused.json()["error"] == "invalid_seal"


# Callers.


def test_a_service_account_that_only_looks_like_a_tenants_is_refused(crm: Any, broker: Any) -> None:
    names = (
        f"system:serviceaccount:gpt-{crm.name}:web:extra",
        f"system:serviceaccount:gpt-{crm.name}:web\n",
        f"x-system:serviceaccount:gpt-{crm.name}:web",
        f"system:serviceaccount:gpt-{crm.name}:default",
        f"system:serviceaccount:{crm.name}:web",
    )
    for number, name in enumerate(names):
        broker.kubernetes.users[f"alike-{number}"] = name
        answer = crm.http.post(
            "/v1/tokens/refresh", json={}, headers={"Authorization": f"Bearer alike-{number}"}
        )
        assert answer.status_code == 403, name


def test_a_namespace_that_the_tenant_does_not_own_is_refused(crm: Any) -> None:
    """gpt-NAME made by somebody before the operator could: the status never names it."""
    tenants = crm.broker.kubernetes.tenants
    tenants[crm.name] = replace(tenants[crm.name], namespace="")
    assert crm.begin().status_code == 403


def test_sync_begins_no_consent(crm: Any) -> None:
    """People are the web's business."""
    as_sync = {"Authorization": f"Bearer {crm.sync_token}"}
    body = {"purpose": "sign_in", "code_challenge": "c" * 43, "nonce": "n" * 43}
    assert crm.http.post("/v1/authorizations", json=body, headers=as_sync).status_code == 403
    answer = crm.consent()
    exchange = {"state": answer["state"], "code": answer["code"], "code_verifier": "v" * 64}
    assert crm.http.post("/v1/tokens", json=exchange, headers=as_sync).status_code == 403
    assert crm.exchange(answer).status_code == 200
