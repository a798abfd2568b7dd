"""Mail arrives, changes and goes; nothing is lost, nothing comes twice, whatever fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from crm_faults import Death, Killed
from google_standin.testing import GoogleStandin


def stored(mailbox: Any) -> set[str]:
    from guestpost_crm.inbox.models import Message

    return set(Message.objects.filter(mailbox=mailbox).values_list("gmail_id", flat=True))


def at_gmail(google: GoogleStandin, address: str) -> set[str]:
    return {item["id"] for item in google.control.messages(address) if "DRAFT" not in item["labelIds"]}


@pytest.mark.promise("P4.1")
def test_a_whole_mailbox_comes_in_pages_and_byte_for_byte(
    google: GoogleStandin, mailbox: Any, address: str, mail: Callable[..., bytes], level: Callable[..., Any]
) -> None:
    from guestpost_crm.inbox import storage
    from guestpost_crm.inbox.models import Message

    for number in range(12):
        google.control.deliver(address, mail(f"Offer {number}"))
    google.control.deliver(address, mail("In spam"), labelIds="SPAM")
    google.control.deliver(address, mail("A draft"), labelIds="DRAFT")
    level(mailbox)
    assert stored(mailbox) == at_gmail(google, address)
    for message in Message.objects.all():
        assert storage.read_all(message.raw) == google.control.raw(address, message.gmail_id)


@pytest.mark.promise("P4.1")
def test_changes_are_followed(
    google: GoogleStandin, mailbox: Any, address: str, mail: Callable[..., bytes], level: Callable[..., Any]
) -> None:
    from guestpost_crm.inbox.models import Message, Thread

    first = google.control.deliver(address, mail("One"))
    level(mailbox)
    second = google.control.deliver(address, mail("Two"))
    google.control.relabel(address, first["id"], remove=("UNREAD",), add=("STARRED",))
    level(mailbox)
    assert stored(mailbox) == {first["id"], second["id"]}
    assert set(Message.objects.get(gmail_id=first["id"]).labels) == {"INBOX", "STARRED"}
    assert not Thread.objects.get(gmail_id=first["threadId"]).unread
    google.control.delete(address, second["id"])
    level(mailbox)
    assert stored(mailbox) == {first["id"]}
    assert not Thread.objects.filter(gmail_id=second["threadId"]).exists()


@pytest.mark.promise("P4.1")
def test_expired_history_leaves_no_gap(
    google: GoogleStandin, mailbox: Any, address: str, mail: Callable[..., bytes], level: Callable[..., Any]
) -> None:
    from guestpost_crm.inbox.models import Message

    kept = google.control.deliver(address, mail("Kept"))
    gone = google.control.deliver(address, mail("Gone"))
    level(mailbox)
    google.control.delete(address, gone["id"])
    google.control.relabel(address, kept["id"], remove=("UNREAD",))
    missed = google.control.deliver(address, mail("Missed"))
    google.control.expire_history(address)
    level(mailbox)
    assert stored(mailbox) == {kept["id"], missed["id"]}
    assert "UNREAD" not in Message.objects.get(gmail_id=kept["id"]).labels


@pytest.mark.parametrize(
    "method", ["getProfile", "labels.list", "history.list", "messages.list", "messages.get"]
)
@pytest.mark.parametrize(
    "fault",
    [{"status": 503}, {"status": 500}, {"status": 429, "reason": "rateLimitExceeded"}, {"drop": "before"},
     {"status": 403, "reason": "userRateLimitExceeded"}],
    ids=["503", "500", "429", "dropped", "403-rate"],
)  # fmt: skip
@pytest.mark.promise("P4.1")
def test_each_call_may_fail_and_heals(
    google: GoogleStandin,
    mailbox: Any,
    address: str,
    mail: Callable[..., bytes],
    level: Callable[..., Any],
    method: str,
    fault: dict[str, Any],
) -> None:
    from guestpost_crm.gmail.errors import GmailError
    from guestpost_crm.gmail.models import FetchItem

    for number in range(3):
        google.control.deliver(address, mail(str(number)))
    google.control.fault(method, account=address, **fault)
    with pytest.raises(GmailError):
        level(mailbox)
    FetchItem.objects.update(not_before=None)
    level(mailbox)
    assert stored(mailbox) == at_gmail(google, address)


@pytest.mark.promise("P9.3")
def test_a_revoked_consent_stops_sync_and_keeps_mail(
    google: GoogleStandin, mailbox: Any, address: str, mail: Callable[..., bytes], level: Callable[..., Any]
) -> None:
    from guestpost_crm.audit.models import AuditEvent
    from guestpost_crm.gmail.models import MailboxState
    from guestpost_crm.gmail.worker import Worker

    google.control.deliver(address, mail())
    level(mailbox)
    google.control.revoke(address)
    worker = Worker(mailbox.pk)
    worker.start()
    worker.join(20)
    assert not worker.is_alive()
    mailbox.refresh_from_db()
    assert (mailbox.state, mailbox.refresh_token, mailbox.error) == (
        MailboxState.NEEDS_CONSENT,
        None,
        "consent_gone",
    )
    assert len(stored(mailbox)) == 1
    assert AuditEvent.objects.filter(action="mailbox.consent-gone").exists()


@pytest.mark.parametrize(
    "data",
    [b"", b"not json", b"[]", b'{"emailAddress": 5}', b'{"historyId": 1}', b"\xff\xfe",
     b'{"emailAddress": "x@y.example"}'],
)  # fmt: skip
def test_strange_notifications_are_taken_and_counted(mailbox: Any, data: bytes) -> None:
    from guestpost_crm.gmail.notifications import take

    assert take(data) is None
    mailbox.refresh_from_db()
    assert mailbox.notified == 0


@pytest.mark.promise("P2.1")
def test_a_notification_raises_the_number_for_its_mailbox(mailbox: Any, address: str) -> None:
    from guestpost_crm.gmail.notifications import take

    for _ in range(2):
        assert take(f'{{"emailAddress": "{address.upper()}", "historyId": 7}}'.encode()) == mailbox.pk
    mailbox.refresh_from_db()
    assert mailbox.notified == 2


@pytest.mark.promise("P4.1")
def test_killed_at_any_call_it_ends_the_same(
    google: GoogleStandin,
    mailbox: Any,
    address: str,
    mail: Callable[..., bytes],
    level: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The process dies at its first, second, third, … statement that writes, until one run comes through."""
    from django.db import connection
    from guestpost_crm.inbox.models import Blob, Message

    # More than are stored together.
    ids = [google.control.deliver(address, mail(str(number)))["id"] for number in range(12)]
    deaths = 0
    while True:
        mailbox.refresh_from_db()
        try:
            with connection.execute_wrapper(Death(deaths)):
                level(mailbox)
            break
        except Killed:
            connection.close()
        deaths += 1
        if deaths % 7 == 0:
            ids.append(google.control.deliver(address, mail(f"while dying {deaths}"))["id"])
    assert deaths > 10
    assert stored(mailbox) == set(ids)
    assert Message.objects.count() == Blob.objects.count() == len(ids)


@pytest.mark.promise("P4.1")
def test_killed_at_any_statement_while_following_changes_it_ends_the_same(
    google: GoogleStandin, mailbox: Any, address: str, mail: Callable[..., bytes], level: Callable[..., Any]
) -> None:
    """Mail comes, changes and goes; the process dies at its first, second, … statement that writes of it."""
    from django.db import connection
    from guestpost_crm.inbox.models import Message

    for number in range(3):
        google.control.deliver(address, mail(f"old {number}"))
    level(mailbox)
    deaths, died = 0, True
    while died:
        oldest, changed = google.control.messages(address)[-1], google.control.messages(address)[0]
        google.control.deliver(address, mail(f"new {deaths}"))
        google.control.relabel(address, changed["id"], add=("STARRED",), remove=("UNREAD",))
        google.control.delete(address, oldest["id"])
        died = False
        try:
            with connection.execute_wrapper(Death(deaths)):
                level(mailbox)
        except Killed:
            connection.close()
            died = True
            deaths += 1
        level(mailbox)
        there = {item["id"]: sorted(item["labelIds"]) for item in google.control.messages(address)}
        assert dict(Message.objects.values_list("gmail_id", "labels")) == there
    assert deaths > 10
