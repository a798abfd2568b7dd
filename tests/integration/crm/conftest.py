"""Mailboxes of the CRM at Google's stand-in; the CRM itself is in dev/checks/crm_fixtures.py."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from crm_fixtures import OWNER
from google_standin.testing import GoogleStandin
from google_standin.testing import consent as at_google
from localkube.process import free_port
from plane_fixtures import Plane
from tenant_plane import TenantPlane, tenant_plane


@pytest.fixture(autouse=True)
def clean(crm: None, clean_crm: None, google: GoogleStandin) -> Iterator[None]:
    """Every test begins with empty tables and a Google without faults."""
    google.control.no_faults()
    google.control.settings(
        quotaUnitsPerMinute=6000, notificationsPerSecond=1, keepMessageIds=False, mostOnPage=500
    )
    yield
    google.control.no_faults()


@pytest.fixture
def address(google: GoogleStandin) -> str:
    """A Gmail account of its own for each test."""
    address = f"desk-{uuid.uuid4().hex[:10]}@acme.example"
    google.control.account(address, "Anna Reyes", historyId=990)
    return address


@pytest.fixture
def connect(google: GoogleStandin, broker: Any, owner: Any) -> Callable[[str], Any]:
    """Connect a mailbox as the pages do, without the pages."""
    from guestpost_crm.accounts.signin import verify
    from guestpost_crm.gmail import consent
    from guestpost_crm.gmail.broker import Broker

    def act(address: str) -> Any:
        begun = Broker().begin("mailbox", address)
        tokens = Broker().exchange(begun.state, at_google(begun.url)["code"], begun.verifier)
        claims = verify(tokens["id_token"], begun.nonce)
        return consent.connect(owner, claims, tokens["sealed_refresh_token"])

    return act


@pytest.fixture
def mailbox(connect: Callable[[str], Any], address: str) -> Any:
    """A connected mailbox."""
    return connect(address)


@pytest.fixture
def mail() -> Callable[..., bytes]:
    """Makes raw messages."""

    def make(subject: str = "Guest post", **headers: str) -> bytes:
        message = EmailMessage()
        message["From"] = headers.pop("sender", "Bob <bob@site.example>")
        message["To"] = headers.pop("to", OWNER)
        message["Subject"] = subject
        message["Message-ID"] = headers.pop("message_id", f"<{uuid.uuid4().hex}@site.example>")
        text = headers.pop("text", "Our price is 120 USD.")
        for name, value in headers.items():
            message[name.replace("_", "-")] = value
        message.set_content(text)
        return message.as_bytes()

    return make


@pytest.fixture
def level() -> Callable[..., Any]:
    """Synchronise a mailbox until nothing is left to do; returns the sync used."""
    from guestpost_crm.gmail.api import Gmail
    from guestpost_crm.gmail.quota import Bucket
    from guestpost_crm.gmail.sync import MailboxSync

    def act(mailbox: Any) -> Any:
        sync = MailboxSync(mailbox, Gmail(mailbox, Bucket(6_000_000)))
        sync.catch_up()
        while sync.list_page():
            pass
        while items := sync.next_items(10):
            sync.fetch(items)
        return sync

    return act


@pytest.fixture(scope="session")
def plane(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> TenantPlane:
    """The tenant's namespace at an API server."""
    return tenant_plane(plane, tmp_path_factory.mktemp("tenant"))


@pytest.fixture
def in_cluster(
    crm: None, plane: TenantPlane, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Path]:
    """The CRM with its namespace at the API server; the folder is the export's volume."""
    from guestpost_crm import environment

    port = str(free_port())
    export = {"PORT": port, "EXPORT_URL": f"http://127.0.0.1:{port}", "EXPORT_FOLDER": str(tmp_path)}
    for name, value in {**plane.variables(), **export}.items():
        monkeypatch.setenv(name, value)
    environment.current.cache_clear()
    yield tmp_path
    plane.clear()
    monkeypatch.undo()
    environment.current.cache_clear()


@pytest.fixture
def page(owner: Any) -> Any:
    """The owner's browser."""
    from django.test import Client

    client = Client(headers={"host": "acme.localhost"})
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    return client
