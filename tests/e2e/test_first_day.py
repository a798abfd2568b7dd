"""From `kubectl apply` to mail in the inbox and a reply at Gmail, with real pods and a real browser."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import browsing
import pytest
from google_standin.testing import Control
from guestpost_demo import journey
from guestpost_demo.person import Person
from guestpost_demo.platform import Platform
from guestpost_demo.waiting import until
from playwright.sync_api import Browser, Page, expect


def mail(subject: str, to: str, body: str = "Our price is 120 USD.", kind: str = "plain") -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Bob <bob@site.example>", to, subject
    message["Message-ID"] = f"<{uuid.uuid4().hex}@site.example>"
    message.set_content(body, subtype=kind)
    return message.as_bytes()


@pytest.fixture(scope="module")
def person(tenant: Any, control: Control) -> Person:
    """The owner, signed in, with a connected mailbox."""
    owner = Person(tenant.url, tenant.owner)
    journey.sign_in(owner)
    journey.connect_mailbox(owner)
    return owner


@pytest.mark.promise("P2.1")
@pytest.mark.promise("P4.1")
def test_mail_arrives_by_push(person: Person, tenant: Any, control: Control) -> None:
    # The watch stands once the first look at the mailbox is over.
    until("the watch", lambda: tenant.owner in control.usage()["watches"], seconds=30)
    before = control.usage()["notifications"]["published"]
    subject = f"Guest post {uuid.uuid4().hex[:8]}"
    started = time.monotonic()
    control.deliver(tenant.owner, mail(subject, tenant.owner))
    until(
        "the mail",
        lambda: any(subject in line for line in journey.subjects(person)),
        seconds=15,
        interval=0.05,
    )
    print(f"visible after {time.monotonic() - started:.2f} s")
    assert control.usage()["notifications"]["published"] > before


@pytest.mark.promise("P4.2")
def test_a_reply_leaves_through_the_customers_gmail(person: Person, tenant: Any, control: Control) -> None:
    subject = f"Rates {uuid.uuid4().hex[:8]}"
    arrived = control.deliver(tenant.owner, mail(subject, tenant.owner))
    until("the mail", lambda: any(subject in line for line in journey.subjects(person)), seconds=15)
    journey.reply(person, journey.open_thread(person, subject), "We take it.")

    def sent() -> list[dict[str, Any]]:
        return [item for item in control.messages(tenant.owner) if item["subject"] == f"Re: {subject}"]

    [answer] = until("the reply", sent, seconds=30)
    assert answer["labelIds"] == ["SENT"]
    assert answer["threadId"] == arrived["threadId"]
    until(
        "the reply in the thread",
        lambda: "We take it." in journey.open_thread(person, subject).text,
        seconds=15,
    )
    assert "message.send-instructed" in person.get("/audit").text


@pytest.mark.promise("P5.2")
def test_a_stranger_is_refused(tenant: Any, control: Control, person: Person) -> None:
    control.account("stranger@elsewhere.example", "Sam Stranger")
    stranger = Person(tenant.url, "stranger@elsewhere.example")
    with pytest.raises(journey.JourneyError, match="403"):
        journey.sign_in(stranger)
    assert "/sign-in" in str(stranger.get("/").url)


@pytest.fixture(scope="module")
def browser(platform: Platform, chromium_there: None) -> Iterator[Browser]:
    with browsing.chromium("*.localhost", platform.port) as launched:
        yield launched


@pytest.fixture
def page(browser: Browser, tenant: Any, person: Person) -> Iterator[Page]:
    """The inbox in Chromium, the owner signed in by clicking."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.goto(tenant.url)
    opened.get_by_role("button", name="Sign in with Google").click()
    opened.get_by_text(tenant.owner).click()
    expect(opened.get_by_role("navigation", name="Main")).to_be_visible()
    yield opened
    context.close()


@pytest.mark.promise("P10.1")
@pytest.mark.promise("P11.1")
def test_hostile_mail_runs_nothing_and_loads_nothing(page: Page, tenant: Any, control: Control) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    subject = f"Hostile {uuid.uuid4().hex[:8]}"
    markup = (
        '<h1 onclick="x()">Offer</h1><script>parent.document.title="pwned"</script>'
        '<img src="http://127.0.0.1:9/pixel.gif" onerror="parent.document.title=1">'
        '<a href="javascript:alert(1)">click</a><form action="http://127.0.0.1:9/"><input name="q"></form>'
        '<iframe src="http://127.0.0.1:9/"></iframe><style>@import "http://127.0.0.1:9/a.css"</style>'
        '<meta http-equiv="refresh" content="0;url=http://127.0.0.1:9/"><base href="http://127.0.0.1:9/">'
    )
    control.deliver(tenant.owner, mail(subject, tenant.owner, markup, "html"))
    page.goto(tenant.url)
    link = page.get_by_role("link").filter(has_text=subject)
    expect(link).to_be_visible(timeout=15_000)
    link.click()
    frame = page.frame_locator("iframe.mail")
    expect(frame.get_by_role("heading", name="Offer")).to_be_visible()
    expect(frame.get_by_text("Pictures from elsewhere were left out")).to_be_visible()
    assert subject in page.title()
    assert frame.locator("script, form, iframe, img[src], meta[http-equiv], base, [onclick]").count() == 0
    assert not [url for url in asked if ".localhost:" not in url]
    cookies = {cookie["name"]: cookie for cookie in page.context.cookies(tenant.url)}
    assert set(cookies) == {"session", "csrf"}
    assert all(cookie["httpOnly"] and cookie["sameSite"] == "Lax" for cookie in cookies.values())


def test_the_inbox_shows_new_mail_by_itself(page: Page, tenant: Any, control: Control) -> None:
    page.goto(tenant.url)
    subject = f"By itself {uuid.uuid4().hex[:8]}"
    control.deliver(tenant.owner, mail(subject, tenant.owner))
    expect(page.get_by_text(subject)).to_be_visible(timeout=20_000)


@pytest.mark.promise("P9.3")
def test_revoking_at_google_is_noticed_and_told(
    person: Person, tenant: Any, control: Control, platform: Platform
) -> None:
    control.revoke(tenant.owner)
    control.deliver(tenant.owner, mail("After revocation", tenant.owner))
    # A running access token ends at once at Google; the next call meets the refusal.
    until("the page to tell", lambda: "Needs consent" in person.get("/mailboxes").text, seconds=60)
    assert "Connect the mailbox again" in person.get("/mailboxes").text
    [notice] = until("the notice by mail", lambda: told_by_mail(control, tenant), seconds=30)
    assert f"{tenant.url}/mailboxes" in notice["text"]
    assert tenant.owner not in notice["text"]
    journey.connect_mailbox(person)
    until(
        "the mail that came meanwhile",
        lambda: any("After revocation" in line for line in journey.subjects(person)),
        seconds=30,
    )


def told_by_mail(control: Control, tenant: Any) -> list[dict[str, Any]]:
    """What the CRM wrote to its owner of a mailbox that stopped."""
    subject = f"{tenant.name}: a mailbox has stopped"
    return [each for each in control.relayed(tenant.owner) if each["subject"] == subject]
