"""Sessions: encrypted, short, for this site alone; and what sign-in and sign-out do to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from guestpost_dashboard import sessions
from guestpost_dashboard.identity import Person
from guestpost_dashboard.sessions import Session
from guestpost_dashboard.settings import Impersonation, Settings

URL = "https://dashboard.example.com"
NAME = "__Host-guestpost-dashboard"


async def test_a_session_is_a_host_cookie_that_says_nothing(browser: Any) -> None:
    answer = await browser.sign_in()
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith(f"{NAME}=")
    attributes = {each.strip() for each in cookie.split(";")[1:]}
    assert attributes == {"Max-Age=28800", "Path=/", "HttpOnly", "SameSite=Lax", "Secure"}
    assert "sam" not in cookie
    assert (await browser.http.get("/")).status_code == 200


async def test_a_session_of_before_the_sign_in_is_worth_nothing_after_it(browser: Any) -> None:
    before = await browser.token()
    await browser.sign_in()
    page = (await browser.http.get("/")).text
    assert before not in page
    answer = await browser.http.post("/sign-out", data={"csrf": before}, headers={"Origin": URL})
    assert answer.status_code == 403


async def test_what_was_tampered_with_is_no_session(browser: Any) -> None:
    await browser.sign_in()
    sealed = browser.http.cookies[NAME]
    for place in (5, len(sealed) // 2, len(sealed) - 3):
        other = "B" if sealed[place] == "A" else "A"
        broken = sealed[:place] + other + sealed[place + 1 :]
        answer = await browser.http.get("/", headers={"Cookie": f"{NAME}={broken}"})
        assert answer.status_code == 303


@pytest.mark.parametrize(
    ("passed", "status"), [(29 * 60, 200), (31 * 60, 303)], ids=["29 minutes idle", "31 minutes idle"]
)
async def test_a_session_ends_when_nobody_is_there(
    settings: Settings, cluster: Any, open_browser: Callable[..., Any], passed: float, status: int
) -> None:
    async with open_browser(settings, cluster) as browser:
        await browser.sign_in()
        browser.turn_clock(passed)
        answer = await browser.http.get("/?q=acme")
        assert answer.status_code == status
        if status == 303:
            assert answer.headers["location"] == "/sign-in?next=/%3Fq%3Dacme"
            assert "Your sign-in has ended" in (await browser.http.get("/sign-in")).text


async def test_a_session_ends_after_eight_hours_whoever_is_there(browser: Any) -> None:
    await browser.sign_in()
    for _ in range(23):
        browser.turn_clock(20 * 60)
        assert (await browser.http.get("/")).status_code == 200
    browser.turn_clock(21 * 60)
    assert (await browser.http.get("/")).status_code == 303


async def test_what_a_page_asks_for_by_itself_keeps_no_session_alive(browser: Any) -> None:
    await browser.sign_in()
    for _ in range(3):
        browser.turn_clock(9 * 60)
        answer = await browser.http.get("/figures", headers={"X-Background": "1", "HX-Request": "true"})
        assert answer.status_code == 200
    browser.turn_clock(4 * 60)
    assert (await browser.http.get("/figures", headers={"HX-Request": "true"})).status_code == 401


async def test_a_session_ends_with_the_token(browser: Any) -> None:
    token = "e30." + "eyJleHAiOjEwMDAwMDA2MDB9" + ".x"  # {"exp":1000000600}
    browser.cluster.people[token] = "sam"
    browser.set_clock(1_000_000_000)
    await browser.sign_in(token)
    assert (await browser.http.get("/")).status_code == 200
    browser.set_clock(1_000_000_601)
    assert (await browser.http.get("/")).status_code == 303


async def test_a_long_token_takes_several_cookies_and_a_short_one_removes_them(browser: Any) -> None:
    long = "x" * 6000
    browser.cluster.people[long] = "sam"
    answer = await browser.sign_in(long)
    cookies = answer.headers.get_list("set-cookie")
    assert [each.partition("=")[0] for each in cookies] == [NAME, f"{NAME}-1", f"{NAME}-2"]
    assert all(len(each) < 4096 for each in cookies)
    assert (await browser.http.get("/")).status_code == 200
    headers = {"Origin": URL, "X-CSRF-Token": await browser.csrf()}
    answer = await browser.http.post("/sign-out", headers=headers)
    assert answer.headers["clear-site-data"] == '"storage"'
    gone = [each for each in answer.headers.get_list("set-cookie") if "Max-Age=0" in each]
    assert len(gone) == 2
    assert (await browser.http.get("/")).status_code == 303


async def test_a_token_that_no_cookie_can_hold_is_refused_with_words(browser: Any) -> None:
    answer = await browser.sign_in("x" * 13_000)
    assert answer.status_code == 422
    assert "Paste the token alone" in answer.text


async def test_keys_are_exchanged_without_a_sign_in(
    settings: Settings, cluster: Any, open_browser: Callable[..., Any]
) -> None:
    async with open_browser(settings, cluster) as browser:
        await browser.sign_in()
        kept = browser.http.cookies[NAME]
    fresh = Fernet.generate_key().decode()
    both = dataclasses.replace(settings, session_keys=(fresh, *settings.session_keys))
    async with open_browser(both, cluster) as browser:
        browser.http.cookies.set(NAME, kept)
        assert (await browser.http.get("/")).status_code == 200
    async with open_browser(dataclasses.replace(settings, session_keys=(fresh,)), cluster) as browser:
        browser.http.cookies.set(NAME, kept)
        assert (await browser.http.get("/")).status_code == 303


def test_a_session_is_the_same_after_the_cookie() -> None:
    session = Session(
        1.0, 2.0, Person("sam", ("a", "b"), "", 9.0), notices=[("error", "no")], signing={"a": "b"}
    )
    again = sessions.restored(session.dump())
    assert again == session
    assert Person("sam", ("a",), "token").dump()["groups"] == []


def test_no_more_is_kept_to_be_said_than_a_cookie_holds() -> None:
    session = Session(1.0, 2.0)
    for number in range(20):
        session.say("error", f"{number} " + "x" * 1000)
    assert len(session.notices) == 5
    assert all(len(text) == 500 for _, text in session.notices)


def test_nothing_of_a_person_is_printed() -> None:
    assert "secret" not in repr(Person("sam", (), "secret"))


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "ünïcode"])
async def test_what_is_no_token_is_said_so(browser: Any, token: str) -> None:
    answer = await browser.sign_in(token)
    assert answer.status_code == 422


async def test_an_unknown_token_is_refused_and_not_quoted(browser: Any) -> None:
    answer = await browser.sign_in("wrong-token")
    assert answer.status_code == 403
    assert "does not know this token" in answer.text
    assert "wrong-token" not in answer.text


async def test_the_api_server_is_away_while_signing_in(browser: Any) -> None:
    browser.cluster.away = True
    answer = await browser.sign_in()
    assert answer.status_code == 503
    assert "does not answer" in answer.text


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/sign-out",
        "/x\r\nSet-Cookie: a",
        "",
        "/ü",
    ],
)
async def test_a_sign_in_leads_to_no_other_site(browser: Any, address: str) -> None:
    answer = await browser.sign_in(following=address)
    assert answer.headers["location"] == "/"


async def test_a_sign_in_leads_back_to_where_one_was(browser: Any) -> None:
    answer = await browser.sign_in(following="/?q=acme&phase=Running")
    assert answer.headers["location"] == "/?q=acme&phase=Running"


async def test_every_call_is_made_as_the_person(browser: Any) -> None:
    await browser.sign_in()
    browser.cluster.asked.clear()
    await browser.http.get("/tenants/acme")
    assert len(browser.cluster.asked) > 5
    assert {each.headers["authorization"] for each in browser.cluster.asked} == {"Bearer sam-token"}


async def test_with_impersonation_calls_name_the_person_and_the_groups(
    settings: Settings, cluster: Any, oidc: Any, open_browser: Callable[..., Any]
) -> None:
    cluster.viewers.add("oidc:zoë@example.com")
    acting_as = Impersonation(frozenset({"oidc:zoë@example.com"}), frozenset({"oidc:staff", "oidc:eu"}))
    changed = dataclasses.replace(settings, impersonation=acting_as, oidc=oidc)
    async with open_browser(changed, cluster) as browser:
        browser.enter(Person("oidc:zoë@example.com", ("oidc:staff", "oidc:eu")))
        cluster.asked.clear()
        assert (await browser.http.get("/tenants/acme")).status_code == 200
    assert cluster.asked
    for headers in (each.headers for each in cluster.asked):
        assert headers["authorization"] == "Bearer own-token"
        assert headers["impersonate-user"] == "oidc:zoë@example.com"
        assert headers.get_list("impersonate-group") == ["oidc:staff", "oidc:eu"]
