"""The real `guestpost-crm sync`, killed again and again while mail arrives and goes out."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from crm_fixtures import TOPIC
from crm_programs import Program, until
from django.utils import timezone
from google_standin.testing import GoogleStandin
from local_services import start_postgres, stop_postgres


@pytest.fixture
def sync(crm: None, tmp_path: Path) -> Iterator[Program]:
    running = Program("sync", tmp_path)
    yield running
    running.stop()


@pytest.mark.promise("P4.1")
@pytest.mark.promise("P4.2")
def test_killed_while_mail_arrives_and_goes_out_nothing_is_lost_or_doubled(
    google: GoogleStandin,
    mailbox: Any,
    owner: Any,
    address: str,
    mail: Callable[..., bytes],
    level: Callable[..., Any],
    sync: Program,
) -> None:
    from guestpost_crm.gmail import compose, outbox
    from guestpost_crm.gmail.models import OutboxMessage, OutboxState
    from guestpost_crm.inbox.models import Message

    google.control.deliver(address, mail("To be answered"))
    level(mailbox)
    asked = Message.objects.get()
    for number in range(5):
        for each in range(4):
            google.control.deliver(address, mail(f"{number}.{each}"))
        draft = compose.Draft(["bob@site.example"], "Re: To be answered", f"Answer {number}", answers=asked)
        outbox.queue(draft, form_key=uuid.uuid4(), mailbox=mailbox, author=owner)
        before = Message.objects.count()
        sync.start()
        until(lambda before=before: Message.objects.count() > before, "a message")  # type: ignore[misc]
        sync.kill()
    sync.start()
    until(lambda: not OutboxMessage.objects.exclude(state=OutboxState.SENT).exists(), "all to be sent")
    google.control.deliver(address, mail("The last"))

    def level_with_gmail() -> bool:
        there = {item["id"] for item in google.control.messages(address)}
        return there == set(Message.objects.values_list("gmail_id", flat=True))

    until(level_with_gmail, "all mail to be here")
    assert Message.objects.count() == 1 + 20 + 5 + 1
    sent = [item for item in google.control.messages(address) if "SENT" in item["labelIds"]]
    assert len(sent) == 5
    sync.end()
    words = sync.words()
    assert "To be answered" not in words
    assert address not in words
    assert "bob@site.example" not in words


@pytest.mark.promise("P2.1")
def test_a_second_sync_takes_no_part_while_the_first_has_the_mailbox(
    google: GoogleStandin,
    mailbox: Any,
    address: str,
    mail: Callable[..., bytes],
    sync: Program,
    tmp_path: Path,
) -> None:
    """Two pods for a moment, as when a Deployment rolls: every message is fetched by one of them."""
    from guestpost_crm.inbox.models import Message

    (tmp_path / "second").mkdir()
    second = Program("sync", tmp_path / "second")
    google.control.forget_usage()
    try:
        sync.start()
        second.start()
        for number in range(10):
            google.control.deliver(address, mail(str(number)))
        until(lambda: Message.objects.count() == 10, "ten messages")
        sync.kill()
        google.control.deliver(address, mail("After the first is gone"))
        until(lambda: Message.objects.count() == 11, "the other to take over")
    finally:
        second.kill()
    calls = google.control.usage()["accounts"][address]["calls"]
    # One may have been under way when the first was killed.
    assert 11 <= calls["messages.get"] <= 12


@pytest.mark.promise("P4.1")
@pytest.mark.promise("P4.2")
def test_gmail_away_is_told_and_heals_by_itself(
    google: GoogleStandin,
    mailbox: Any,
    owner: Any,
    address: str,
    mail: Callable[..., bytes],
    level: Callable[..., Any],
    sync: Program,
) -> None:
    from guestpost_crm.gmail import compose, outbox, status
    from guestpost_crm.gmail.models import Mailbox
    from guestpost_crm.inbox.models import Message

    google.control.deliver(address, mail("Before"))
    level(mailbox)
    sync.start()
    until(lambda: Mailbox.objects.get().watch_expires_at is not None, "the watch")
    google.control.fault("*", account=address, status=503, count=None)
    google.control.deliver(address, mail("While Gmail does not answer"))
    answer = compose.Draft(["bob@site.example"], "Re: Before", "Yes.", answers=Message.objects.get())
    message = outbox.queue(answer, form_key=uuid.uuid4(), mailbox=mailbox, author=owner)
    until(lambda: Mailbox.objects.get().error == "gmail_unavailable", "the trouble to be told")
    found = status.of(Mailbox.objects.get(), status.Counts(1), timezone.now(), 300)
    assert found.kind == status.Kind.BEHIND
    assert "Gmail does not answer" in found.sentence
    google.control.no_faults()
    until(lambda: Message.objects.count() == 3, "the mail and the answer")
    until(lambda: Mailbox.objects.get().error == "", "the end of the trouble")
    message.refresh_from_db()
    assert message.state == "sent"
    assert sum("SENT" in item["labelIds"] for item in google.control.messages(address)) == 1


@pytest.mark.promise("P4.1")
def test_postgresql_away_is_survived_and_no_notification_is_lost(
    google: GoogleStandin,
    mailbox: Any,
    address: str,
    postgres: str,
    mail: Callable[..., bytes],
    sync: Program,
) -> None:
    """The database crashes under the running sync, stays away for a while, and comes back."""
    from django.db import connection
    from guestpost_crm.gmail.models import Mailbox
    from guestpost_crm.inbox.models import Message

    sync.start()
    until(lambda: Mailbox.objects.get().watch_expires_at is not None, "the watch")
    first = google.control.deliver(address, mail("Before"))
    until(lambda: Message.objects.filter(gmail_id=first["id"]).exists(), "the first mail")
    stop_postgres(postgres)
    try:
        connection.close()
        google.control.deliver(address, mail("While the database is away"))
        until(lambda: '"event": "database"' in sync.words(), "the sync to notice")
    finally:
        start_postgres(postgres)
    until(lambda: Message.objects.count() == 2, "the mail that came meanwhile", 90)
    assert sync.process is not None
    assert sync.process.poll() is None


def test_what_pub_sub_says_twice_or_wrongly_changes_nothing(
    google: GoogleStandin, mailbox: Any, address: str, mail: Callable[..., bytes], sync: Program
) -> None:
    """Malformed, repeated and foreign notifications through the real subscription."""
    from guestpost_crm.gmail.models import Mailbox
    from guestpost_crm.inbox.models import Message

    assert google.pubsub is not None
    publisher = google.pubsub.publisher()
    sync.start()
    until(lambda: Mailbox.objects.get().watch_expires_at is not None, "the watch")
    for data in (b"", b"not json", b"[]", b'{"emailAddress": "somebody@else.example", "historyId": 1}'):
        publisher.publish(TOPIC, data or b"\x00", x="y")
    again = f'{{"emailAddress": "{address}", "historyId": 99999999999}}'.encode()
    for _ in range(5):
        publisher.publish(TOPIC, again)
    google.control.deliver(address, mail("The only one"))
    until(lambda: Message.objects.count() == 1, "the mail")
    until(lambda: Mailbox.objects.get().notified >= 5, "every notification")
    assert Mailbox.objects.get().history_id < 99999999999
    assert Message.objects.count() == 1


def test_pages_say_that_the_database_is_away(postgres: str, owner: Any) -> None:
    from django.db import connection
    from django.test import Client

    page = Client(headers={"host": "acme.localhost"}, raise_request_exception=False)
    page.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    stop_postgres(postgres)
    try:
        for path in ("/", "/mailboxes", "/sign-in"):
            answer = page.get(path)
            assert answer.status_code == 503, path
            assert "The database does not answer" in answer.content.decode()
            assert answer.headers["Retry-After"] == "10"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert page.get("/healthz").status_code == 200
        assert page.get("/readyz").status_code == 503
    finally:
        start_postgres(postgres)
        connection.close()
    assert page.get("/about").status_code == 200
    assert page.get("/readyz").status_code == 200
