"""Several Google projects, rotated keys, shares for first imports, limits: the broker over the years."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from google_standin.testing import GoogleStandin
from guestpost_broker.config import GoogleClient
from guestpost_broker.keys import Key, KeyRing
from guestpost_broker.limits import Rate, RateLimit
from guestpost_broker.pacing import Pacer
from local_services import REDIRECT

SECOND = "guestpost-second"
OLD, NEW = Key("1", b"s" * 32), Key("2", b"n" * 32)


@pytest.fixture
def settings(broker: Any) -> Iterator[Any]:
    """Settings that may be replaced, and no shares given yet; what was before comes back."""
    work = broker.broker
    before = work.config, work.pacer
    work.pacer = Pacer(work._backfill_budget, lambda: work.config.user_units, settle=0)
    yield work
    work.config, work.pacer = before


@pytest.fixture
def second(settings: Any, google: GoogleStandin) -> GoogleClient:
    """A second Google project with a client of its own."""
    client = GoogleClient("second.apps.googleusercontent.com", "secret-of-the-second")
    google.control.client(client.client_id, client.client_secret, REDIRECT, project=SECOND)
    settings.config = replace(settings.config, clients={**settings.config.clients, SECOND: client})
    return client


def asked(answer: httpx.Response) -> dict[str, list[str]]:
    return parse_qs(urlsplit(answer.json()["authorization_url"]).query)


# Projects.


def test_each_tenant_asks_with_the_client_of_its_project(crm: Any, tenant: Any, second: GoogleClient) -> None:
    theirs = tenant("in-second-" + crm.email, project=SECOND)
    assert asked(theirs.begin())["client_id"] == [second.client_id]
    assert asked(crm.begin())["client_id"] != [second.client_id]
    assert theirs.refresh(theirs.connect()).status_code == 200
    assert crm.refresh(crm.connect()).status_code == 200


def test_a_mailbox_is_one_tenants_across_all_projects(crm: Any, tenant: Any, second: GoogleClient) -> None:
    sealed, elsewhere = crm.connect(), tenant(project=SECOND)
    assert elsewhere.exchange(elsewhere.consent()).json()["error"] == "mailbox_taken"
    assert crm.refresh(sealed).status_code == 200


def test_a_project_without_a_client_is_named(tenant: Any) -> None:
    answer = tenant(project="unheard-of").begin()
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert "Google project unheard-of" in answer.json()["error_description"]


# Keys.


def test_a_new_seal_key_seals_the_old_one_opens_and_tokens_are_sealed_anew(crm: Any, settings: Any) -> None:
    sealed = crm.connect()
    assert "sealed_refresh_token" not in crm.refresh(sealed).json()
    settings.config = replace(settings.config, seal_keys=KeyRing((NEW, OLD)))
    anew = crm.refresh(sealed).json()["sealed_refresh_token"]
    assert (sealed.partition(".")[0], anew.partition(".")[0]) == ("1", "2")
    assert crm.refresh(sealed).status_code == 200, "until the tenant has kept the new one"
    settings.config = replace(settings.config, seal_keys=KeyRing((NEW,)))
    kept = crm.refresh(anew)
    assert kept.status_code == 200
    assert "sealed_refresh_token" not in kept.json()


def test_a_token_whose_key_is_missing_is_not_called_worthless(crm: Any, settings: Any) -> None:
    """Else a broker without a key would make every tenant throw its consents away."""
    sealed = crm.connect()
    settings.config = replace(settings.config, seal_keys=KeyRing((NEW,)))
    for answer in (crm.refresh(sealed), crm.revoke(sealed)):
        assert (answer.status_code, answer.json()["error"]) == (503, "seal_key_unknown")
        assert answer.headers["retry-after"]


def test_a_consent_under_way_survives_the_rotation_of_the_state_key(crm: Any, settings: Any) -> None:
    answer = crm.consent()
    settings.config = replace(settings.config, state_keys=KeyRing((NEW, OLD)))
    assert crm.exchange(answer).status_code == 200
    again = crm.consent()
    settings.config = replace(settings.config, state_keys=KeyRing((NEW,)))
    assert crm.exchange(again).status_code == 200
    assert crm.exchange(answer).json()["error"] == "invalid_state", "its key is gone"


# Shares of the quota.


def test_first_imports_share_what_the_project_allows(crm: Any, tenant: Any, settings: Any) -> None:
    others = [tenant(f"{number}-{crm.email}") for number in range(2)]
    settings.config = replace(settings.config, units_by_project={crm.project: 5_000}, replicas=1)
    sealed = {each.name: each.connect() for each in (crm, *others)}
    first = crm.backfill(sealed[crm.name]).json()
    assert first == {"units_per_minute": 3_000, "expires_in": 60}
    waits = others[0].backfill(sealed[others[0].name]).json()
    assert waits == {"units_per_minute": 0, "expires_in": 20}
    assert crm.backfill(sealed[crm.name]).json()["units_per_minute"] == 1_500
    assert others[0].backfill(sealed[others[0].name]).json()["units_per_minute"] == 1_500
    assert others[1].backfill(sealed[others[1].name]).json()["units_per_minute"] == 0
    assert crm.backfill(sealed[crm.name], 0).json()["units_per_minute"] == 0
    assert others[1].backfill(sealed[others[1].name]).json()["units_per_minute"] == 1_500


def test_two_replicas_give_out_half_each(crm: Any, settings: Any) -> None:
    settings.config = replace(settings.config, units_by_project={crm.project: 5_000}, replicas=2)
    sealed = crm.connect()
    assert crm.backfill(sealed).json()["units_per_minute"] == 1_500


def test_a_share_is_for_mailboxes_that_are_connected(crm: Any) -> None:
    """So that nobody takes the quota by inventing mailboxes."""
    assert crm.backfill("1.AAAA").json()["error"] == "invalid_seal"


# Limits.


@pytest.fixture
def limits(broker: Any) -> Iterator[Any]:
    """The limits of the running broker, which may be replaced."""
    state = broker.application.state
    before = dict(state.limits), state.strangers
    yield state
    state.limits, state.strangers = before


def test_a_tenant_that_asks_too_often_waits_and_others_do_not(crm: Any, other: Any, limits: Any) -> None:
    limits.limits["begin"] = RateLimit(Rate(per_minute=6, burst=2), clock=lambda: 0.0)
    assert [crm.begin().status_code for _ in range(3)] == [200, 200, 429]
    refused = crm.begin()
    assert refused.json() == {
        "error": "slow_down",
        "error_description": "This tenant asks too often. Wait 10 s.",
    }
    assert refused.headers["retry-after"] == "10"
    assert other.begin().status_code == 200
    assert crm.refresh("1.AAAA").status_code == 400, "another operation has another limit"


def test_who_keeps_proving_nothing_is_not_reviewed_any_more(crm: Any, limits: Any) -> None:
    limits.strangers = RateLimit(Rate(per_minute=2, burst=3), clock=lambda: 0.0)
    reviews = itertools.count()

    async def review(token: str) -> None:
        next(reviews)

    kubernetes = crm.broker.kubernetes
    kubernetes.review = review
    try:
        answers = [
            crm.http.post("/v1/tokens", json={}, headers={"Authorization": "Bearer guess"}) for _ in range(6)
        ]
    finally:
        del kubernetes.review
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429, 429]
    assert next(reviews) == 3
    assert answers[-1].headers["retry-after"] == "30"
