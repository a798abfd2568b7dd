"""One tenant's CRM with a connected mailbox at Google's stand-in: what the benchmarks of mail begin with."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import local_services
from google.iam.v1 import policy_pb2
from google_standin.testing import GoogleStandin
from google_standin.testing import consent as at_google

ADDRESS = "desk@acme.example"
URL = "http://acme.localhost:8080"
TOPIC = f"projects/{local_services.PROJECT}/topics/acme"
SUBSCRIPTION = f"projects/{local_services.PROJECT}/subscriptions/acme"
PUSH = "serviceAccount:gmail-api-push@system.gserviceaccount.com"


@contextmanager
def desk(**more: str) -> Iterator[GoogleStandin]:
    """Google, the broker, a database, tables and a connected mailbox; the environment is this process's.

    Args:
        **more: further variables of the CRM.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        google = stack.enter_context(GoogleStandin())
        assert google.pubsub is not None
        broker = stack.enter_context(local_services.broker(google.url, folder))
        database = stack.enter_context(local_services.postgres())
        os.environ.update(
            local_services.crm_environment(
                database,
                folder,
                URL,
                broker_token=broker.kubernetes.add("acme", URL),
                OWNER_EMAIL=ADDRESS,
                PUBSUB_TOPIC=TOPIC,
                PUBSUB_SUBSCRIPTION=SUBSCRIPTION,
                PUBSUB_EMULATOR_HOST=google.pubsub.host,
                GMAIL_API_ENDPOINT=google.url,
                GOOGLE_ISSUER=google.url,
                GOOGLE_CERTS_URL=f"{google.url}/oauth2/v1/certs",
                BROKER_URL=broker.url,
                METRICS_PORT="0",
                **more,
            )
        )
        _prepare(google)
        _connect(google)
        # From here on it is the sync that asks the broker.
        (folder / "token").write_text(broker.kubernetes.add("acme", URL, "sync"), encoding="utf-8")
        yield google


def _prepare(google: GoogleStandin) -> None:
    """Topic, subscription, tables."""
    import django
    from django.core.management import call_command

    assert google.pubsub is not None
    google.control.client(local_services.CLIENT_ID, local_services.CLIENT_SECRET, local_services.REDIRECT)
    google.control.account(ADDRESS, "Desk")
    publisher, subscriber = google.pubsub.publisher(), google.pubsub.subscriber()
    publisher.create_topic(request={"name": TOPIC})
    binding = policy_pb2.Binding(role="roles/pubsub.publisher", members=[PUSH])
    publisher.set_iam_policy(request={"resource": TOPIC, "policy": policy_pb2.Policy(bindings=[binding])})
    subscriber.create_subscription(request={"name": SUBSCRIPTION, "topic": TOPIC})
    django.setup()
    from guestpost_crm.crypto.services import ensure_data_key

    call_command("migrate", verbosity=0)
    ensure_data_key()


def _connect(google: GoogleStandin) -> None:
    """The owner consents, as in the pages."""
    from guestpost_crm.accounts.models import Person, Role
    from guestpost_crm.accounts.signin import verify
    from guestpost_crm.gmail import consent
    from guestpost_crm.gmail.broker import Broker

    owner = Person.objects.create(sub="owner", email=ADDRESS, name="Desk", role=Role.OWNER)
    begun = Broker().begin("mailbox", ADDRESS)
    tokens = Broker().exchange(begun.state, at_google(begun.url)["code"], begun.verifier)
    consent.connect(owner, verify(tokens["id_token"], begun.nonce), tokens["sealed_refresh_token"])
