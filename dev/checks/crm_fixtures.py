"""Fixtures of every test that needs a CRM: PostgreSQL, Google's stand-in, the broker, Django set up.

A plugin and no conftest: tests/integration and tests/browser may run in one process, and a process has one
Django with one database. Everything listens on 127.0.0.1.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from making import Make

if TYPE_CHECKING:
    from google_standin.testing import GoogleStandin
    from local_services import BrokerServer

HOST = "acme.localhost"
OWNER = "anna@acme.example"
URL = "http://acme.localhost:8080"
PUSH = "serviceAccount:gmail-api-push@system.gserviceaccount.com"
TOPIC = "projects/guestpost-dev/topics/acme"
SUBSCRIPTION = "projects/guestpost-dev/subscriptions/acme"


@pytest.fixture(scope="session")
def google() -> Iterator[GoogleStandin]:
    """Google on 127.0.0.1, with Pub/Sub and two OAuth clients: `app`, and the broker's."""
    import local_services
    from google_standin.testing import GoogleStandin

    with GoogleStandin() as running:
        running.control.client("app", "secret", local_services.REDIRECT)
        running.control.client(
            local_services.CLIENT_ID, local_services.CLIENT_SECRET, local_services.REDIRECT
        )
        yield running


@pytest.fixture(scope="session")
def broker(google: GoogleStandin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerServer]:
    """The real broker on 127.0.0.1, with a Kubernetes in memory."""
    import local_services

    with local_services.broker(google.url, tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A database of this run's own."""
    import local_services

    try:
        with local_services.postgres() as address:
            yield address
    except local_services.MissingPostgresError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def crm_database(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Django set up and the tables made, without Google: the environment, also set for this process."""
    import django
    import local_services
    from django.core.management import call_command

    environment = local_services.crm_environment(
        postgres, tmp_path_factory.mktemp("crm"), URL, "t", OWNER_EMAIL=OWNER, OWNER_NAME="Anna Reyes"
    )
    os.environ.update(environment)
    django.setup()
    call_command("migrate", verbosity=0)
    return environment


@pytest.fixture(scope="session")
def crm_environment(
    crm_database: dict[str, str], google: GoogleStandin, broker: BrokerServer
) -> dict[str, str]:
    """The environment of this tenant's programs with Google and the broker; also set for this process."""
    import local_services
    from guestpost_crm import environment as settings

    assert google.pubsub is not None  # noqa: S101 - a fixture is a test
    token = broker.kubernetes.add("acme", URL)
    Path(crm_database["BROKER_TOKEN_FILE"]).write_text(token, encoding="utf-8")
    # The broker knows the web's pod from the sync's: a process of its own takes this one.
    sync_token = Path(crm_database["BROKER_TOKEN_FILE"]).with_name("sync-token")
    sync_token.write_text(broker.kubernetes.add("acme", URL, "sync"), encoding="utf-8")
    environment = {
        **crm_database,
        "PUBSUB_TOPIC": TOPIC,
        "PUBSUB_SUBSCRIPTION": SUBSCRIPTION,
        "PUBSUB_EMULATOR_HOST": google.pubsub.host,
        "GMAIL_API_ENDPOINT": google.url,
        "GOOGLE_ISSUER": google.url,
        "GOOGLE_CERTS_URL": f"{google.url}/oauth2/v1/certs",
        "GOOGLE_CLIENT_ID": local_services.CLIENT_ID,
        "BROKER_URL": broker.url,
        "OUTBOX_SETTLE_SECONDS": "0.2",
        "UNDO_SEND_SECONDS": "0",
        "METRICS_PORT": "0",
    }
    os.environ.update(environment)
    settings.current.cache_clear()
    return environment


@pytest.fixture(scope="session")
def crm(crm_environment: dict[str, str], google: GoogleStandin) -> None:
    """The CRM with Google: its topic is there."""
    from google.iam.v1 import policy_pb2

    assert google.pubsub is not None  # noqa: S101 - a fixture is a test
    publisher, subscriber = google.pubsub.publisher(), google.pubsub.subscriber()
    publisher.create_topic(request={"name": TOPIC})
    binding = policy_pb2.Binding(role="roles/pubsub.publisher", members=[PUSH])
    publisher.set_iam_policy(request={"resource": TOPIC, "policy": policy_pb2.Policy(bindings=[binding])})
    subscriber.create_subscription(request={"name": SUBSCRIPTION, "topic": TOPIC})


@pytest.fixture
def clean_crm(crm_database: dict[str, str]) -> None:
    """Empty tables."""
    clear_tables()


def clear_tables() -> None:
    """Empty every table of the CRM, and make a new data key."""
    from django.db import connection
    from guestpost_crm.crypto.services import ensure_data_key, forget_keys

    tables = set(connection.introspection.django_table_names(only_existing=True, include_views=False))
    some = " UNION ALL ".join(
        f"SELECT '{table}' WHERE EXISTS (SELECT FROM \"{table}\")"  # noqa: S608 - names of our own tables
        for table in sorted(tables - {"django_content_type"})
    )
    with connection.cursor() as cursor:
        # Only those that hold something: forty times as fast as emptying all.
        cursor.execute(some)
        if full := ", ".join(f'"{table}"' for (table,) in cursor.fetchall()):
            # Somebody who holds a lock for ever is to be told of, not waited for.
            cursor.execute("SET lock_timeout = '60s'")
            cursor.execute(f"TRUNCATE {full} RESTART IDENTITY CASCADE")
            cursor.execute("RESET lock_timeout")
        cursor.execute(
            "SELECT setval(sequence, 1, false) FROM (SELECT format('%I', sequencename)::regclass AS sequence"
            " FROM pg_sequences WHERE last_value IS NOT NULL"
            " AND sequencename NOT IN ('django_migrations_id_seq', 'django_content_type_id_seq')) AS used"
        )
    forget_keys()
    ensure_data_key()


@pytest.fixture
def owner(clean_crm: None) -> Any:
    """The owner, signed in once before."""
    from guestpost_crm.accounts.models import Person, Role
    from guestpost_crm.privacy import policy

    person = Person.objects.create(sub="sub-of-anna", email=OWNER, name="Anna Reyes", role=Role.OWNER)
    policy.accept(person)
    return person


@pytest.fixture
def person(clean_crm: None) -> Callable[..., Any]:
    """Makes people of a role who have accepted the policy."""
    from guestpost_crm.accounts.models import Person
    from guestpost_crm.privacy import policy

    def make(role: str = "member", name: str = "") -> Any:
        count = Person.objects.count()
        email, name = f"{role}{count}@acme.example", name or f"{role.title()} {count}"
        made = Person.objects.create(sub=f"sub-{count}", email=email, name=name, role=role)
        policy.accept(made)
        return made

    return make


@pytest.fixture
def browser(crm_database: dict[str, str]) -> Callable[[Any], Any]:
    """A person's browser, signed in: Django's test client."""
    from django.test import Client

    def make(person: Any, **options: Any) -> Any:
        client = Client(headers={"host": HOST}, **options)
        client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return make


@pytest.fixture
def make() -> Make:
    """Makes records."""
    return Make()


@pytest.fixture
def django_queries(crm_database: dict[str, str]) -> Callable[[], Any]:
    """What this process asks the database inside a `with` block."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    return lambda: CaptureQueriesContext(connection)
