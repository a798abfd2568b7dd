"""Mail arrives, changes and goes; nothing is lost, nothing comes twice, whatever fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
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


def test_ids_are_numbers_not_text(
    google: GoogleStandin, mailbox: Any, address: str, mail: Callable[..., bytes], level: Callable[..., Any]
) -> None:
    """As text 999 would come after 1000, and mail would be lost (twenty)."""
    level(mailbox)
    assert mailbox.history_id < 1000
    for number in range(30):
        google.control.deliver(address, mail(str(number)))
        level(mailbox)
    assert mailbox.history_id > 1000
    assert stored(mailbox) == at_gmail(google, address)


def test_every_page_is_read_not_only_the_first(
    google: GoogleStandin,
    mailbox: Any,
    address: str,
    mail: Callable[..., bytes],
    level: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Frappe read one page of threads, and the rest never came."""
    from guestpost_crm.gmail.api import Gmail

    def small_page(
        self: Gmail, page: str = "", query: str = "", *, background: bool = True
    ) -> dict[str, Any]:
        call = lambda users: users.messages().list(  # noqa: E731
            userId="me", maxResults=2, includeSpamTrash=True, pageToken=page or None
        )
        return self._call("messages.list", call)

    monkeypatch.setattr(Gmail, "list_ids", small_page)
    for number in range(7):
        google.control.deliver(address, mail(str(number)))
    level(mailbox)
    assert len(stored(mailbox)) == 7


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


def test_expired_history_is_no_endless_loop(
    google: GoogleStandin, mailbox: Any, address: str, level: Callable[..., Any]
) -> None:
    """Lieer resynchronised for ever (#301)."""
    level(mailbox)
    google.control.expire_history(address)
    level(mailbox)
    listing = mailbox.listing
    level(mailbox)
    level(mailbox)
    assert mailbox.listing == listing


def test_a_message_deleted_meanwhile_stops_nothing(
    google: GoogleStandin, mailbox: Any, address: str, mail: Callable[..., bytes], level: Callable[..., Any]
) -> None:
    """One deleted message wedged dxos (PR 12466)."""
    from guestpost_crm.gmail.models import FetchItem

    level(mailbox)
    FetchItem.objects.create(mailbox=mailbox, gmail_id="00000000deadbeef", live=True)
    there = google.control.deliver(address, mail())
    level(mailbox)
    assert stored(mailbox) == {there["id"]}
    assert not FetchItem.objects.exists()


def test_one_message_that_fails_holds_up_no_other(
    google: GoogleStandin,
    mailbox: Any,
    address: str,
    mail: Callable[..., bytes],
    level: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The cursor moved past failures and they were never tried again (trycompai/crm PR 33)."""
    from guestpost_crm.gmail.models import FetchItem
    from guestpost_crm.inbox import services

    store = services.store
    bad = google.control.deliver(address, mail("Poison"))
    good = google.control.deliver(address, mail("Good"))

    def poisoned(mailbox: Any, gmail_id: str, *rest: Any) -> Any:
        if gmail_id == bad["id"]:
            raise ValueError("poison")
        return store(mailbox, gmail_id, *rest)

    monkeypatch.setattr(services, "store", poisoned)
    level(mailbox)
    assert stored(mailbox) == {good["id"]}
    item = FetchItem.objects.get()
    assert (item.gmail_id, item.error, item.attempts) == (bad["id"], "ValueError", 1)
    monkeypatch.setattr(services, "store", store)
    FetchItem.objects.update(not_before=None)
    level(mailbox)
    assert stored(mailbox) == {bad["id"], good["id"]}


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
    from guestpost_crm.gmail.api import GmailError
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


class Killed(BaseException):
    """The process is gone."""


class Death:
    """Comes at the statement that writes after so many others."""

    def __init__(self, others: int) -> None:
        self._others = others

    def __call__(self, execute: Any, sql: str, *rest: Any) -> Any:
        if sql.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE")):
            self._others -= 1
            if self._others == -1:
                raise Killed
        return execute(sql, *rest)


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

    ids = [google.control.deliver(address, mail(str(number)))["id"] for number in range(3)]
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
