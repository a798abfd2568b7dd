"""The real `guestpost-crm sync`, killed again and again while mail arrives and goes out."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google_standin.testing import GoogleStandin


class Sync:
    """The program as a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._runs += 1
        with (self._folder / f"{self._runs}.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "guestpost_crm", "sync"], stdout=log, stderr=log
            )

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        assert self.process.wait(10) == -signal.SIGKILL

    def words(self) -> str:
        return "".join(path.read_text() for path in self._folder.glob("*.log"))


@pytest.fixture
def sync(crm: None, tmp_path: Path) -> Iterator[Sync]:
    running = Sync(tmp_path)
    yield running
    if running.process is not None and running.process.poll() is None:
        running.process.kill()
        running.process.wait(10)


def until(true: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.005)


@pytest.mark.promise("P4.1")
@pytest.mark.promise("P4.2")
def test_killed_while_mail_arrives_and_goes_out_nothing_is_lost_or_doubled(
    google: GoogleStandin,
    mailbox: Any,
    owner: Any,
    address: str,
    mail: Callable[..., bytes],
    level: Callable[..., Any],
    sync: Sync,
) -> None:
    from guestpost_crm.gmail.models import OutboxMessage, OutboxState
    from guestpost_crm.gmail.outbox import queue_reply
    from guestpost_crm.inbox.models import Message

    google.control.deliver(address, mail("To be answered"))
    level(mailbox)
    asked = Message.objects.get()
    for number in range(5):
        for each in range(4):
            google.control.deliver(address, mail(f"{number}.{each}"))
        queue_reply(
            form_key=uuid.uuid4(),
            answers=asked,
            author=owner,
            to=["bob@site.example"],
            cc=[],
            body=f"Answer {number}",
        )
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
    assert sync.process is not None
    sync.process.terminate()
    assert sync.process.wait(20) == 0
    words = sync.words()
    assert "To be answered" not in words
    assert address not in words
    assert "bob@site.example" not in words


@pytest.mark.promise("P2.1")
def test_a_second_sync_takes_no_part_while_the_first_has_the_mailbox(
    google: GoogleStandin, mailbox: Any, address: str, mail: Callable[..., bytes], sync: Sync, tmp_path: Path
) -> None:
    """Two pods for a moment, as when a Deployment rolls: every message is fetched by one of them."""
    from guestpost_crm.inbox.models import Message

    (tmp_path / "second").mkdir()
    second = Sync(tmp_path / "second")
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
