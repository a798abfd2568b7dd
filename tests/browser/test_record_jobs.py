"""What a person does with contacts, orders, drafts, offers and invoices, in a real Chromium."""

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


def test_contacts_are_imported_after_their_mistakes_are_told(
    tom: Any, at: Callable[..., Page], faults: Callable[[Page], list[str]], tmp_path: Path
) -> None:
    from guestpost_crm.outreach.models import Contact

    file = tmp_path / "contacts.csv"
    file.write_text(
        "Person;E-mail;Page\nBob Stone;bob@one.example;one.example\nEva;;two.example\n", encoding="utf-8"
    )
    page = at(tom, width=360)
    page.goto("/contacts")
    page.get_by_role("link", name="Import a spreadsheet").click()
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Look at it").click()
    expect(page.locator("main")).to_contain_text("There is no address")
    assert faults(page) == []
    file.write_text("Person;E-mail;Page\nBob Stone;bob@one.example;one.example\n", encoding="utf-8")
    page.get_by_role("link", name="Another file").click()
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Look at it").click()
    page.locator("select[name=column-2]").select_option("sites")
    page.get_by_role("button", name="Look again").click()
    assert faults(page) == []
    page.get_by_role("button", name="Import 1 contact").click()
    expect(page.locator(".notices")).to_contain_text("Imported: 1 new")
    page.get_by_role("link", name="See the contacts").click()
    page.get_by_role("link", name="Bob Stone").click()
    expect(page.locator("main")).to_contain_text("one.example")
    assert Contact.objects.count() == 1


@pytest.mark.parametrize("width", [360, 1280])
def test_orders_are_imported_and_stand_on_the_board(
    make: Any, tom: Any, at: Callable[..., Page], faults: Callable[[Page], list[str]], tmp_path: Path,
    width: int,
) -> None:  # fmt: skip
    make.contact("bob@one.example", name="Bob Stone", sites=[make.site("one.example")])
    file = tmp_path / "orders.csv"
    header = "Website;E-mail;Status;Anchor;Target page;Cost;Deadline\n"
    target = "https://ours.example/collections/shoes/running-in-winter"
    line = f"one.example;bob@one.example;Agreed;best running shoes;{target};{{}};31.12.2026\n"
    file.write_text(header + line.format(""), encoding="utf-8")
    page = at(tom, width=width)
    page.goto("/orders")
    page.get_by_role("link", name="Import a spreadsheet").click()
    assert faults(page) == []
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Look at it").click()
    expect(page.locator("main")).to_contain_text("Write down the price that was agreed first.")
    assert faults(page) == []
    file.write_text(header + line.format("€120"), encoding="utf-8")
    page.get_by_role("link", name="Another file").click()
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Look at it").click()
    expect(page.locator("[aria-labelledby=rows]")).to_contain_text("best running shoes")
    assert faults(page) == []
    page.get_by_role("button", name="Import 1 order").click()
    expect(page.locator(".notices")).to_contain_text("Imported: 1 new")
    page.get_by_role("link", name="See the orders").click()
    page.get_by_role("link", name="As a board").click()
    expect(page.locator("[data-stage=agreed] .tile")).to_contain_text("one.example")


def test_a_draft_is_uploaded_downloaded_and_removed(
    make: Any, tom: Any, at: Callable[..., Page], faults: Callable[[Page], list[str]], tmp_path: Path
) -> None:
    order = make.order(make.site("site.example"))
    file = tmp_path / "the draft.docx"
    file.write_bytes(b"PK" + bytes(range(256)) * 100)
    page = at(tom, width=360)
    page.goto(f"/orders/{order.pk}")
    expect(page.locator("#draft")).to_contain_text("No draft yet")
    page.locator("#draft input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    expect(page.locator(".notices")).to_contain_text("the draft.docx is kept with this order.")
    assert faults(page) == []
    with page.expect_download() as loading:
        page.locator("#draft").get_by_role("link", name="the draft.docx").click()
    assert loading.value.suggested_filename == "the draft.docx"
    assert loading.value.path().read_bytes() == file.read_bytes()
    page.get_by_role("button", name="Remove the draft.docx").click()
    expect(page.locator("#draft")).to_contain_text("No draft yet")
    expect(page.locator(".history")).to_contain_text("the draft.docx")


def test_an_attachment_of_the_mail_becomes_the_draft(make: Any, tom: Any, at: Callable[..., Page]) -> None:
    import io
    from email.message import EmailMessage

    from guestpost_crm.inbox import services

    thread = make.thread(tom, ("Bob <bob@site.example>", "Soon."))
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "bob@site.example", "desk@acme.example", "The text"
    message.set_content("Here it is.")
    message.add_attachment(b"words", maintype="application", subtype="pdf", filename="post.pdf")
    services.store(
        thread.mailbox, "with-a-file", thread.gmail_id, ["INBOX"], make.moment(5), io.BytesIO(bytes(message))
    )
    order = make.order(make.site("site.example"), thread=thread)
    page = at(tom)
    page.goto(f"/orders/{order.pk}")
    page.get_by_label("Attachment in the mail").select_option(index=0)
    page.get_by_role("button", name="Use it as the draft").click()
    expect(page.locator("#draft li")).to_contain_text("post.pdf")
    page.get_by_role("button", name="Not the draft").click()
    expect(page.locator("#draft")).to_contain_text("No draft yet")


def test_an_offer_is_countered_and_the_counter_accepted(make: Any, tom: Any, at: Callable[..., Page]) -> None:
    offer = make.offer(tom, make.site("site.example"), price=Decimal(200))
    page = at(tom)
    page.goto(f"/offers/{offer.pk}")
    page.get_by_role("link", name="Counter-offer").click()
    page.get_by_label("Price", exact=True).fill("150")
    page.get_by_role("button", name="Record it").click()
    page.get_by_role("button", name="Accept").click()
    expect(page.locator(".notices")).to_contain_text("Accepted: this is its order.")
    expect(page.locator("main")).to_contain_text("$150")
    offer.refresh_from_db()
    assert offer.state == "superseded"


def test_an_invoice_is_paid_and_its_order_with_it(make: Any, tom: Any, at: Callable[..., Page]) -> None:
    site = make.site("site.example")
    order = make.order(
        site, stage="published", price=Decimal(120), published_url="https://site.example/p",
        target_url="https://ours.example/",
    )  # fmt: skip
    page = at(tom, width=360)
    page.goto(f"/orders/{order.pk}")
    page.get_by_role("link", name="Add an invoice").click()
    page.get_by_label("Number").fill("INV-7")
    page.get_by_label("Issued on").fill(str(make.day(-1)))
    page.get_by_label("Due on").fill(str(make.day(-2)))
    page.get_by_role("button", name="Save").click()
    expect(page.locator("main")).to_contain_text("This is before it was issued.")
    expect(page.get_by_label("Number")).to_have_value("INV-7")
    page.get_by_label("Due on").fill(str(make.day(10)))
    page.get_by_role("button", name="Save").click()
    page.get_by_label("Amount").fill("120")
    page.get_by_label("Paid on").fill(str(make.day(0)))
    page.get_by_role("button", name="Record the payment").click()
    expect(page.locator("h1")).to_contain_text("Paid")
    order.refresh_from_db()
    assert order.stage == "paid"


def test_a_link_is_looked_after(make: Any, tom: Any, at: Callable[..., Page]) -> None:
    make.site("site.example")
    page = at(tom)
    page.goto("/placements")
    page.get_by_role("link", name="Look after a link").first.click()
    page.get_by_label("Site").fill("site.example")
    page.get_by_label("Published page").fill("site.example/post")
    page.get_by_label("Target address").fill("https://ours.example/")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".notices")).to_contain_text("looked at within a minute")
    page.get_by_role("button", name="Look no more").click()
    expect(page.locator("main")).to_contain_text("none: it is not looked at")


def test_a_field_of_the_teams_own_appears_where_it_is_for(
    make: Any, person: Callable[..., Any], at: Callable[..., Page]
) -> None:
    from guestpost_crm.outreach.models import Site

    page = at(person("manager", "Maria Costa"), width=360)
    page.goto("/fields/new")
    page.get_by_label("For", exact=True).select_option("site")
    page.get_by_label("Label").fill("Client tier")
    page.get_by_label("Kind").select_option("choice")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("main")).to_contain_text("Write between 2 and 50 choices")
    page.get_by_label("Choices").fill("A\nB")
    page.get_by_role("button", name="Save").click()
    page.goto("/sites/new")
    page.get_by_label("Domain").fill("site.example")
    page.get_by_label("Client tier").select_option("B")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("main")).to_contain_text("Client tier")
    assert list(Site.objects.get().custom.values()) == ["B"]


def test_two_contacts_are_compared_and_merged(make: Any, tom: Any, at: Callable[..., Page]) -> None:
    from guestpost_crm.outreach.models import Contact

    make.contact("bob.stone@gmail.com", name="Bob")
    make.contact("bobstone+work@gmail.com", name="Robert")
    page = at(tom)
    page.goto("/duplicates")
    page.locator("[aria-labelledby=duplicate-contacts]").get_by_role("link", name=re.compile("Merge")).click()
    page.get_by_role("link", name="The other way round").click()
    page.get_by_role("button", name="Merge them").click()
    expect(page.locator(".notices")).to_contain_text("They are one now.")
    assert [(each.name, each.addresses.count()) for each in Contact.objects.all()] == [("Robert", 2)]
