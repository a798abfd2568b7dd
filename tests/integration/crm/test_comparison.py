"""The nightly comparison finds what the protocol should never have lost, and says how much it was."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Any

import pytest
from google_standin.testing import GoogleStandin


def compare(sync: Any) -> None:
    from guestpost_crm.gmail.comparison import Comparison

    comparison = Comparison(sync, sync._gmail)
    while comparison.step():
        pass


def stored(mailbox: Any) -> set[str]:
    from guestpost_crm.inbox.models import Message

    return set(Message.objects.filter(mailbox=mailbox).values_list("gmail_id", flat=True))


@pytest.mark.promise("P4.1")
def test_a_level_mailbox_differs_by_nothing(
    google: GoogleStandin, mailbox: Any, address: str, mail: Callable[..., bytes], level: Callable[..., Any]
) -> None:
    from prometheus_client import REGISTRY

    for number in range(3):
        google.control.deliver(address, mail(str(number)))
    google.control.deliver(address, mail("A draft"), labelIds="DRAFT")
    sync = level(mailbox)
    google.control.deliver(address, mail("While it is compared"))
    compare(sync)
    mailbox.refresh_from_db()
    assert mailbox.compared_at is not None
    assert mailbox.difference == 0
    assert REGISTRY.get_sample_value("guestpost_mailbox_difference", {"mailbox": str(mailbox.pk)}) == 0


@pytest.mark.promise("P4.1")
def test_what_is_missing_and_what_is_too_much_is_counted_and_put_right(
    google: GoogleStandin, mailbox: Any, address: str, mail: Callable[..., bytes], level: Callable[..., Any]
) -> None:
    from guestpost_crm.inbox import services
    from guestpost_crm.inbox.models import Message

    lost = google.control.deliver(address, mail("Lost here"))
    kept = google.control.deliver(address, mail("Kept"))
    gone = google.control.deliver(address, mail("Gone at Gmail"))
    sync = level(mailbox)
    services.remove(Message.objects.get(gmail_id=lost["id"]))
    google.control.delete(address, gone["id"])
    profile = sync._gmail.profile()
    sync.mailbox.history_id = int(profile["historyId"])  # the deletion's record is skipped
    sync.mailbox.save()
    compare(sync)
    mailbox.refresh_from_db()
    assert mailbox.difference == 2
    level(mailbox)
    assert stored(mailbox) == {lost["id"], kept["id"]}


def test_it_is_due_after_a_backfill_and_a_day_after_the_last_one(
    mailbox: Any, level: Callable[..., Any]
) -> None:
    from django.utils import timezone
    from guestpost_crm.gmail import comparison

    assert not comparison.due(mailbox)
    compare(level(mailbox))
    mailbox.refresh_from_db()
    assert mailbox.compared_at is not None
    assert not comparison.due(mailbox)
    mailbox.compared_at = timezone.now() - dt.timedelta(hours=25)
    mailbox.listing_began_at = timezone.now() - dt.timedelta(hours=30)
    assert comparison.due(mailbox)
    mailbox.compared_at = timezone.now() - dt.timedelta(hours=23)
    assert not comparison.due(mailbox)
    mailbox.listing_began_at = timezone.now()
    assert comparison.due(mailbox)


def test_the_worker_compares_by_itself(
    google: GoogleStandin, mailbox: Any, address: str, mail: Callable[..., bytes], level: Callable[..., Any]
) -> None:
    from guestpost_crm.gmail.models import Mailbox
    from guestpost_crm.gmail.worker import Worker

    google.control.deliver(address, mail())
    level(mailbox)
    worker = Worker(mailbox.pk)
    worker.start()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and Mailbox.objects.get().compared_at is None:
        worker.join(0.05)
    worker.end()
    worker.join(20)
    assert Mailbox.objects.get().compared_at is not None


def test_an_access_token_that_ends_early_is_no_end_of_the_consent(
    google: GoogleStandin, mailbox: Any, address: str, mail: Callable[..., bytes], level: Callable[..., Any]
) -> None:
    from guestpost_crm.gmail.models import MailboxState

    google.control.deliver(address, mail())
    google.control.fault("messages.get", account=address, status=401, reason="authError")
    level(mailbox)
    mailbox.refresh_from_db()
    assert mailbox.state == MailboxState.CONNECTED
    assert len(stored(mailbox)) == 1


def test_a_consent_given_again_meanwhile_is_not_destroyed(
    google: GoogleStandin, mailbox: Any, address: str, connect: Callable[[str], Any]
) -> None:
    from guestpost_crm.gmail.consent import consent_gone
    from guestpost_crm.gmail.models import Mailbox, MailboxState

    before = Mailbox.objects.get(pk=mailbox.pk)
    connect(address)
    consent_gone(before)
    after = Mailbox.objects.get(pk=mailbox.pk)
    assert (after.state, bool(after.refresh_token)) == (MailboxState.CONNECTED, True)
