"""What a person does at the desk, by mouse and by keyboard, in a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect


@pytest.fixture
def tom(person: Callable[..., Any]) -> Any:
    """Somebody who works here."""
    return person("member", "Tom Hughes")


def told(page: Page) -> str:
    return page.locator(".notices").inner_text()


def test_a_card_is_dragged_to_another_column(make: Any, tom: Any, at: Callable[..., Page]) -> None:
    order = make.order(make.site("moving.example"))
    page = at(tom, width=1920)
    page.goto("/orders")
    card = page.locator(f'[data-order="{order.pk}"]')
    card.drag_to(page.locator('[data-stage="negotiating"]'))
    expect(page.locator(".notices")).to_contain_text("moving.example is at “Negotiating” now.")
    expect(page.locator('[data-stage="negotiating"]')).to_contain_text("moving.example")
    # What the server refuses is told, and the card is where it was.
    page.locator(f'[data-order="{order.pk}"]').drag_to(page.locator('[data-stage="published"]'))
    expect(page.locator(".notices")).to_contain_text("Write down the price that was agreed first.")
    expect(page.locator('[data-stage="negotiating"]')).to_contain_text("moving.example")


def test_a_card_is_moved_by_keyboard_and_keeps_the_focus(
    make: Any, tom: Any, at: Callable[..., Page]
) -> None:
    make.order(make.site("moving.example"))
    page = at(tom)
    page.goto("/orders")
    page.get_by_role("link", name="moving.example").focus()
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator('[data-stage="contacted"]')).to_contain_text("moving.example")
    expect(page.get_by_role("link", name="moving.example")).to_be_focused()
    page.keyboard.press("Shift+ArrowLeft")
    expect(page.locator('[data-stage="prospect"]')).to_contain_text("moving.example")


def test_a_card_is_moved_by_its_arrow_on_a_phone(make: Any, tom: Any, at: Callable[..., Page]) -> None:
    make.order(make.site("moving.example"))
    page = at(tom, width=360, has_touch=True, is_mobile=True)
    page.goto("/orders")
    page.get_by_role("button", name="Move to “Contacted” moving.example").tap()
    expect(page.locator(".notices")).to_contain_text("moving.example is at “Contacted” now.")


def test_a_price_in_a_mail_becomes_an_offer_and_an_order(
    make: Any, tom: Any, at: Callable[..., Page]
) -> None:
    from guestpost_crm.outreach.models import Offer

    thread = make.thread(tom, ("Bob Stone <bob@fresh.example>", "We ask 120 USD per post."))
    page = at(tom)
    page.goto(f"/threads/{thread.pk}")
    page.get_by_role("link", name=re.compile("Make a contact")).click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Bob Stone")
    expect(page.get_by_label("Sites")).to_have_value("fresh.example")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("h1")).to_contain_text("Bob Stone")
    page.goto(f"/threads/{thread.pk}")
    page.get_by_role("link", name="Record as offer").click()
    expect(page.get_by_label("Price", exact=True)).to_have_value("120.00")
    page.get_by_role("button", name="Record it").click()
    assert Offer.objects.get().price == Decimal(120)
    page.get_by_role("button", name="Accept").click()
    expect(page.locator(".notices")).to_contain_text("Accepted: this is its order.")
    expect(page.locator("main")).to_contain_text("$120")


def test_a_spreadsheet_is_imported_after_its_mistakes_are_told(
    make: Any, tom: Any, at: Callable[..., Page], tmp_path: Path
) -> None:
    from guestpost_crm.outreach.models import Site

    file = tmp_path / "sites.csv"
    file.write_text("Website;Ahrefs;Price\none.example;54;€120\nnot a domain;1;x\n", encoding="utf-8")
    page = at(tom, width=360)
    page.goto("/sites")
    page.get_by_role("link", name="Import a spreadsheet").click()
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Look at it").click()
    expect(page.locator("main")).to_contain_text("“not a domain” is not a domain")
    assert not Site.objects.exists()
    file.write_text("Website;Ahrefs;Price\none.example;54;€120\n", encoding="utf-8")
    page.get_by_role("link", name="Another file").click()
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Look at it").click()
    page.locator("select[name=column-1]").select_option("dr")
    page.get_by_role("button", name="Look again").click()
    page.get_by_role("button", name=re.compile("Import 1 site")).click()
    expect(page.locator(".notices")).to_contain_text("Imported: 1 new")
    site = Site.objects.get()
    assert (site.domain, site.dr, site.currency) == ("one.example", 54, "EUR")


def test_two_sites_are_compared_and_merged(make: Any, tom: Any, at: Callable[..., Page]) -> None:
    from guestpost_crm.outreach.models import Site

    make.site("site.example", dr=12)
    make.site("blog.site.example", niche="Travel")
    page = at(tom)
    page.goto("/duplicates")
    page.get_by_role("link", name=re.compile("Merge")).first.click()
    expect(page.locator("main")).to_contain_text("Travel")
    page.get_by_role("button", name="Merge them").click()
    expect(page.locator(".notices")).to_contain_text("They are one now.")
    assert (Site.objects.get().dr, Site.objects.get().niche) == (12, "Travel")


def test_a_wrong_form_leads_to_its_fields_and_keeps_what_was_typed(
    make: Any, tom: Any, at: Callable[..., Page]
) -> None:
    page = at(tom)
    page.goto("/sites/new")
    page.get_by_label("Domain").fill("no domain")
    page.get_by_label("Notes").fill("A long note.")
    page.get_by_role("button", name="Save").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Nothing was saved yet.")
    alert.get_by_role("link", name="Domain").click()
    expect(page.get_by_label("Domain")).to_be_focused()
    expect(page.get_by_label("Domain")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Notes")).to_have_value("A long note.")


def test_a_list_is_searched_by_keyboard_and_kept_as_a_view(
    make: Any, tom: Any, at: Callable[..., Page]
) -> None:
    make.site("travel.example", niche="Travel")
    make.site("food.example", niche="Food")
    page = at(tom)
    page.goto("/sites")
    page.keyboard.press("/")
    page.keyboard.type("travel")
    page.keyboard.press("Enter")
    expect(page.locator("tbody")).to_contain_text("travel.example")
    expect(page.locator("tbody")).not_to_contain_text("food.example")
    page.locator("details.menu > summary", has_text="Views").click()
    page.get_by_label("Keep these filters as").fill("My travel")
    page.get_by_role("button", name="Keep the view").click()
    page.goto("/sites")
    page.get_by_role("link", name="My travel").click()
    expect(page.locator("tbody")).not_to_contain_text("food.example")


def test_a_second_factor_is_set_up(person: Callable[..., Any], at: Callable[..., Page]) -> None:
    import pyotp
    from guestpost_crm.accounts import secondfactor

    anna = person("owner", "Anna Reyes")
    page = at(anna, width=360)
    page.goto("/account")
    page.get_by_role("link", name="Set it up").click()
    expect(page.locator("img.qr")).to_be_visible()
    assert page.evaluate("document.querySelector('img.qr').naturalWidth") > 0
    page.get_by_label("The code that it shows").fill(
        pyotp.TOTP(page.locator("code.secret").inner_text()).now()
    )
    page.get_by_role("button", name="Turn it on").click()
    expect(page.locator(".codes li")).to_have_count(10)
    assert secondfactor.has(anna)


def test_the_menu_of_the_account_opens_and_closes_by_keyboard(tom: Any, at: Callable[..., Page]) -> None:
    page = at(tom)
    page.goto("/orders")
    summary = page.locator("details.account > summary")
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Your account")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Your account")).to_be_hidden()
    expect(summary).to_be_focused()
    page.keyboard.press("Tab")
    page.goto("/sites")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()


def test_no_policy_lets_a_script_of_a_mail_or_a_name_run(
    make: Any, person: Callable[..., Any], at: Callable[..., Page]
) -> None:
    hostile = "<img src=x onerror='document.title=1'><script>document.title=1</script>"
    anna = person("owner", hostile)
    site = make.site("site.example", niche=hostile[:80], notes=hostile)
    order = make.order(site, anchor=hostile, notes=hostile, contact=make.contact(name=hostile))
    page = at(anna)
    for address in ("/orders", f"/orders/{order.pk}", "/sites", f"/sites/{site.pk}", "/contacts", "/account"):
        page.goto(address)
        assert page.title() != "1"
        assert page.locator("main img[src='x']").count() == 0
