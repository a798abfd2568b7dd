"""The fleet and a tenant in a real Chromium: by mouse and keyboard, wide and narrow, also in trouble."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from dashboard_world import NAMESPACE, Served, World, status
from guestpost_dashboard.backends import watch
from playwright.sync_api import Page, expect

At = Callable[..., Page]
PAGES = (
    "/",
    "/?q=acme&columns=phase%2Chost",
    "/?q=nothing-like-this",
    "/tenants/acme",
    "/tenants/delta",
    "/nowhere",
)


def test_pages_are_clean(at: At, faults_everywhere: Callable[[Page], list[str]]) -> None:
    page = at("provisioner")
    found = []
    for address in PAGES:
        page.goto(address)
        if address.startswith("/?") or address == "/":
            expect(page.locator(".tiles")).to_be_visible()
            for summary in page.locator("details.menu > summary").all():
                assert summary.is_visible()
        found += faults_everywhere(page)
    assert found == []


def test_the_sign_in_is_clean_and_says_what_is_wrong(at: At, faults: Callable[[Page], list[str]]) -> None:
    page = at(width=360)
    page.goto("/tenants/acme")
    assert faults(page) == []
    page.get_by_label("Token of the API server").fill("not-a-token")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#problem")).to_contain_text("does not know this token")
    assert faults(page) == []


def test_search_filter_and_sort_are_saved_in_the_address(at: At) -> None:
    page = at("viewer")
    page.get_by_role("searchbox").fill("orchard")
    expect(page.locator("#rows tr")).to_have_count(2)
    expect(page).to_have_url(re.compile(r"\?q=orchard$"))
    page.get_by_role("link", name=re.compile("^Tenant")).click()
    expect(page).to_have_url(re.compile(r"q=orchard&sort=-name$"))
    assert page.locator("#rows th").all_inner_texts() == ["orchard-two", "orchard-one"]
    page.locator("summary", has_text="Region").click()
    page.get_by_role("link", name="us-central1").click()
    expect(page.locator("#rows tr")).to_have_count(1)
    address = page.url
    page.reload()
    assert page.url == address
    expect(page.get_by_role("searchbox")).to_have_value("orchard")
    page.go_back()
    expect(page.locator("#rows tr")).to_have_count(2)
    page.get_by_role("link", name="Clear").click()
    expect(page.locator("#rows tr")).not_to_have_count(2)


def test_typing_after_choosing_keeps_what_was_chosen(at: At) -> None:
    page = at("viewer")
    page.goto("/?region=us-central1&sort=-name")
    page.get_by_role("searchbox").fill("del")
    expect(page).to_have_url(re.compile(r"q=del&region=us-central1&sort=-name"))
    expect(page.locator("#rows tr")).to_have_count(1)


def test_columns_are_chosen(at: At) -> None:
    page = at("viewer")
    page.goto("/?q=acme")
    page.locator("summary", has_text="Columns").click()
    page.get_by_role("checkbox", name="Host").check()
    page.get_by_role("checkbox", name="Region").uncheck()
    page.get_by_role("button", name="Show these").click()
    expect(page.locator("#rows")).to_contain_text("acme.crm.example.com")
    assert page.locator("thead th").all_inner_texts()[1:] == [
        "Phase",
        "Reason",
        "Plan",
        "Version",
        "Owner",
        "Age",
        "Host",
    ]


def test_without_scripts_the_same_pages_work(at: At) -> None:
    page = at("viewer", java_script_enabled=False)
    page.get_by_role("searchbox").fill("acme.crm")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#rows tr")).to_have_count(1)
    page.get_by_role("link", name="acme").click()
    expect(page.get_by_role("heading", name="Conditions")).to_be_visible()


def test_a_change_in_the_cluster_shows_in_an_open_page(
    at: At, api_server: World, tenant: Callable[..., str]
) -> None:
    tenant("live-one")
    page = at("provisioner")
    page.goto("/?q=live-")
    expect(page.locator("#rows tr")).to_have_count(1)
    page.get_by_label("Choose live-one").check()
    page.get_by_label("Choose live-one").focus()
    api_server.says("live-one", status("live-one", "Degraded"))
    expect(page.locator("#t-live-one")).to_contain_text("Degraded")
    # What was chosen is still chosen, and the keyboard is where it was.
    expect(page.get_by_label("Choose live-one")).to_be_checked()
    expect(page.get_by_label("Choose live-one")).to_be_focused()
    tenant("live-two")
    expect(page.locator("#rows tr")).to_have_count(2)
    expect(page.locator("#total")).to_have_text(re.compile(r"^2 of \d+ tenants$"))
    api_server.delete("live-one")
    expect(page.locator("#rows tr")).to_have_count(1)
    expect(page.locator("#t-live-two")).to_be_visible()


def test_an_open_tenant_shows_what_changed_and_keeps_what_is_open(
    at: At, api_server: World, tenant: Callable[..., str]
) -> None:
    tenant("open-one")
    page = at("viewer")
    page.goto("/tenants/open-one")
    page.locator("summary", has_text="YAML").click()
    expect(page.locator("pre.yaml")).to_be_visible()
    api_server.says("open-one", status("open-one", "Degraded"))
    expect(page.locator("h1")).to_contain_text("Degraded")
    expect(page.locator("pre.yaml")).to_be_visible()
    api_server.delete("open-one")
    expect(page.locator("#health")).to_contain_text("open-one has been deleted")
    expect(page.locator("h1")).to_contain_text("Degraded")
    # Another one gets the name.
    api_server.tenant("open-one", status("open-one"))
    expect(page.locator("h1")).to_contain_text("Running")
    expect(page.locator("#health")).to_be_empty()


def test_a_broken_watch_is_said_and_recovers(
    at: At, api_server: World, mended: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "GRACE_SECONDS", 0)
    monkeypatch.setattr(watch, "MAX_BACKOFF", 0.2)
    page = at("viewer")
    page.goto("/?q=a")
    expect(page.locator("#rows tr").first).to_be_visible()
    page.get_by_role("searchbox").fill("typed")
    mended.cut = True
    api_server.says("gamma", {**status("gamma"), "revision": "r-cut"})
    expect(page.locator("#health")).to_contain_text("may be out of date")
    expect(page.get_by_role("searchbox")).to_have_value("typed")
    mended.cut = False
    expect(page.locator("#health")).to_be_empty()


def test_an_api_server_that_is_away_leaves_the_open_page_and_a_new_one_recovers_by_itself(
    at: At, mended: Any
) -> None:
    page = at("viewer")
    page.goto("/tenants/acme")
    expect(page.get_by_role("heading", name="Conditions")).to_be_visible()
    mended.cut = True
    page.evaluate("htmx.trigger('#live', 'changed')")
    expect(page.locator("#notices")).to_contain_text("The API server does not answer")
    expect(page.get_by_role("heading", name="Conditions")).to_be_visible()
    page.goto("/tenants/beta")
    expect(page.get_by_role("heading", name="The API server does not answer")).to_be_visible()
    mended.cut = False
    expect(page.get_by_role("heading", name="Conditions")).to_be_visible()


def test_a_session_that_ends_leads_back_to_where_one_was(at: At, api_server: World) -> None:
    page = at("viewer")
    page.goto("/?q=acme&sort=-name")
    page.context.clear_cookies()
    page.reload()
    page.get_by_label("Token of the API server").fill(api_server.token("viewer"))
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(r"/\?q=acme&sort=-name$"))


def test_a_token_that_ends_while_a_page_is_open_is_said_there(
    at: At, api_server: World, dashboard: Served
) -> None:
    account = "passing-through"
    api_server.account(account, "viewer")
    page = at(account)
    page.goto("/?q=acme.crm")
    expect(page.locator("#rows tr")).to_have_count(1)
    page.get_by_role("searchbox").press("x")
    api_server.core.delete_namespaced_service_account(account, NAMESPACE)
    dashboard.application.state.rights.forget()
    # The API server itself believes a token for some seconds more.
    expect(page.locator("#health")).to_contain_text("Your sign-in has ended", timeout=90_000)
    expect(page.get_by_role("searchbox")).to_have_value("xacme.crm")
    page.reload()
    expect(page.get_by_label("Token of the API server")).to_be_visible()


def test_who_signs_in_again_elsewhere_goes_on_where_they_were(at: At, api_server: World) -> None:
    page = at("viewer")
    page.goto("/?q=acme.crm")
    expect(page.locator("#rows tr")).to_have_count(1)
    cookies = page.context.cookies()
    page.context.clear_cookies()
    # The stream ends while nobody looks, and is begun anew without a session.
    for hidden in (True, False):
        page.evaluate(
            """(hidden) => {
              Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
              document.dispatchEvent(new Event("visibilitychange"));
            }""",
            hidden,
        )
    expect(page.locator("#health")).to_contain_text("Your sign-in has ended")
    page.context.add_cookies(cookies)
    with page.expect_navigation():
        page.evaluate("window.dispatchEvent(new Event('focus'))")
    expect(page.locator("#health")).to_be_empty()
    expect(page.locator("#rows tr")).to_have_count(1)


def test_numbers_and_times_of_an_open_page_go_on(at: At, tenant: Callable[..., str]) -> None:
    page = at("viewer")
    page.clock.install()
    page.goto("/?show=unready")
    count = page.locator("#count-unready")
    before = int(count.inner_text())
    tenant("going-on", "Degraded")
    age = page.locator("#t-going-on time")
    expect(age).to_have_text(re.compile(r"^\d+ s$"))
    page.clock.run_for(20_000)
    expect(count).to_have_text(str(before + 1))
    page.goto("/tenants/going-on")
    since = page.locator(".conditions li.bad time").first
    expect(since).to_have_text(re.compile(r"^\d+ s$"))
    page.clock.run_for(5 * 60_000)
    expect(since).to_have_text(re.compile(r"^5 min$"))


def test_a_dashboard_that_goes_away_is_said_and_waited_for(at: At, dashboard: Served) -> None:
    page = at("viewer")
    page.goto("/?q=a")
    expect(page.locator("#rows tr").first).to_be_visible()
    page.context.set_offline(True)
    page.get_by_role("searchbox").fill("acme")
    expect(page.locator("#health")).to_contain_text(re.compile("does not answer|is interrupted"))
    expect(page.get_by_role("searchbox")).to_have_value("acme")
    page.context.set_offline(False)
    page.get_by_role("searchbox").fill("acme.crm")
    expect(page.locator("#rows tr")).to_have_count(1)
    expect(page.locator("#health")).to_be_empty()


def test_signing_out_leaves_nothing(at: At) -> None:
    page = at("viewer")
    page.locator(".account > summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#notices")).to_contain_text("You are signed out.")
    page.goto("/")
    expect(page).to_have_url(re.compile("/sign-in"))


def test_everything_is_reached_by_keyboard(at: At) -> None:
    page = at("viewer")
    page.goto("/?q=acme.crm")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.locator("summary", has_text="Phase").focus()
    page.keyboard.press("Enter")
    expect(page.locator("details.facet[open]")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("details.facet[open]")).to_have_count(0)
    page.locator("#rows a").first.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/tenants/acme$"))
