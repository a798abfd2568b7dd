"""Every message is sent because a person said so, once, whatever happens on the way."""

from __future__ import annotations

import uuid
from collections.abc import Callable
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


def test_what_gmail_refuses_has_failed_with_its_reason(
    google: GoogleStandin, address: str, queue: Callable[..., Any], work_off: Callable[[], None]
) -> None:
    message = queue()
    google.control.fault("messages.send", account=address, status=400, reason="invalidArgument")
    work_off()
    message.refresh_from_db()
    assert (message.state, message.problem) == ("failed", "Gmail refused it: invalidArgument.")


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
    assert (refused.state, refused.problem) == ("failed", "Gmail refused it: notFound.")
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
