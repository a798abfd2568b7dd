"""After history was lost labels are right again, for little of the quota."""

from __future__ import annotations

from collections.abc import Callable
from functools import partialmethod
from typing import Any

import pytest
from google_standin.testing import GoogleStandin

MANY = 40


@pytest.fixture
def here(
    google: GoogleStandin, mailbox: Any, address: str, mail: Callable[..., bytes], level: Callable[..., Any]
) -> list[str]:
    """Messages that are at Gmail and here, the oldest first."""
    found = [google.control.deliver(address, mail(str(number)))["id"] for number in range(MANY)]
    level(mailbox)
    return found


def labels(identifier: str) -> set[str]:
    from guestpost_crm.inbox.models import Message

    return set(Message.objects.get(gmail_id=identifier).labels)


def agree(google: GoogleStandin, address: str) -> bool:
    from guestpost_crm.inbox.models import Message

    there = {item["id"]: sorted(item["labelIds"]) for item in google.control.messages(address)}
    return there == dict(Message.objects.values_list("gmail_id", "labels"))


def calls(google: GoogleStandin, address: str) -> dict[str, int]:
    found: dict[str, int] = google.control.usage()["accounts"][address]["calls"]
    return found


@pytest.mark.promise("P4.1")
@pytest.mark.parametrize("size", [7, 500])
def test_only_messages_whose_labels_differ_are_asked_for(
    google: GoogleStandin,
    mailbox: Any,
    address: str,
    here: list[str],
    level: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    size: int,
) -> None:
    from guestpost_crm.gmail.api import Gmail

    monkeypatch.setattr(Gmail, "list_ids", partialmethod(Gmail.list_ids, size=size))
    google.control.relabel(address, here[0], add=("STARRED",))
    google.control.relabel(address, here[1], remove=("UNREAD",))
    google.control.relabel(address, here[2], add=("TRASH",), remove=("INBOX",))
    google.control.delete(address, here[3])
    google.control.expire_history(address)
    google.control.forget_usage()
    level(mailbox)
    assert agree(google, address)
    assert calls(google, address)["messages.get"] <= 8
    mailbox.refresh_from_db()
    assert not mailbox.labels_due


def test_a_label_that_is_gone_at_gmail_goes_here_too(
    google: GoogleStandin, mailbox: Any, address: str, here: list[str], level: Callable[..., Any]
) -> None:
    from guestpost_crm.inbox.models import Message

    Message.objects.filter(gmail_id=here[5]).update(labels=["INBOX", "Label_gone", "UNREAD"])
    google.control.relabel(address, here[0], add=("STARRED",))
    google.control.expire_history(address)
    level(mailbox)
    assert agree(google, address)


@pytest.mark.parametrize("fault", [{"status": 400, "reason": "invalidArgument"}, {"status": 404}])
def test_when_a_label_can_not_be_listed_every_message_is_asked_for(
    google: GoogleStandin,
    mailbox: Any,
    address: str,
    here: list[str],
    level: Callable[..., Any],
    fault: dict[str, Any],
) -> None:
    google.control.relabel(address, here[0], add=("STARRED",))
    google.control.expire_history(address)
    google.control.forget_usage()
    # The first page is of the mailbox.
    google.control.fault("messages.list", account=address, skip=3, **fault)
    level(mailbox)
    assert agree(google, address)
    assert calls(google, address)["messages.get"] >= MANY


def test_what_changes_between_the_lists_is_right_too(
    google: GoogleStandin, mailbox: Any, address: str, here: list[str]
) -> None:
    from guestpost_crm.gmail.api import Gmail
    from guestpost_crm.gmail.quota import Bucket
    from guestpost_crm.gmail.sync import MailboxSync

    sync = MailboxSync(mailbox, Gmail(mailbox, Bucket(6_000_000)))
    google.control.relabel(address, here[0], add=("STARRED",))
    google.control.expire_history(address)
    sync.catch_up()
    number = 0
    while sync.list_page():
        number += 1
        changed = here[4 + number % 30]
        change = {"remove": ("UNREAD",)} if number % 3 else {"add": ("STARRED",), "remove": ("INBOX",)}
        google.control.relabel(address, changed, **change)
        if number % 2:
            sync.catch_up()
    assert number > 10
    while items := sync.next_items(10):
        sync.fetch(items)
    sync.catch_up()
    assert agree(google, address)


def test_a_comparison_of_labels_that_was_cut_off_begins_again(
    google: GoogleStandin, mailbox: Any, address: str, here: list[str], level: Callable[..., Any]
) -> None:
    from guestpost_crm.gmail.api import Gmail
    from guestpost_crm.gmail.models import Mailbox
    from guestpost_crm.gmail.quota import Bucket
    from guestpost_crm.gmail.sync import MailboxSync

    google.control.relabel(address, here[0], add=("STARRED",))
    google.control.expire_history(address)
    sync = MailboxSync(mailbox, Gmail(mailbox, Bucket(6_000_000)))
    sync.catch_up()
    for _ in range(4):
        assert sync.list_page()
    found = Mailbox.objects.get()
    assert found.listing_page is None
    assert found.labels_due
    level(found)
    assert "STARRED" in labels(here[0])
    assert agree(google, address)
