"""What a person does with mail, by mouse and by keyboard, in a real Chromium."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect


@pytest.fixture
def tom(person: Callable[..., Any]) -> Any:
    """Somebody who works here."""
    return person("member", "Tom Hughes")


def test_a_new_message_is_written_with_a_template_and_taken_back(
    make: Any, tom: Any, at: Callable[..., Page]
) -> None:
    from guestpost_crm.gmail.models import OutboxMessage
    from guestpost_crm.writing.models import MessageTemplate

    make.thread(tom, ("Bob Stone <bob@site.example>", "Hello."))
    make.contact("bob@site.example")
    MessageTemplate.objects.create(name="First", subject="About {{site}}", body="Dear {{first_name}},")
    page = at(tom, width=360)
    page.goto("/")
    page.get_by_role("link", name="Write").click()
    page.get_by_label("To", exact=True).fill("bob@site.example")
    page.locator("summary", has_text="Template, later, reminder").click()
    page.get_by_label("Template", exact=True).select_option("First")
    expect(page.get_by_label("Message", exact=True)).to_have_value(re.compile("Dear Bob,"))
    # A blank that nobody could fill is never sent.
    page.get_by_role("button", name="Send").click()
    expect(page.locator("main")).to_contain_text("{{site}}")
    page.get_by_label("Subject").fill("About your site")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".notices")).to_contain_text("For a moment it can be taken back.")
    assert OutboxMessage.objects.get().recipients == "bob@site.example"
    page.get_by_role("button", name="Take it back").click()
    # It is there again, to be changed and sent.
    expect(page.get_by_label("Message", exact=True)).to_have_value(re.compile("Dear Bob,"))
    expect(page.get_by_label("Subject")).to_have_value("About your site")
    assert OutboxMessage.objects.get().state == "cancelled"


def test_a_reply_with_a_file_goes_out_and_a_wrong_one_keeps_its_words(
    make: Any, tom: Any, at: Callable[..., Page], tmp_path: Path
) -> None:
    from guestpost_crm.gmail.models import OutboxMessage

    thread = make.thread(tom, ("Bob Stone <bob@site.example>", "120 USD, all right?"))
    file = tmp_path / "terms.txt"
    file.write_text("Our terms.", encoding="utf-8")
    page = at(tom)
    page.goto(f"/threads/{thread.pk}")
    page.keyboard.press("r")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.type("Yes, we take it.")
    page.get_by_label("To", exact=True).fill("no address")
    page.get_by_role("button", name="Send").click()
    alert = page.locator("#reply-form [role=alert]")
    expect(alert).to_contain_text("It was not sent.")
    expect(page.get_by_label("Message", exact=True)).to_have_value(re.compile("Yes, we take it."))
    assert not OutboxMessage.objects.exists()
    page.get_by_label("To", exact=True).fill("bob@site.example")
    page.get_by_label("Attachments", exact=True).set_input_files(file)
    page.get_by_label("Message", exact=True).press("Control+Enter")
    expect(page.locator("#outbox")).to_contain_text("bob@site.example")
    assert OutboxMessage.objects.get().answers == thread.messages.get()


def test_who_is_not_to_be_contacted_is_not_written_to(make: Any, tom: Any, at: Callable[..., Page]) -> None:
    from guestpost_crm.gmail.models import OutboxMessage

    thread = make.thread(tom, ("Bob Stone <bob@site.example>", "Leave us alone."))
    contact = make.contact("bob@site.example")
    page = at(tom)
    page.goto(f"/contacts/{contact.pk}")
    page.get_by_role("button", name="Do not contact").click()
    page.goto(f"/threads/{thread.pk}")
    expect(page.get_by_role("alert").first).to_contain_text("a reply is refused")
    page.get_by_label("Message", exact=True).fill("Just once more.")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#reply-form")).to_contain_text("Nothing was sent.")
    expect(page.get_by_label("Message", exact=True)).to_have_value(re.compile("Just once more."))
    assert not OutboxMessage.objects.exists()


def test_mail_is_searched_read_and_done_by_keyboard(make: Any, tom: Any, at: Callable[..., Page]) -> None:
    from guestpost_crm.inbox.services import make_searchable

    make.thread(tom, ("Bob Stone <bob@site.example>", "Our rate is a hundred."))
    thread = make.thread(tom, ("Eva Berg <eva@other.example>", "We publish on Fridays."))
    make_searchable()
    page = at(tom)
    page.goto("/")
    page.keyboard.press("/")
    page.keyboard.type("from:eva fridays")
    page.keyboard.press("Enter")
    expect(page.locator(".threads li")).to_have_count(1)
    # Keys work once a page has loaded, which is later than its text.
    page.wait_for_load_state()
    page.keyboard.press("j")
    page.keyboard.press("o")
    expect(page.locator("main")).to_contain_text("We publish on Fridays.")
    page.wait_for_load_state()
    page.keyboard.press("e")
    expect(page.locator(".notices")).to_contain_text("Done.")
    page.wait_for_load_state()
    thread.refresh_from_db()
    assert thread.done
    page.keyboard.press("g")
    page.keyboard.press("n")
    expect(page.locator(".threads")).to_contain_text("Bob Stone")
    expect(page.locator(".threads")).not_to_contain_text("Eva Berg")


def test_a_reminder_is_set_and_removed(make: Any, tom: Any, at: Callable[..., Page]) -> None:
    thread = make.thread(tom, ("Bob Stone <bob@site.example>", "I will answer soon."))
    page = at(tom, width=360)
    page.goto(f"/threads/{thread.pk}")
    page.locator("#days").select_option("5")
    page.get_by_role("button", name="Remind me").click()
    expect(page.locator(".thread-bar")).to_contain_text("set by Tom Hughes; an answer ends it")
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("button", name="Remind me")).to_be_visible()


def test_a_template_is_made_and_a_strange_blank_told(tom: Any, at: Callable[..., Page]) -> None:
    page = at(tom, width=360)
    page.goto("/templates")
    expect(page.locator("main")).to_contain_text("No template yet")
    page.get_by_role("link", name="New template").click()
    page.get_by_label("Name", exact=True).fill("Asking")
    page.get_by_label("Subject").fill("Guest post?")
    page.locator("textarea").fill("Dear {{first_nam}},")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("main")).to_contain_text("{{first_nam}}")
    page.locator("textarea").fill("Dear {{first_name}},")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".notices")).to_contain_text("The template is saved.")


def test_a_message_is_sent_later_and_then_at_once(make: Any, tom: Any, at: Callable[..., Page]) -> None:
    from guestpost_crm.gmail.models import OutboxMessage

    thread = make.thread(tom, ("Bob Stone <bob@site.example>", "When do you publish?"))
    page = at(tom, width=360, timezone_id="Asia/Tokyo")
    page.goto(f"/threads/{thread.pk}")
    page.get_by_label("Message", exact=True).fill("On Friday.")
    page.locator("summary", has_text="Template, later, reminder").click()
    page.get_by_label("Send later").fill("2020-01-01T09:00")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#reply-form")).to_contain_text("That is in the past.")
    expect(page.get_by_label("Message", exact=True)).to_have_value(re.compile("On Friday."))
    # As the browser's clock has it.
    friday = (timezone.now() + dt.timedelta(days=4)).strftime("%Y-%m-%dT")
    page.get_by_label("Send later").fill(f"{friday}09:00")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#outbox")).to_contain_text("Sent later")
    waiting = OutboxMessage.objects.get()
    assert waiting.send_at is not None
    assert f"{waiting.send_at:%Y-%m-%dT%H:%M}" == f"{friday}00:00"
    page.get_by_role("button", name="Send it now").click()
    expect(page.locator("#outbox")).to_contain_text("Queued")
    waiting.refresh_from_db()
    assert waiting.send_at <= timezone.now()


def test_a_message_that_nobody_confirmed_is_found_and_decided_about(
    make: Any, tom: Any, at: Callable[..., Page], faults: Callable[[Page], list[str]]
) -> None:
    from guestpost_crm.gmail.models import OutboxMessage

    thread = make.thread(tom, ("Bob Stone <bob@site.example>", "All right?"))
    page = at(tom, width=360)
    page.goto(f"/threads/{thread.pk}")
    page.get_by_label("Message", exact=True).fill("All right.")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#outbox")).to_contain_text("Queued")
    OutboxMessage.objects.update(
        state="unconfirmed", problem="Gmail did not confirm it, and it is not in Sent."
    )
    page.goto("/")
    page.get_by_role("link", name="Outbox 1").click()
    expect(page.locator("article.unconfirmed")).to_contain_text("It may have reached them all the same")
    assert faults(page) == []
    page.get_by_role("button", name="Let it be").click()
    expect(page.locator("#outbox")).not_to_contain_text("All right.")
    assert OutboxMessage.objects.get().state == "cancelled"


def test_a_reply_that_comes_after_the_session_is_not_lost(
    make: Any, tom: Any, at: Callable[..., Page], faults: Callable[[Page], list[str]]
) -> None:
    from django.contrib.sessions.models import Session
    from guestpost_crm.gmail.models import OutboxMessage

    thread = make.thread(tom, ("Bob Stone <bob@site.example>", "120 USD?"))
    page = at(tom, width=360)
    page.goto(f"/threads/{thread.pk}?to=all")
    page.get_by_label("Message", exact=True).fill("A reply of many words.")
    Session.objects.all().delete()
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("h1")).to_contain_text("You are not signed in any more")
    expect(page.get_by_label("Message", exact=True)).to_have_value(re.compile("A reply of many words."))
    assert faults(page) == []
    assert not OutboxMessage.objects.exists()
    page.get_by_role("link", name="Go on").click()
    expect(page.get_by_role("button", name="Sign in with Google")).to_be_visible()
    assert page.locator("input[name=next]").input_value() == f"/threads/{thread.pk}?to=all"


def test_files_that_are_too_large_are_told_before_they_are_sent(
    make: Any, tom: Any, at: Callable[..., Page], tmp_path: Path
) -> None:
    from guestpost_crm.gmail.models import OutboxMessage

    thread = make.thread(tom, ("Bob Stone <bob@site.example>", "Send us your pictures."))
    file = tmp_path / "pictures.zip"
    with file.open("wb") as pictures:
        pictures.truncate(26 << 20)
    page = at(tom)
    page.goto(f"/threads/{thread.pk}")
    page.get_by_label("Message", exact=True).fill("Here they are.")
    files = page.get_by_label("Attachments", exact=True)
    files.set_input_files(file)
    assert "larger than 25 MiB" in files.evaluate("field => field.validationMessage")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_label("Message", exact=True)).to_have_value(re.compile("Here they are."))
    assert not OutboxMessage.objects.exists()
    files.set_input_files([])
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#outbox")).to_contain_text("bob@site.example")
