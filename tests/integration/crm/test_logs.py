"""Nothing that is secret, and nothing of mail, reaches what programs write: logs, errors, metrics."""

from __future__ import annotations

import datetime as dt
import io
import json
import logging
import uuid
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from typing import Any

import pytest
import structlog
from django.db import IntegrityError
from google_standin.testing import GoogleStandin
from guestpost_crm.logs import Plain
from prometheus_client import REGISTRY, generate_latest


@pytest.fixture
def console(crm: None) -> Iterator[io.StringIO]:
    """What Django's own handler writes, as the settings have it."""
    [handler] = [each for each in logging.getLogger().handlers if isinstance(each.formatter, Plain)]
    assert isinstance(handler, logging.StreamHandler)
    written = io.StringIO()
    before = handler.setStream(written)
    yield written
    handler.setStream(before)


def mail_from_bob(address: str, mark: str) -> bytes:
    """A message with the mark in everything that a message has."""
    mail = EmailMessage()
    mail["From"], mail["To"] = f"Bob {mark}name <bob-{mark}@site.example>", address
    mail["Subject"] = f"Subject {mark}subject"
    mail.set_content(f"Body {mark}body")
    mail.add_attachment(f"File {mark}file".encode(), maintype="x", subtype="y", filename=f"{mark}.bin")
    return mail.as_bytes()


@pytest.mark.promise("P8.1")
def test_neither_secrets_nor_mail_reach_logs_and_metrics(
    google: GoogleStandin,
    mailbox: Any,
    owner: Any,
    address: str,
    browser: Callable[..., Any],
    crm_environment: dict[str, str],
    console: io.StringIO,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from guestpost_crm.gmail import compose, outbox
    from guestpost_crm.gmail.models import Mailbox
    from guestpost_crm.gmail.worker import Worker
    from guestpost_crm.inbox.models import Message, Thread
    from guestpost_crm.integrations import tokens
    from guestpost_crm.integrations.models import Scope

    mark = uuid.uuid4().hex

    def quoting(*arguments: Any) -> None:
        """Fails as PostgreSQL does, with the value in its message."""
        raise IntegrityError(f"Key (address)=({mark}value) already exists")

    with structlog.testing.capture_logs() as logged:
        google.control.deliver(address, mail_from_bob(address, mark))
        google.control.deliver(address, b"Subject: " + mark.encode() + b"\r\n\r\n\xff\x00")
        # What fails is told of, and by itself.
        google.control.fault("messages.get", status=503)
        worker = Worker(mailbox.pk)
        worker.step()
        google.control.no_faults()
        worker.step()
        page = browser(owner)
        thread = Thread.objects.latest("pk")
        page.get(f"/threads/{thread.pk}")
        page.get(f"/?q={mark}query")
        page.post(f"/threads/{thread.pk}/reply", {"to": f"{mark}@x", "body": f"{mark}reply"})
        page.get(f"/oauth/callback?state={mark}state&code={mark}code")
        page.get("/sites", headers={"host": f"{mark}.example"})
        _made, token = tokens.make(owner, "Reporting", [Scope.OUTREACH_READ], dt.timedelta(days=30))
        page.get("/api/v1/sites", headers={"authorization": f"Bearer {token}"})
        page.get("/api/v1/sites", headers={"authorization": f"Bearer {mark}token"})
        page.raise_request_exception = False
        with monkeypatch.context() as patch:
            patch.setattr("guestpost_crm.outreach.views.sites.sites.words", quoting)
            assert page.get("/sites/new").status_code == 500
        draft = compose.Draft([f"bob-{mark}@site.example"], f"{mark}subject", f"{mark}text")
        outbox.queue(draft, form_key=uuid.uuid4(), mailbox=Mailbox.objects.get(), author=owner)
        worker.step()
    out, err = capsys.readouterr()
    err += console.getvalue()
    everything = json.dumps(logged, default=str) + out + err + generate_latest(REGISTRY).decode()
    assert Message.objects.count() >= 2
    assert logged
    # What went wrong is told: where, and what kind of thing.
    assert "Internal Server Error: /sites/new" in err
    assert "django.db.utils.IntegrityError" in err
    assert "in quoting" in err
    secret_files = ("DJANGO_SECRET_KEY_FILE", "TENANT_KEY_FILE", "BROKER_TOKEN_FILE")
    secrets = [mark, token, Mailbox.objects.get().token(), address, owner.email]
    for name in secret_files:
        with open(crm_environment[name], encoding="utf-8") as file:  # noqa: PTH123 - one line less
            secrets.append(file.read().strip())
    assert [secret for secret in secrets if secret in everything] == []
