"""Every message is sent because a person said so, once, whatever happens on the way."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from google_standin.testing import GoogleStandin


@pytest.fixture
def conversation(
    google: GoogleStandin, mailbox: Any, address: str, mail: Callable[..., bytes], level: Callable[..., Any]
) -> Any:
    """A message to answer."""
    from guestpost_crm.inbox.models import Message

    google.control.deliver(address, mail("Rates for site.example"))
    level(mailbox)
    return Message.objects.get()


@pytest.fixture
def queue(conversation: Any, owner: Any) -> Callable[..., Any]:
    from guestpost_crm.gmail import compose, outbox

    def act(**more: Any) -> Any:
        draft = compose.Draft(
            ["bob@site.example"],
            compose.reply_subject(conversation.subject),
            "We take it.",
            answers=conversation,
        )
        arguments = {"form_key": uuid.uuid4(), "mailbox": conversation.mailbox, "author": owner}
        return outbox.queue(draft, **{**arguments, **more})

    return act


@pytest.fixture
def work_off(mailbox: Any) -> Callable[[], None]:
    """Do what the worker does with the outbox, until nothing is left or the steps run out."""
    from django.utils import timezone
    from guestpost_crm.gmail import sending
    from guestpost_crm.gmail.api import Gmail
    from guestpost_crm.gmail.errors import GmailError
    from guestpost_crm.gmail.models import OutboxMessage
    from guestpost_crm.gmail.quota import Bucket

    def act() -> None:
        gmail = Gmail(mailbox, Bucket(6_000_000))
        for _ in range(12):
            # Time passes: what waits for a moment, waits no longer.
            OutboxMessage.objects.exclude(not_before=None).update(not_before=None)
            OutboxMessage.objects.exclude(doubtful_at=None).update(
                doubtful_at=timezone.now() - timezone.timedelta(seconds=30)
            )
            message = sending.next_message(mailbox)
            if message is None:
                return
            try:
                sending.work(message, gmail)
            except GmailError:
                continue

    return act


def sent(google: GoogleStandin, address: str) -> list[dict[str, Any]]:
    return [item for item in google.control.messages(address) if "SENT" in item["labelIds"]]


@pytest.mark.promise("P4.2")
def test_a_reply_goes_out_once_and_stays_in_its_thread(
    google: GoogleStandin,
    address: str,
    conversation: Any,
    queue: Callable[..., Any],
    work_off: Callable[[], None],
) -> None:
    from guestpost_crm.audit.models import AuditEvent

    message = queue()
    work_off()
    [only] = sent(google, address)
    assert only["threadId"] == conversation.thread.gmail_id
    raw = google.control.raw(address, only["id"]).decode()
    assert f"In-Reply-To: {conversation.message_id}" in raw
    assert "Subject: Re: Rates for site.example" in raw
    message.refresh_from_db()
    assert (message.state, message.gmail_id) == ("sent", only["id"])
    actions = set(AuditEvent.objects.filter(subject=f"outbox:{message.pk}").values_list("action", flat=True))
    assert actions == {"message.send-instructed", "message.sent"}


@pytest.mark.promise("P4.2")
def test_a_doubled_click_is_one_message(
    google: GoogleStandin, address: str, queue: Callable[..., Any], work_off: Callable[[], None]
) -> None:
    key = uuid.uuid4()
    assert queue(form_key=key).pk == queue(form_key=key).pk
    work_off()
    assert len(sent(google, address)) == 1


@pytest.mark.promise("P4.2")
@pytest.mark.parametrize(
    "fault",
    [{"drop": "after"}, {"drop": "before"}, {"status": 503}, {"status": 500},
     {"status": 429, "reason": "rateLimitExceeded"}, {"status": 503, "drop": "after"}],
    ids=["dropped after", "dropped before", "503", "500", "429", "503 after"],
)  # fmt: skip
@pytest.mark.parametrize("keep", [True, False], ids=["own Message-ID", "Gmail's Message-ID"])
def test_an_ambiguous_failure_is_one_message(
    google: GoogleStandin,
    address: str,
    queue: Callable[..., Any],
    work_off: Callable[[], None],
    fault: dict[str, Any],
    *,
    keep: bool,
) -> None:
    google.control.settings(keepMessageIds=keep)
    message = queue()
    google.control.fault("messages.send", account=address, **fault)
    work_off()
    assert len(sent(google, address)) == 1
    message.refresh_from_db()
    assert message.state == "sent"


def test_looking_in_sent_may_fail_too(
    google: GoogleStandin, address: str, queue: Callable[..., Any], work_off: Callable[[], None]
) -> None:
    message = queue()
    google.control.fault("messages.send", account=address, drop="after")
    google.control.fault("messages.list", account=address, status=503, count=3)
    work_off()
    assert len(sent(google, address)) == 1
    message.refresh_from_db()
    assert message.state == "sent"


@pytest.mark.promise("P4.2")
def test_killed_while_sending_it_looks_before_it_sends(
    google: GoogleStandin,
    address: str,
    queue: Callable[..., Any],
    work_off: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from guestpost_crm.gmail import sending

    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    message = queue()
    with monkeypatch.context() as patch:
        patch.setattr(sending, "_sent", die)
        with pytest.raises(Killed):
            work_off()
    message.refresh_from_db()
    assert message.state == "sending"
    work_off()
    assert len(sent(google, address)) == 1


def test_what_can_not_be_established_is_for_a_person(
    google: GoogleStandin, address: str, queue: Callable[..., Any], owner: Any, work_off: Callable[[], None]
) -> None:
    from guestpost_crm.gmail import outbox

    message = queue()
    google.control.fault("messages.send", account=address, status=503, count=None)
    work_off()
    message.refresh_from_db()
    assert message.state == "unconfirmed"
    google.control.no_faults()
    work_off()
    assert not sent(google, address), "it is never sent again by itself"
    outbox.decide(message, owner, send_again=True)
    work_off()
    assert len(sent(google, address)) == 1


@pytest.mark.promise("P4.2")
def test_what_is_sent_again_is_looked_for_in_sent_before(
    google: GoogleStandin, address: str, queue: Callable[..., Any], owner: Any, work_off: Callable[[], None]
) -> None:
    """A person believed it lost, and it lay there all the same: it is one message."""
    from guestpost_crm.gmail import outbox
    from guestpost_crm.gmail.models import OutboxMessage

    message = queue()
    google.control.fault("messages.send", account=address, drop="after")
    work_off_once(message)
    OutboxMessage.objects.update(state="unconfirmed")
    outbox.decide(message, owner, send_again=True)
    work_off()
    message.refresh_from_db()
    assert message.state == "sent"
    assert len(sent(google, address)) == 1


@pytest.mark.promise("P4.2")
def test_it_is_looked_for_in_all_that_was_sent_since(
    google: GoogleStandin,
    address: str,
    queue: Callable[..., Any],
    mail: Callable[..., bytes],
    work_off: Callable[[], None],
) -> None:
    """The look comes late, and people have sent more from Gmail than one page of a list holds."""
    message = queue()
    google.control.fault("messages.send", account=address, drop="after")
    work_off_once(message)
    for number in range(6):
        google.control.deliver(address, mail(f"From Gmail {number}", sender=address), labelIds=["SENT"])
    google.control.settings(mostOnPage=2)
    work_off()
    message.refresh_from_db()
    assert message.state == "sent"
    raws = [google.control.raw(address, item["id"]).decode() for item in sent(google, address)]
    assert sum(str(message.pk) in raw for raw in raws) == 1


def work_off_once(message: Any) -> None:
    """One call for a message, which may fail."""
    from guestpost_crm.gmail import sending
    from guestpost_crm.gmail.api import Gmail
    from guestpost_crm.gmail.errors import GmailError
    from guestpost_crm.gmail.quota import Bucket

    with suppress(GmailError):
        sending.work(message, Gmail(message.mailbox, Bucket(6_000_000)))


@pytest.mark.promise("P4.2")
@pytest.mark.promise("P9.3")
def test_what_was_on_its_way_when_the_access_ended_is_for_a_person(
    google: GoogleStandin,
    address: str,
    queue: Callable[..., Any],
    owner: Any,
    connect: Callable[[str], Any],
    level: Callable[..., Any],
) -> None:
    """Nobody can look into Sent; connected again, what lies there is recognised."""
    from guestpost_crm.audit.models import AuditEvent
    from guestpost_crm.gmail import consent, outbox

    message = queue()
    google.control.fault("messages.send", account=address, drop="after")
    work_off_once(message)
    google.control.revoke(address)
    message.mailbox.refresh_from_db()
    consent.consent_gone(message.mailbox)
    message.refresh_from_db()
    assert message.state == "unconfirmed"
    assert message.told == "The access to the mailbox ended before Gmail confirmed it."
    assert AuditEvent.objects.filter(action="message.unconfirmed", person=owner).count() == 1
    with pytest.raises(outbox.MayNotSendError, match="not connected"):
        outbox.decide(message, owner, send_again=True)
    level(connect(address))
    message.refresh_from_db()
    assert message.state == "sent"
    assert len(sent(google, address)) == 1


def test_the_pages_say_what_waits_and_what_is_to_be_decided(
    queue: Callable[..., Any], conversation: Any, page: Any
) -> None:
    from guestpost_crm.gmail.models import Mailbox, OutboxMessage

    queue()
    shown = f"It waits: {conversation.mailbox.address} is not connected."
    for address in ("/outbox", f"/threads/{conversation.thread_id}"):
        assert shown not in page.get(address).content.decode()
    Mailbox.objects.update(state="needs_consent")
    for address in ("/outbox", f"/threads/{conversation.thread_id}"):
        assert shown in page.get(address).content.decode()
    assert "failed or unconfirmed" not in page.get("/").content.decode()
    OutboxMessage.objects.update(state="unconfirmed")
    assert 'title="failed or unconfirmed">1<' in page.get("/").content.decode()


def test_no_reminder_is_set_for_what_was_answered_before_its_sending_was_known(
    google: GoogleStandin,
    address: str,
    conversation: Any,
    queue: Callable[..., Any],
    mail: Callable[..., bytes],
    level: Callable[..., Any],
) -> None:
    from guestpost_crm.gmail.models import OutboxMessage
    from guestpost_crm.inbox.models import Thread

    message = queue(follow_up_days=3)
    google.control.fault("messages.send", account=address, drop="after")
    work_off_once(message)
    answer = mail("Re: Rates for site.example", text="Thank you!")
    google.control.deliver(address, answer, threadId=conversation.thread.gmail_id)
    level(conversation.mailbox)
    assert OutboxMessage.objects.get().state == "sent"
    assert Thread.objects.get().follow_up_at is None
    # Without an answer the reminder is set, however late it was known.
    other = queue(follow_up_days=3)
    google.control.fault("messages.send", account=address, drop="after")
    work_off_once(other)
    level(conversation.mailbox)
    assert Thread.objects.get().follow_up_at is not None


def test_what_gmail_refuses_has_failed_with_its_reason(
    google: GoogleStandin, address: str, queue: Callable[..., Any], work_off: Callable[[], None]
) -> None:
    from django.utils import translation

    message = queue()
    google.control.fault("messages.send", account=address, status=400, reason="invalidArgument")
    work_off()
    message.refresh_from_db()
    assert (message.state, message.told) == ("failed", "Gmail refused it: “invalidArgument”.")
    with translation.override("de"):
        assert message.told == "Gmail hat abgelehnt: „invalidArgument“."


@pytest.mark.promise("P4.2")
def test_an_answer_goes_out_although_its_thread_is_gone_and_is_not_tried_for_ever(
    google: GoogleStandin, address: str, queue: Callable[..., Any], work_off: Callable[[], None]
) -> None:
    message = queue()
    google.control.fault("messages.send", account=address, status=404, reason="notFound")
    work_off()
    message.refresh_from_db()
    assert message.state == "sent"
    assert len(sent(google, address)) == 1
    refused = queue()
    google.control.fault("messages.send", account=address, status=404, reason="notFound", count=None)
    work_off()
    refused.refresh_from_db()
    assert (refused.state, refused.told) == ("failed", "Gmail refused it: “notFound”.")
    assert len(sent(google, address)) == 1


@pytest.mark.promise("P4.2")
def test_who_may_only_read_sends_nothing(queue: Callable[..., Any], owner: Any) -> None:
    from guestpost_crm.accounts.models import Person, Role
    from guestpost_crm.gmail.models import OutboxMessage
    from guestpost_crm.gmail.outbox import MayNotSendError

    reader = Person.objects.create(sub="reader", email="r@acme.example", role=Role.READER)
    with pytest.raises(MayNotSendError):
        queue(author=reader)
    assert not OutboxMessage.objects.exists()
