"""API server away, token expired, forbidden, deleted meanwhile: each page says so."""

from __future__ import annotations

from typing import Any

import pytest
from guestpost_dashboard.backends import errors
from guestpost_dashboard.backends.kinds import TENANT
from guestpost_dashboard.forms import Field
from guestpost_dashboard.identity import Person
from guestpost_dashboard.pages.rights import Rights
from guestpost_dashboard.settings import ConfigurationError, load

PART = {"HX-Request": "true", "HX-Current-URL": "https://dashboard.example.com/tenants/acme"}


async def test_nobody_sees_anything_without_signing_in(browser: Any) -> None:
    for address in ("/", "/figures", "/tenants/acme", "/tenants/acme.yaml", "/new", "/releases"):
        answer = await browser.http.get(address)
        assert answer.status_code == 303, address
        assert answer.headers["location"].startswith("/sign-in?next=/")
    for address in ("/streams/fleet", "/streams/tenants/acme", "/session"):
        assert (await browser.http.get(address)).status_code == 401


async def test_who_may_not_list_tenants_is_told_which_role_is_missing(browser: Any) -> None:
    browser.cluster.people["other-token"] = "other"
    await browser.sign_in("other-token")
    for address in ("/", "/figures", "/streams/fleet", "/streams/tenants/acme"):
        answer = await browser.http.get(address)
        assert answer.status_code == 403, address
        assert "other may not" in answer.text
        assert "anna@acme.example" not in answer.text
    assert "Ask for the role guestpost-viewer" in (await browser.http.get("/")).text


async def test_the_api_server_is_away_and_the_page_tries_again(browser: Any) -> None:
    await browser.sign_in()
    browser.cluster.away = True
    answer = await browser.http.get("/tenants/acme")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert 'http-equiv="refresh" content="5"' in answer.text
    browser.cluster.away = False
    assert (await browser.http.get("/tenants/acme")).status_code == 200


async def test_a_part_of_a_page_leaves_the_page_as_it_is(browser: Any) -> None:
    await browser.sign_in()
    browser.cluster.away = True
    answer = await browser.http.get("/tenants/acme", headers=PART)
    assert (answer.status_code, answer.headers["hx-retarget"]) == (503, "#notices")
    assert "does not answer" in answer.text
    assert "<html" not in answer.text


async def test_a_token_that_expired_leads_to_the_sign_in_and_back(browser: Any) -> None:
    await browser.sign_in()
    del browser.cluster.people["sam-token"]
    part = await browser.http.get("/tenants/acme", headers=PART)
    assert part.status_code == 401
    assert '<a href="/sign-in?next=/tenants/acme">' in part.text
    browser.cluster.people["sam-token"] = "sam"
    await browser.sign_in()
    del browser.cluster.people["sam-token"]
    answer = await browser.http.get("/tenants/acme")
    assert answer.headers["location"] == "/sign-in?next=/tenants/acme"
    assert "Your sign-in has ended" in (await browser.http.get("/sign-in")).text


FORM = {"Origin": "https://dashboard.example.com", "Referer": "https://dashboard.example.com/new?like=acme"}


@pytest.mark.parametrize("path", ["/new", "/sign-out"])
async def test_a_form_of_a_session_that_is_over_leads_to_the_sign_in_and_back(
    browser: Any, path: str
) -> None:
    """Not to a refusal: it is how people meet the end of their token."""
    await browser.sign_in()
    form = {"csrf": await browser.csrf(), "metadata.name": "typed"}
    browser.turn_clock(31 * 60)
    answer = await browser.http.post(path, data=form, headers=FORM)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/new%3Flike%3Dacme")
    assert "Your sign-in has ended" in (await browser.http.get("/sign-in")).text
    # The same without a cookie.
    browser.http.cookies.clear()
    answer = await browser.http.post("/new", data=form, headers=FORM)
    assert answer.headers["location"] == "/sign-in?next=/new%3Flike%3Dacme"


async def test_while_somebody_types_the_end_of_the_session_is_said_beside_the_form(browser: Any) -> None:
    await browser.sign_in()
    form = {"csrf": await browser.csrf(), "metadata.name": "typed"}
    browser.turn_clock(31 * 60)
    answer = await browser.http.post("/new/check", data=form, headers={**FORM, **PART})
    assert (answer.status_code, answer.headers["hx-retarget"]) == (401, "#notices")
    assert '<a href="/sign-in?next=/tenants/acme">Sign in again</a>: what you typed is kept' in answer.text


async def test_a_check_that_nobody_answers_is_made_again(browser: Any) -> None:
    await browser.sign_in()
    browser.application.state.forms._known[TENANT] = (float("inf"), Field((), "group", ""))
    headers = {**FORM, "X-CSRF-Token": await browser.csrf()}
    loaded = {"loaded": "{}", "uid": "u"}
    for path in ("/new/check", "/tenants/acme/edit/check"):
        browser.cluster.away = True
        assert "data-again" in (await browser.http.post(path, data=loaded, headers=headers)).text
        browser.cluster.away = False
        answer = await browser.http.post(path, data=loaded, headers=headers)
        assert answer.status_code == 200
        assert "data-again" not in answer.text


async def test_a_page_of_an_earlier_session_is_said_to_be_one(browser: Any) -> None:
    """Somebody signed in again in another tab."""
    await browser.sign_in()
    form = {"csrf": await browser.csrf(), "metadata.name": "typed"}
    await browser.sign_in()
    answer = await browser.http.post("/new", data=form, headers=FORM)
    assert answer.status_code == 403
    assert '<a class="button" href="/new?like=acme">Back</a>' in answer.text
    part = await browser.http.post("/new/check", data=form, headers={**FORM, **PART})
    assert (part.status_code, part.headers["hx-retarget"]) == (403, "#notices")
    assert "Reload the page" in part.text


async def test_a_form_that_nobody_answers_leads_back_to_its_page(browser: Any) -> None:
    await browser.sign_in()
    token = await browser.csrf()
    browser.cluster.away = True
    answer = await browser.http.post("/tenants/acme/edit/apply", data={"csrf": token}, headers=FORM)
    assert answer.status_code == 503
    assert 'http-equiv="refresh" content="5; url=/new?like=acme"' in answer.text
    elsewhere = {**FORM, "Referer": "https://dashboard.example.com//evil.example/"}
    answer = await browser.http.post("/tenants/acme/edit/apply", data={"csrf": token}, headers=elsewhere)
    assert 'content="5; url=/"' in answer.text


async def test_a_page_whose_stream_ended_asks_whether_one_is_still_signed_in(browser: Any) -> None:
    await browser.sign_in()
    assert (await browser.http.get("/session", headers={"X-Background": "1"})).status_code == 204
    del browser.cluster.people["sam-token"]
    assert (await browser.http.get("/session", headers={"X-Background": "1"})).status_code == 401


async def test_a_tenant_that_was_deleted_meanwhile_is_said_to_be_gone(browser: Any) -> None:
    await browser.sign_in()
    del browser.cluster.tenants["acme"]
    answer = await browser.http.get("/tenants/acme")
    assert answer.status_code == 404
    assert "&#34;acme&#34; not found" in answer.text


async def test_a_page_that_is_not_there(browser: Any) -> None:
    assert (await browser.http.get("/nowhere")).status_code == 404
    await browser.sign_in()
    # Where forms alone are sent to.
    answer = await browser.http.get("/new/check")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert "There is no such page." in answer.text


async def test_ready_once_the_tenants_were_listed(browser: Any) -> None:
    assert (await browser.http.get("/readyz")).status_code == 200
    assert (await browser.http.get("/healthz")).text == "ok\n"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidError), (401, errors.TokenError), (403, errors.ForbiddenError),
        (404, errors.GoneError), (409, errors.ConflictError), (410, errors.ExpiredError),
        (422, errors.InvalidError), (429, errors.ApiError), (500, errors.ApiError),
    ],
)  # fmt: skip
def test_answers_as_errors(status: int, kind: type[errors.ApiError]) -> None:
    body = (
        '{"reason": "R", "message": "m", "details": {"causes": [{"field": "spec.plan", "message": "bad"}]}}'
    )
    found = errors.from_answer(status, body)
    assert type(found) is kind
    assert (found.reason, found.message, found.causes) == ("R", "m", (errors.Cause("spec.plan", "bad"),))


@pytest.mark.parametrize("body", ["", "<html>", "[]", '"x"', '{"details": null}'])
def test_an_answer_that_is_none_of_the_api_servers_is_survived(body: str) -> None:
    assert errors.from_answer(502, body).message == "The API server answered with 502."


def test_how_long_to_wait_is_what_the_api_server_says() -> None:
    assert errors.from_answer(429, "{}", "7").retry_after == 7
    assert errors.from_answer(429, '{"details": {"retryAfterSeconds": 3}}').retry_after == 3


def test_rights_are_remembered_for_half_a_minute() -> None:
    now = [0.0]
    rights = Rights(clock=lambda: now[0])
    key = (Person("sam", (), "t"), "list", TENANT, "", "")
    rights.learn(key, True)
    now[0] = 29.0
    assert rights.known(key) is True
    assert rights.known((Person("sam", (), "another"), "list", TENANT, "", "")) is None
    now[0] = 30.0
    assert rights.known(key) is None


LEAST = {"DASHBOARD_URL": "https://d.example", "KUBERNETES_URL": "https://k.example", "OIDC_ISSUER": "https://i.example",
         "OIDC_CLIENT_ID": "dashboard"}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"DASHBOARD_URL": ""}, "DASHBOARD_URL"),
        ({"DASHBOARD_URL": "https://d.example/path"}, "without a path"),
        ({"DASHBOARD_URL": "http://d.example"}, "https://"),
        ({"KUBERNETES_URL": ""}, "KUBERNETES_URL"),
        ({"KUBERNETES_URL": "http://k.example"}, "https://"),
        ({"OIDC_ISSUER": ""}, "SIGN_IN=token"),
        ({"OIDC_ISSUER": "http://i.example"}, "OIDC_ISSUER"),
        ({"OIDC_CLIENT_ID": ""}, "OIDC_CLIENT_ID"),
        ({"OIDC_SCOPES": "email"}, "openid"),
        ({"IDENTITY": "admin"}, "IDENTITY"),
        (
            {"IDENTITY": "impersonation", "OIDC_ISSUER": "", "SIGN_IN": "token"},
            "impersonation needs OIDC_ISSUER",
        ),
        ({"IDENTITY": "impersonation"}, "impersonation needs IMPERSONATE_USERS"),
        ({"IDENTITY": "impersonation", "IMPERSONATE_USERS": "sam, eve"}, "IMPERSONATE_USERS must be a JSON"),
        (
            {"IDENTITY": "impersonation", "IMPERSONATE_USERS": '["sam", ""]'},
            "IMPERSONATE_USERS must be a JSON",
        ),
        ({"SESSION_SECONDS": "86400"}, "SESSION_SECONDS"),
        ({"PORT": "0"}, "PORT"),
        ({"SESSION_KEYS_FILE": "/nowhere"}, "no such file"),
        ({"KUBERNETES_TOKEN_FILE": "/nowhere"}, "no such file"),
    ],
)
def test_a_setting_that_is_wrong_is_named(tmp_path: Any, changes: dict[str, str], said: str) -> None:
    token = tmp_path / "t"
    token.write_text("t")
    files = {"KUBERNETES_CA_FILE": str(token), "KUBERNETES_TOKEN_FILE": str(token)}
    load({**LEAST, **files})
    with pytest.raises(ConfigurationError, match=said):
        load({**LEAST, **files, **changes})


def test_keys_of_sessions_come_from_a_file_and_are_never_quoted(tmp_path: Any) -> None:
    token, keys = tmp_path / "t", tmp_path / "keys"
    token.write_text("t")
    files = {
        "KUBERNETES_CA_FILE": str(token),
        "KUBERNETES_TOKEN_FILE": str(token),
        "SESSION_KEYS_FILE": str(keys),
    }
    keys.write_text("q" * 43 + "=\n" + "A" * 43 + "=\n")
    assert len(load({**LEAST, **files}).session_keys) == 2
    keys.write_text("too-short\n")
    with pytest.raises(ConfigurationError) as refused:
        load({**LEAST, **files})
    assert "too-short" not in str(refused.value)
