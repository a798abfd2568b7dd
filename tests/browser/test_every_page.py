"""Each page as a person meets it: wide and narrow, light and dark, full and empty, with axe-core clean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from browsing import too_wide
from playwright.sync_api import Page

PAGES = (
    "/", "/threads/1", "/orders", "/orders/list", "/orders/1", "/orders/new", "/orders/1/edit", "/sites",
    "/sites/1", "/sites/new", "/sites/import", "/contacts", "/contacts/1", "/contacts/new",
    "/contacts/import", "/orders/import", "/offers", "/offers/1", "/offers/new", "/placements",
    "/placements/1", "/placements/new", "/invoices", "/invoices/1", "/invoices/new", "/reports",
    "/duplicates", "/fields", "/fields/new", "/mailboxes", "/team", "/account", "/account/second-factor",
    "/integrations", "/integrations/webhooks/new", "/audit", "/usage", "/privacy", "/about",
    "/outbox", "/write", "/messages/1/reply-all", "/messages/1/forward", "/templates", "/templates/new",
    "/duplicates/sites?keep=1&drop=2", "/duplicates/contacts?keep=1&drop=2", "/policy", "/data", "/support",
    "/nothing-here",
)  # fmt: skip
LISTS = (
    "/", "/orders", "/orders/list", "/sites", "/contacts", "/offers", "/placements", "/invoices", "/reports",
    "/fields", "/duplicates", "/integrations", "/mailboxes", "/outbox", "/templates",
)  # fmt: skip


@pytest.fixture
def full(person: Callable[..., Any]) -> Any:
    """A desk at work; gives its owner."""
    import mail_records
    import outreach_records

    owner = person("owner", "Anna Reyes")
    person("member", "Tom Hughes")
    outreach_records.fill(owner, sites=60)
    mail_records.fill(owner, messages=60)
    return owner


def test_pages_full_of_records(
    full: Any, at: Callable[..., Page], faults_everywhere: Callable[[Page], list[str]]
) -> None:
    page = at(full)
    found = []
    for address in PAGES:
        page.goto(address)
        assert page.locator("h1").count() == 1, address
        found += faults_everywhere(page)
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("role", ["owner", "reader"])
def test_empty_pages_say_what_to_do_next(
    person: Callable[..., Any], at: Callable[..., Page], faults: Callable[[Page], list[str]], role: str
) -> None:
    page = at(person(role), width=360)
    for address in LISTS:
        page.goto(address)
        assert faults(page) == []
        words = page.locator("main").inner_text()
        assert len(words) > 60, f"{address} says nothing: {words!r}"


def test_pages_in_german(full: Any, at: Callable[..., Page]) -> None:
    page = at(full, width=360, locale="de-DE")
    for address in PAGES:
        page.goto(address)
        assert page.locator("html").get_attribute("lang") == "de", address
        assert too_wide(page) <= 0, address
    page.goto("/orders")
    assert page.locator("h1").inner_text() == "Aufträge"
    assert "In Verhandlung" in page.locator("main").inner_text()


@pytest.mark.parametrize(
    "address", ["/orders", "/sites/1", "/orders/1", "/invoices", "/threads/1", "/reports"]
)
def test_pages_on_paper(full: Any, at: Callable[..., Page], address: str) -> None:
    page = at(full)
    page.goto(address)
    page.emulate_media(media="print")
    for hidden in (".top", ".foot", ".actions", ".filter"):
        for found in page.locator(hidden).all():
            assert not found.is_visible(), hidden
    assert len(page.pdf()) > 1000


def test_nothing_is_asked_of_anybody_else_and_pages_are_small(full: Any, at: Callable[..., Page]) -> None:
    for address in ("/", "/orders", "/sites", "/reports"):
        page = at(full, fresh=True)
        loaded: list[Any] = []
        page.on("requestfinished", lambda request, into=loaded: into.append(request))
        page.goto(address)
        page.wait_for_load_state("networkidle")
        size = sum(each.sizes()["responseBodySize"] for each in loaded)
        assert 0 < size <= 100_000, (address, size)


def test_without_scripts_everything_works(full: Any, at: Callable[..., Page]) -> None:
    page = at(full, java_script_enabled=False)
    page.goto("/orders")
    first = page.locator(".column").first.locator(".tile").first
    site = first.locator(".tile-title").inner_text()
    first.hover()
    first.get_by_role("button").last.click()
    page.wait_for_load_state()
    assert f"{site} is at “Contacted” now." in page.locator(".notices").inner_text()
    page.locator("details.account > summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_load_state()
    assert page.get_by_role("button", name="Sign in with Google").is_visible()
