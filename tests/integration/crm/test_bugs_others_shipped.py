"""Bugs that other mail clients shipped, each tried here by its name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partialmethod
from typing import Any

import pytest
from google_standin.testing import GoogleStandin


@pytest.fixture(autouse=True)
def alone(crm: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker's share of the project's quota has tests of its own."""
    from guestpost_crm.gmail.share import Share

    monkeypatch.setattr(Share, "wait", lambda *_: 0.0)


def stored(mailbox: Any) -> set[str]:
    from guestpost_crm.inbox.models import Message

    return set(Message.objects.filter(mailbox=mailbox).values_list("gmail_id", flat=True))


def at_gmail(google: GoogleStandin, address: str) -> set[str]:
    return {item["id"] for item in google.control.messages(address) if "DRAFT" not in item["labelIds"]}


def status_of(mailbox: Any) -> Any:
    from django.utils import timezone
    from guestpost_crm.gmail import status
    from guestpost_crm.gmail.views import _counts

    mailbox.refresh_from_db()
    return status.of(mailbox, _counts()[mailbox.pk], timezone.now(), 300)


@pytest.mark.promise("P4.1")
def test_twenty_24332_frappe_37096_zero_1965_mail_lost_while_status_says_healthy(
    google: GoogleStandin, mailbox: Any, address: str, mail: Callable[..., bytes]
) -> None:
    """As long as anything is missing the status does not say that everything is here."""
    from django.utils import timezone, translation
    from guestpost_crm.gmail.models import FetchItem, Mailbox
    from guestpost_crm.gmail.status import Kind
    from guestpost_crm.gmail.views import _reasons
    from guestpost_crm.gmail.worker import Worker

    Mailbox.objects.update(beat_at=timezone.now())
    for number in range(3):
        google.control.deliver(address, mail(str(number)))
    google.control.fault("messages.get", account=address, status=400, reason="failedPrecondition", count=None)
    worker = Worker(mailbox.pk)
    worker.step()
    assert status_of(mailbox).kind in (Kind.FETCHING, Kind.BEHIND)
    mailbox.refresh_from_db()
    assert mailbox.synced_at is None
    FetchItem.objects.update(attempts=9)
    told = status_of(mailbox)
    assert told.kind == Kind.BEHIND
    assert "3 messages that can't be fetched" in told.sentence
    FetchItem.objects.filter(pk=FetchItem.objects.earliest("pk").pk).update(error="too_large")
    with translation.override("de"):
        assert _reasons()[mailbox.pk] == ["„failedPrecondition“", "zu groß"]
    google.control.no_faults()
    FetchItem.objects.update(not_before=None)
    worker.step()
    Mailbox.objects.update(beat_at=timezone.now())
    assert status_of(mailbox).kind == Kind.LEVEL
    Mailbox.objects.update(beat_at=timezone.now() - dt.timedelta(minutes=5))
    assert "has not run since" in status_of(mailbox).sentence


@pytest.mark.promise("P4.1")
def test_inbox_zero_gaps_over_3000_are_skipped(
    google: GoogleStandin, mailbox: Any, address: str, mail: Callable[..., bytes], level: Callable[..., Any]
) -> None:
    """However much happened since the last look, all of it is read."""
    level(mailbox)
    first = google.control.deliver(address, mail("First"))
    for _ in range(1600):
        google.store.relabel(address, first["id"], ["STARRED"], [])
        google.store.relabel(address, first["id"], [], ["STARRED"])
    last = google.control.deliver(address, mail("Last"))
    level(mailbox)
    assert stored(mailbox) == {first["id"], last["id"]}


@pytest.mark.promise("P2.1")
def test_notifications_dropped_while_a_job_is_queued(
    google: GoogleStandin, mailbox: Any, address: str, mail: Callable[..., bytes]
) -> None:
    """What is told of while the sync is in the middle of its work is looked at in the same go."""
    from guestpost_crm.gmail.models import Mailbox
    from guestpost_crm.gmail.notifications import take
    from guestpost_crm.gmail.sync import MailboxSync
    from guestpost_crm.gmail.worker import Worker

    google.control.deliver(address, mail("First"))
    worker = Worker(mailbox.pk)
    fetch, told = MailboxSync.fetch, []

    def meanwhile(self: Any, *given: Any) -> Any:
        done = fetch(self, *given)
        if not told:
            told.append(google.control.deliver(address, mail("While it works")))
            take(f'{{"emailAddress": "{address}"}}'.encode())
            worker.wake()
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MailboxSync, "fetch", meanwhile)
        worker.step()
    assert stored(mailbox) == at_gmail(google, address)
    now = Mailbox.objects.get()
    assert now.processed == now.notified == 1


@pytest.mark.promise("P4.1")
def test_espocrm_1516_frappe_34409_duplicates_and_split_threads(
    google: GoogleStandin, mailbox: Any, address: str, mail: Callable[..., bytes], level: Callable[..., Any]
) -> None:
    """One Message-ID in two messages, two subjects in one thread, all of it named twice: as Gmail has it."""
    from guestpost_crm.inbox.models import Message, Thread

    same = mail("Twice", message_id="<same@site.example>")
    first = google.control.deliver(address, same)
    google.control.deliver(address, same)
    google.control.deliver(address, mail("Another subject"), threadId=first["threadId"])
    level(mailbox)
    google.control.expire_history(address)
    level(mailbox)
    level(mailbox)
    there = google.control.messages(address)
    assert {(m.gmail_id, m.thread.gmail_id) for m in Message.objects.select_related("thread")} == {
        (item["id"], item["threadId"]) for item in there
    }
    assert Message.objects.count() == 3
    assert Thread.objects.count() == len({item["threadId"] for item in there})


@pytest.mark.promise("P2.1")
def test_inbox_zero_2980_watch_expiry_unnoticed(
    google: GoogleStandin, mailbox: Any, address: str, level: Callable[..., Any]
) -> None:
    """It is renewed a day after it was asked for; one that Gmail refuses is told, and Gmail asked instead."""
    from django.utils import timezone
    from guestpost_crm.gmail.models import Mailbox
    from guestpost_crm.gmail.worker import UNTOLD_LOOK, Worker

    worker = Worker(mailbox.pk)
    worker.step()
    mailbox.refresh_from_db()
    assert mailbox.is_watched
    soon = timezone.now() + dt.timedelta(days=5, hours=23)
    Mailbox.objects.update(watch_expires_at=soon)
    worker.step()
    assert Mailbox.objects.get().watch_expires_at > soon
    google.control.fault("watch", account=address, status=403, reason="forbidden", count=None)
    Mailbox.objects.update(watch_expires_at=timezone.now() - dt.timedelta(hours=1), beat_at=timezone.now())
    worker._interval = 1e9
    worker.wake()
    assert worker.step() <= UNTOLD_LOOK
    mailbox.refresh_from_db()
    assert (mailbox.is_watched, mailbox.watch_error) == (False, "forbidden")
    assert any("(“forbidden”); it is asked every half minute" in each for each in status_of(mailbox).problems)


def test_twenty_24034_unbounded_concurrency(
    google: GoogleStandin,
    mailbox: Any,
    address: str,
    mail: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many messages wait, one call is under way for a mailbox."""
    import threading

    from guestpost_crm.gmail import transfer
    from guestpost_crm.gmail.worker import Worker

    download, under_way, most = transfer.download, threading.Semaphore(1), []

    def counted(*arguments: Any) -> Any:
        most.append(under_way.acquire(blocking=False))
        try:
            return download(*arguments)
        finally:
            under_way.release()

    monkeypatch.setattr(transfer, "download", counted)
    for number in range(12):
        google.control.deliver(address, mail(str(number)))
    worker = Worker(mailbox.pk)
    threads = threading.active_count()
    worker.step()
    assert most == [True] * 12
    assert threading.active_count() <= threads + 1


@pytest.mark.promise("P4.1")
def test_history_that_is_always_refused_is_no_endless_full_resync(
    google: GoogleStandin, mailbox: Any, address: str, mail: Callable[..., bytes]
) -> None:
    from guestpost_crm.gmail.models import Mailbox
    from guestpost_crm.gmail.worker import Worker

    for number in range(3):
        google.control.deliver(address, mail(str(number)))
    google.control.fault("history.list", account=address, status=404, reason="notFound", count=None)
    worker = Worker(mailbox.pk)
    for _ in range(5):
        worker.wake()
        worker.step()
    assert Mailbox.objects.get().listing == 1
    assert stored(mailbox) == at_gmail(google, address)


def test_twenty_ids_compared_as_text(
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


def test_frappe_gmail_thread_only_the_first_page_read(
    google: GoogleStandin,
    mailbox: Any,
    address: str,
    mail: Callable[..., bytes],
    level: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Frappe read one page of threads, and the rest never came."""
    from guestpost_crm.gmail.api import Gmail

    monkeypatch.setattr(Gmail, "list_ids", partialmethod(Gmail.list_ids, size=2))
    for number in range(7):
        google.control.deliver(address, mail(str(number)))
    level(mailbox)
    assert len(stored(mailbox)) == 7


def test_lieer_301_endless_full_resync(
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


def test_dxos_12466_one_deleted_message_wedging_sync(
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


def test_trycompai_33_cursor_moved_past_failures(
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

    store = services.store_all
    bad = google.control.deliver(address, mail("Poison"))
    good = google.control.deliver(address, mail("Good"))

    def poisoned(mailbox: Any, incoming: Any) -> Any:
        if bad["id"] in [each.id for each in incoming]:
            raise ValueError("poison")
        return store(mailbox, incoming)

    monkeypatch.setattr(services, "store_all", poisoned)
    level(mailbox)
    assert stored(mailbox) == {good["id"]}
    item = FetchItem.objects.get()
    assert (item.gmail_id, item.error, item.attempts) == (bad["id"], "not_stored", 1)
    monkeypatch.setattr(services, "store_all", store)
    FetchItem.objects.update(not_before=None)
    level(mailbox)
    assert stored(mailbox) == {bad["id"], good["id"]}
