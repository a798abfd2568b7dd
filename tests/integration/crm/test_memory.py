"""Sync and web take the largest mail in little memory: real processes, measured by the kernel."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest
from crm_fixtures import URL
from crm_programs import Program, answers, free_port, until
from google_standin.testing import GoogleStandin

HOST = URL.removeprefix("http://")
SIZE = 40 << 20
# Of 40 MiB that arrive as 73 MB of JSON, no more than this may be in memory at once.
MOST_GROWTH = 24.0


def large_mail(to: str) -> tuple[bytes, str]:
    """A raw message with 40 MiB of noise as an attachment, and the digest of that."""
    content = hashlib.shake_256(b"large").digest(SIZE)
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@site.example", to, "Large"
    message.set_content("See the attachment.")
    message.add_attachment(content, maintype="application", subtype="zip", filename="large.zip")
    return message.as_bytes(), hashlib.sha256(content).hexdigest()


@pytest.fixture
def web(crm: None, tmp_path: Path, owner: Any) -> Iterator[tuple[Program, httpx.Client]]:
    """The real web, and a browser in which the owner has signed in."""
    from django.conf import settings
    from django.test import Client

    port = free_port()
    program = Program("web", tmp_path, PORT=str(port), METRICS_PORT=str(free_port()))
    program.start()
    signed_in = Client(headers={"host": "acme.localhost"})
    signed_in.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    cookie = signed_in.cookies[settings.SESSION_COOKIE_NAME].value
    until(lambda: answers(port, "/readyz", HOST), "the web")
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}",
        headers={"Host": HOST, "Origin": URL},
        cookies={settings.SESSION_COOKIE_NAME: cookie},
        timeout=60,
    ) as browser:
        yield program, browser
    program.stop()


def test_forty_mebibytes_come_in_and_go_out_in_little_memory(
    google: GoogleStandin,
    mailbox: Any,
    address: str,
    mail: Callable[..., bytes],
    web: tuple[Program, httpx.Client],
    tmp_path: Path,
) -> None:
    from guestpost_crm.inbox.models import Message

    program, browser = web
    sync = Program("sync", tmp_path)
    google.control.deliver(address, mail("Small"))
    sync.start()
    try:
        until(lambda: Message.objects.count() == 1, "a small mail")
        [small] = Message.objects.all()
        for path in (f"/threads/{small.thread_id}", f"/messages/{small.pk}/raw"):
            assert browser.get(path).status_code == 200
        before, served_before = sync.peak(), program.peak()
        raw, digest = large_mail(address)
        google.control.deliver(address, raw)
        until(lambda: Message.objects.count() == 2, "a large mail", 120)
        assert sync.peak() - before < MOST_GROWTH
    finally:
        sync.stop()
    large = Message.objects.get(subject="Large")
    assert browser.get(f"/threads/{large.thread_id}").status_code == 200
    found = hashlib.sha256()
    with browser.stream("GET", f"/messages/{large.pk}/parts/1") as answer:
        for piece in answer.iter_bytes():
            found.update(piece)
    assert found.hexdigest() == digest
    assert program.peak() - served_before < MOST_GROWTH


def test_the_largest_answer_goes_out_in_little_memory(
    google: GoogleStandin,
    mailbox: Any,
    address: str,
    mail: Callable[..., bytes],
    level: Callable[..., Any],
    web: tuple[Program, httpx.Client],
    tmp_path: Path,
) -> None:
    import re

    from guestpost_crm.inbox.models import Message

    program, browser = web
    google.control.deliver(address, mail("Send us the draft"))
    level(mailbox)
    thread = Message.objects.get().thread_id
    page = browser.get(f"/threads/{thread}").text
    fields = dict(re.findall(r'name="(form_key|answers|to|csrfmiddlewaretoken)" value="([^"]*)"', page))
    before = program.peak()
    content = hashlib.shake_256(b"draft").digest(24 << 20)
    files = {"attachments": ("draft.zip", content, "application/zip")}
    sent = browser.post(f"/threads/{thread}/reply", data={**fields, "body": "Here."}, files=files)
    assert sent.status_code == 302, sent.text[:2000]
    assert program.peak() - before < MOST_GROWTH
    sync = Program("sync", tmp_path, OUTBOX_SETTLE_SECONDS=str(5))
    sync.start()
    try:
        until(lambda: Message.objects.count() == 2, "the answer to come back from Sent", 120)
        assert sync.peak() < 180
    finally:
        sync.stop()
    [answer] = [item for item in google.control.messages(address) if "SENT" in item["labelIds"]]
    assert (
        hashlib.sha256(attached(google.control.raw(address, answer["id"]))).digest()
        == hashlib.sha256(content).digest()
    )


def attached(raw: bytes) -> bytes:
    import email

    [part] = [part for part in email.message_from_bytes(raw).walk() if part.get_filename()]
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content
