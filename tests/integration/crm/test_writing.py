"""Writing: each kind of message as people write it, until it lies in Sent at Gmail."""

from __future__ import annotations

import datetime as dt
import email.policy
import re
import uuid
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from html import unescape
from typing import Any

import pytest
from google_standin.testing import GoogleStandin


@pytest.fixture
def page(owner: Any) -> Any:
    from django.test import Client

    client = Client(headers={"host": "acme.localhost"})
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def asked(google: GoogleStandin, mailbox: Any, address: str, level: Callable[..., Any]) -> Any:
    """A message to several people, with a file."""
    from guestpost_crm.inbox.models import Message

    message = EmailMessage()
    message["From"], message["Subject"] = "Bob Smith <bob@site.example>", "Rates"
    message["To"], message["Cc"] = f"{address}, eve@site.example", "carol@blog.example"
    message["Message-ID"] = "<rates@site.example>"
    message.set_content("Our price is 120 USD.\n")
    message.add_attachment(
        bytes(range(256)) * 300, maintype="application", subtype="pdf", filename="Prêt.pdf"
    )
    google.control.deliver(address, message.as_bytes())
    level(mailbox)
    return Message.objects.get()


@pytest.fixture
def work(mailbox: Any, level: Callable[..., Any]) -> Callable[[], None]:
    """What sync does: send what is due, bring back what was sent."""
    from guestpost_crm.gmail import sending
    from guestpost_crm.gmail.api import Gmail
    from guestpost_crm.gmail.quota import Bucket

    def act() -> None:
        gmail = Gmail(mailbox, Bucket(6_000_000))
        while (message := sending.next_message(mailbox)) is not None:
            sending.work(message, gmail)
        level(mailbox)

    return act


def fields(page: Any, path: str) -> dict[str, Any]:
    """What a form would send as it stands."""
    from lxml import html

    [form] = [
        each
        for each in html.fromstring(page.get(path).content.decode()).forms
        if each.get("id") == "reply-form"
    ]
    found: dict[str, Any] = {}
    for name, value in form.form_values():
        found.setdefault(name, []).append(value)
    return found


def sent(google: GoogleStandin, address: str) -> list[EmailMessage]:
    items = [item for item in google.control.messages(address) if "SENT" in item["labelIds"]]
    raws = [google.control.raw(address, item["id"]) for item in items]
    return [message_from_bytes(raw, policy=email.policy.default) for raw in raws]  # type: ignore[misc]


@pytest.mark.promise("P4.2")
def test_a_reply_to_all_quotes_and_goes_to_everybody_but_us(
    page: Any, google: GoogleStandin, address: str, asked: Any, work: Callable[[], None]
) -> None:
    typed = fields(page, f"/messages/{asked.pk}/reply-all")
    answer = page.post(f"/messages/{asked.pk}/reply-all", {**typed, "body": "We take it."})
    assert (answer.status_code, answer.url) == (302, f"/threads/{asked.thread_id}#outbox")
    work()
    [message] = sent(google, address)
    assert message["To"] == "bob@site.example"
    assert message["Cc"] == "eve@site.example, carol@blog.example"
    assert message["In-Reply-To"] == "<rates@site.example>"
    text = message.get_content().replace("\r\n", "\n")
    assert text.startswith("We take it.")
    assert "Bob Smith wrote:\n> Our price is 120 USD." in text


def test_a_forward_takes_the_text_and_the_files_along(
    page: Any, google: GoogleStandin, address: str, asked: Any, work: Callable[[], None]
) -> None:
    path = f"/messages/{asked.pk}/forward"
    typed = fields(page, path)
    assert typed["subject"] == ["Fwd: Rates"]
    assert page.post(path, {**typed, "to": "dan@else.example"}).status_code == 302
    work()
    [message] = sent(google, address)
    [file] = message.iter_attachments()
    assert (file.get_filename(), file.get_content()) == ("Prêt.pdf", bytes(range(256)) * 300)
    body = message.get_body()
    assert body is not None
    assert "From: Bob Smith <bob@site.example>" in body.get_content()
    assert "Our price is 120 USD." in body.get_content()


@pytest.mark.promise("P4.2")
def test_a_new_message_begins_a_conversation_and_reminds_of_it(
    page: Any, google: GoogleStandin, address: str, asked: Any, work: Callable[[], None], owner: Any
) -> None:
    from guestpost_crm.audit.models import AuditEvent
    from guestpost_crm.gmail.models import OutboxMessage
    from guestpost_crm.inbox.models import Thread

    typed = fields(page, "/write?to=dan@else.example")
    new = {
        "subject": "A post for you",
        "body": "Hello Dan",
        "bcc": "boss@acme.example",
        "follow_up_days": "5",
    }
    assert page.post("/write", {**typed, **new}).url == "/outbox"
    work()
    [message] = sent(google, address)
    assert (message["To"], message["Bcc"]) == ("dan@else.example", "boss@acme.example")
    instructed = OutboxMessage.objects.get()
    assert instructed.thread is not None
    assert instructed.thread != asked.thread
    thread = Thread.objects.get(pk=instructed.thread_id)
    assert thread.follow_up_at == instructed.sent_at + dt.timedelta(days=5)  # type: ignore[operator]
    assert thread.follow_up_by == owner
    events = AuditEvent.objects.filter(subject=f"outbox:{instructed.pk}").order_by("pk")
    assert [(event.action, event.person) for event in events] == [
        ("message.send-instructed", owner),
        ("message.sent", owner),
    ]


def test_what_is_sent_later_waits_in_the_persons_own_time(
    page: Any, google: GoogleStandin, address: str, asked: Any, work: Callable[[], None]
) -> None:
    from django.utils import timezone
    from guestpost_crm.gmail.models import OutboxMessage

    typed = fields(page, f"/threads/{asked.thread_id}")
    path = f"/threads/{asked.thread_id}/reply"
    when = timezone.now().replace(microsecond=0, second=0, tzinfo=None) + dt.timedelta(days=2)
    later = {"body": "Later.", "send_at": when.isoformat(), "zone": "Asia/Tokyo"}
    past = page.post(path, {**typed, **later, "send_at": "2020-01-01T00:00"})
    assert past.status_code == 422
    assert "That is in the past." in past.content.decode()
    assert page.post(path, {**typed, **later}).status_code == 302
    message = OutboxMessage.objects.get()
    assert message.send_at == when.replace(tzinfo=dt.UTC) - dt.timedelta(hours=9)
    work()
    assert not sent(google, address)
    back = page.post(f"/outbox/{message.pk}/take-back")
    again = fields(page, back.url)
    assert again["send_at"] == [f"{when - dt.timedelta(hours=9):%Y-%m-%dT%H:%M}"]
    assert again["zone"] == ["UTC"]
    page.post(f"/messages/{asked.pk}/reply", again)
    assert OutboxMessage.objects.get(state="queued").send_at == message.send_at
    message = OutboxMessage.objects.get(state="queued")
    page.post(f"/outbox/{message.pk}/send-now")
    message.refresh_from_db()
    assert message.send_at <= timezone.now()
    work()
    assert len(sent(google, address)) == 1


@pytest.mark.promise("P4.2")
def test_what_is_taken_back_is_not_sent_and_can_be_changed(
    page: Any, google: GoogleStandin, address: str, asked: Any, work: Callable[[], None]
) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile
    from guestpost_crm.gmail.models import OutboxMessage

    typed = fields(page, f"/messages/{asked.pk}/reply")
    file = SimpleUploadedFile("draft.txt", b"the draft" * 1000, "text/plain")
    page.post(f"/messages/{asked.pk}/reply", {**typed, "body": "Wrong.", "attachments": [file], "quote": ""})
    message = OutboxMessage.objects.get()
    back = page.post(f"/outbox/{message.pk}/take-back")
    assert back.url == f"/messages/{asked.pk}/reply?again={message.pk}"
    work()
    assert not sent(google, address)
    again = fields(page, back.url)
    assert again["body"][0].strip() == "Wrong."
    assert again["to"] == ["bob@site.example"]
    page.post(f"/messages/{asked.pk}/reply", {**again, "body": "Right."})
    work()
    [only] = sent(google, address)
    [kept] = only.iter_attachments()
    assert kept.get_content() == "the draft" * 1000
    assert page.post(f"/outbox/{message.pk}/take-back").status_code == 302
    late = OutboxMessage.objects.exclude(pk=message.pk).get()
    page.post(f"/outbox/{late.pk}/take-back")
    late.refresh_from_db()
    assert late.state == "sent"


@pytest.mark.promise("P4.2")
def test_do_not_contact_holds_at_the_moment_of_sending(
    page: Any, google: GoogleStandin, address: str, asked: Any, work: Callable[[], None]
) -> None:
    """Marked after the instruction and before the send: it does not go out, and says why."""
    from guestpost_crm.gmail.models import OutboxMessage
    from guestpost_crm.outreach.domains import canonical
    from guestpost_crm.outreach.models import Contact, ContactAddress

    typed = fields(page, f"/threads/{asked.thread_id}")
    page.post(f"/threads/{asked.thread_id}/reply", {**typed, "body": "Hello"})
    contact = Contact.objects.create(name="Bob", do_not_contact=True)
    ContactAddress.objects.create(
        contact=contact, address="bob@site.example", canonical=canonical("bob@site.example")
    )
    work()
    assert not sent(google, address)
    message = OutboxMessage.objects.get()
    assert message.state == "failed"
    assert message.told.startswith("Bob (bob@site.example) is marked “do not contact”.")
    german = unescape(page.get("/outbox", headers={"accept-language": "de"}).content.decode())
    assert "Bob (bob@site.example) ist als „nicht kontaktieren“ markiert." in german
    assert "do not contact" in unescape(page.get("/outbox").content.decode())
    refused = page.post(
        f"/threads/{asked.thread_id}/reply", {**typed, "form_key": str(uuid.uuid4()), "body": "Kept text"}
    )
    assert refused.status_code == 422
    assert "Kept text" in refused.content.decode()


def test_who_may_no_longer_send_sends_nothing_that_waited(
    page: Any, google: GoogleStandin, address: str, asked: Any, work: Callable[[], None], owner: Any
) -> None:
    from guestpost_crm.gmail.models import OutboxMessage

    typed = fields(page, f"/threads/{asked.thread_id}")
    page.post(f"/threads/{asked.thread_id}/reply", {**typed, "body": "Hello"})
    owner.role = "reader"
    owner.save()
    work()
    assert not sent(google, address)
    assert OutboxMessage.objects.get().problem == "Who asked for it may no longer send mail."


def test_a_template_is_filled_for_the_conversation_and_never_sent_with_blanks(
    page: Any, google: GoogleStandin, address: str, asked: Any, work: Callable[[], None]
) -> None:
    from guestpost_crm.writing.models import MessageTemplate

    for blank in ("{{nobody}}", "{{first-name}}", "{{ Vorname 2 }}", "{{prénom}}", "{{}}"):
        strange = page.post("/templates/new", {"name": "x", "body": f"Dear {blank}"})
        assert strange.status_code == 422, blank
        named = "{{" + blank.strip("{} ") + "}}"
        assert f"Nothing is known for {named}." in unescape(strange.content.decode())
    made = {
        "name": "Offer",
        "subject": "For {{site}}",
        "body": "Hi {{first_name}}, about {{anchor}}. {{ my_name }}",
    }
    assert page.post("/templates/new", made).status_code == 302
    template = MessageTemplate.objects.get()
    filled = page.get(f"/templates/{template.pk}/text?answers={asked.pk}&to=bob@site.example").json()
    assert filled == {"subject": "For {{site}}", "body": "Hi Bob, about {{anchor}}. Anna Reyes"}
    path = f"/messages/{asked.pk}/reply"
    typed = fields(page, path)
    inserted = page.post(path, {**typed, "body": "PS.", "template": template.pk, "insert": "yes"})
    assert "Hi Bob, about {{anchor}}. Anna Reyes\n\nPS." in unescape(inserted.content.decode())
    refused = page.post(path, {**typed, "body": filled["body"]})
    assert refused.status_code == 422
    assert "Fill in what is still blank: {{anchor}}." in unescape(refused.content.decode())
    pasted = page.post(path, {**typed, "body": "Dear {{first-name}},"})
    assert "Fill in what is still blank: {{first-name}}." in unescape(pasted.content.decode())
    work()
    assert not sent(google, address)


def test_what_others_wrote_in_braces_is_quoted_and_passed_on(
    page: Any, google: GoogleStandin, address: str, asked: Any, work: Callable[[], None]
) -> None:
    path = f"/messages/{asked.pk}/forward"
    typed = fields(page, path)
    theirs = f"Look:\n> Dear {{{{name}}}}\n{typed['body'][0]}\nDear {{{{FIRST_NAME}}}},"
    assert page.post(path, {**typed, "to": "dan@else.example", "body": theirs}).status_code == 302
    work()
    assert len(sent(google, address)) == 1


def test_too_many_recipients_are_refused(page: Any, asked: Any) -> None:
    from guestpost_crm.gmail.models import OutboxMessage

    typed = fields(page, "/write")
    many = ", ".join(f"p{number}@x.example" for number in range(40))
    others = ", ".join(f"q{number}@x.example" for number in range(40))
    answer = page.post("/write", {**typed, "to": many, "cc": others, "subject": "s", "body": "b"})
    assert answer.status_code == 422
    assert "At most 50 recipients together." in answer.content.decode()
    assert not OutboxMessage.objects.exists()


@pytest.mark.promise("P4.2")
def test_a_call_that_takes_effect_late_is_no_second_message(
    page: Any, google: GoogleStandin, mailbox: Any, address: str, asked: Any
) -> None:
    """Gmail is asked only once the call has had its time, counted from when it was given up."""
    from guestpost_crm.gmail import sending
    from guestpost_crm.gmail.api import Gmail
    from guestpost_crm.gmail.errors import GmailError
    from guestpost_crm.gmail.models import OutboxMessage
    from guestpost_crm.gmail.quota import Bucket

    typed = fields(page, f"/threads/{asked.thread_id}")
    page.post(f"/threads/{asked.thread_id}/reply", {**typed, "body": "Once"})
    gmail = Gmail(mailbox, Bucket(6_000_000))
    message = sending.next_message(mailbox)
    assert message is not None
    google.control.fault("messages.send", account=address, drop="after")
    begun = message.created_at
    with pytest.raises(GmailError):
        sending.work(message, gmail)
    # The call began long ago by the clock; what counts is when it ended.
    OutboxMessage.objects.update(attempted_at=begun - dt.timedelta(minutes=5))
    google.control.fault("messages.list", account=address, status=503)
    with pytest.raises(GmailError):
        sending.work(OutboxMessage.objects.get(), gmail)
    OutboxMessage.objects.update(not_before=None)
    sending.work(OutboxMessage.objects.get(), gmail)
    assert OutboxMessage.objects.get().state == "sent"
    assert len(sent(google, address)) == 1


def test_what_was_believed_lost_is_recognised_when_it_comes_back(
    page: Any, google: GoogleStandin, mailbox: Any, address: str, asked: Any, level: Callable[..., Any]
) -> None:
    """A message that is unconfirmed here and lies in Sent after all is a message that was sent."""
    from guestpost_crm.gmail import sending
    from guestpost_crm.gmail.api import Gmail
    from guestpost_crm.gmail.errors import GmailError
    from guestpost_crm.gmail.models import OutboxMessage
    from guestpost_crm.gmail.quota import Bucket

    typed = fields(page, f"/threads/{asked.thread_id}")
    page.post(f"/threads/{asked.thread_id}/reply", {**typed, "body": "Lost?"})
    google.control.fault("messages.send", account=address, drop="after")
    message = sending.next_message(mailbox)
    assert message is not None
    with pytest.raises(GmailError):
        sending.work(message, Gmail(mailbox, Bucket(6_000_000)))
    OutboxMessage.objects.update(state="unconfirmed")
    level(mailbox)
    assert OutboxMessage.objects.get().state == "sent"
    assert re.search("Sent", page.get("/outbox").content.decode())
