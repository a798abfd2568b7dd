"""The CRM on a real PostgreSQL, with Google's stand-in and the real broker: everything on 127.0.0.1."""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from typing import Any

import local_services
import pytest
from google.iam.v1 import policy_pb2
from google_standin.testing import GoogleStandin

OWNER = "anna@acme.example"
PUSH = "serviceAccount:gmail-api-push@system.gserviceaccount.com"
TOPIC = "projects/guestpost-dev/topics/acme"
SUBSCRIPTION = "projects/guestpost-dev/subscriptions/acme"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A database of this run's own."""
    try:
        with local_services.postgres() as address:
            yield address
    except local_services.MissingPostgresError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def crm_environment(
    postgres: str, google: GoogleStandin, broker: Any, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The environment of this tenant's programs; also set for this process."""
    assert google.pubsub is not None
    folder = tmp_path_factory.mktemp("crm")
    url = "http://acme.localhost:8080"
    token = broker.kubernetes.add("acme", url)
    for name, content in (
        ("secret", b"s" * 50),
        ("key", base64.b64encode(b"k" * 32)),
        ("token", token.encode()),
    ):
        (folder / name).write_bytes(content)
    environment = {
        "DJANGO_SETTINGS_MODULE": "guestpost_crm.settings",
        "DATABASE_URL": postgres,
        "PUBLIC_URL": url,
        "TENANT_NAME": "acme",
        "TENANT_UID": "uid-of-acme",
        "OWNER_EMAIL": OWNER,
        "OWNER_NAME": "Anna Reyes",
        "DJANGO_SECRET_KEY_FILE": str(folder / "secret"),
        "TENANT_KEY_FILE": str(folder / "key"),
        "PUBSUB_TOPIC": TOPIC,
        "PUBSUB_SUBSCRIPTION": SUBSCRIPTION,
        "PUBSUB_EMULATOR_HOST": google.pubsub.host,
        "GMAIL_API_ENDPOINT": google.url,
        "GOOGLE_ISSUER": google.url,
        "GOOGLE_CERTS_URL": f"{google.url}/oauth2/v1/certs",
        "GOOGLE_CLIENT_ID": local_services.CLIENT_ID,
        "BROKER_URL": broker.url,
        "BROKER_TOKEN_FILE": str(folder / "token"),
        "OUTBOX_SETTLE_SECONDS": "0.2",
        "METRICS_PORT": "0",
    }
    os.environ.update(environment)
    return environment


@pytest.fixture(scope="session")
def crm(crm_environment: dict[str, str], google: GoogleStandin) -> None:
    """Django set up, the tables made, the topic there."""
    import django
    from django.core.management import call_command

    assert google.pubsub is not None
    django.setup()
    call_command("migrate", verbosity=0)
    publisher, subscriber = google.pubsub.publisher(), google.pubsub.subscriber()
    publisher.create_topic(request={"name": TOPIC})
    binding = policy_pb2.Binding(role="roles/pubsub.publisher", members=[PUSH])
    publisher.set_iam_policy(request={"resource": TOPIC, "policy": policy_pb2.Policy(bindings=[binding])})
    subscriber.create_subscription(request={"name": SUBSCRIPTION, "topic": TOPIC})


@pytest.fixture(autouse=True)
def clean(crm: None, google: GoogleStandin) -> Iterator[None]:
    """Every test begins with empty tables and a Google without faults."""
    from django.apps import apps
    from django.db import connection
    from guestpost_crm.crypto.services import ensure_data_key, forget_keys

    tables = [model._meta.db_table for model in apps.get_models() if model._meta.app_label != "contenttypes"]
    quoted = ", ".join(f'"{table}"' for table in tables)
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {quoted} RESTART IDENTITY CASCADE")
    forget_keys()
    ensure_data_key()
    google.control.no_faults()
    google.control.settings(quotaUnitsPerMinute=6000, notificationsPerSecond=1, keepMessageIds=False)
    yield
    google.control.no_faults()


@pytest.fixture
def owner() -> Any:
    """The owner, signed in once before."""
    from guestpost_crm.accounts.models import Person, Role
    from guestpost_crm.privacy import policy

    person = Person.objects.create(sub="sub-of-anna", email=OWNER, name="Anna Reyes", role=Role.OWNER)
    policy.accept(person)
    return person


@pytest.fixture
def address(google: GoogleStandin) -> str:
    """A Gmail account of its own for each test."""
    address = f"desk-{uuid.uuid4().hex[:10]}@acme.example"
    google.control.account(address, "Anna Reyes", historyId=990)
    return address


@pytest.fixture
def connect(google: GoogleStandin, broker: Any, owner: Any) -> Callable[[str], Any]:
    """Connect a mailbox as the pages do, without the pages."""
    import httpx
    from google.oauth2 import id_token  # noqa: F401 - the same library that the CRM verifies with
    from guestpost_crm.accounts.signin import verify
    from guestpost_crm.gmail import consent
    from guestpost_crm.gmail.broker import Broker
    from lxml import html

    def act(address: str) -> Any:
        begun = Broker().begin("mailbox", address)
        [form] = html.fromstring(httpx.get(begun.url).text).forms
        allowed = form.xpath(".//input[@name='allow']/@value")
        data = {"email": address, "decision": "allow", "allow": allowed}
        back = httpx.post(f"{google.url}{form.get('action')}", data=data)
        code = httpx.URL(back.headers["location"]).params["code"]
        tokens = Broker().exchange(begun.state, code, begun.verifier)
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
        sync = MailboxSync(mailbox, Gmail(mailbox.token, Bucket(6_000_000)))
        sync.catch_up()
        while sync.list_page():
            pass
        while (item := sync.next_item()) is not None:
            sync.fetch(item)
        return sync

    return act
