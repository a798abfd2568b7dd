"""Mail put into Gmail's stand-in until it is visible in the inbox's query, with the quota on.

    make bench NAME=notify

The real sync process, the real broker, PostgreSQL and the stand-ins run on this machine; 500 messages
arrive at four a second. A message is visible when the query of the inbox's first page gives it; that is
asked every few milliseconds.
"""

from __future__ import annotations

import argparse
import base64
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import local_services
from django.utils import timezone
from google.iam.v1 import policy_pb2
from google_standin.testing import GoogleStandin
from harness import figure, say
from lxml import html

ADDRESS = "desk@acme.example"
TOPIC = f"projects/{local_services.PROJECT}/topics/acme"
SUBSCRIPTION = f"projects/{local_services.PROJECT}/subscriptions/acme"
PUSH = "serviceAccount:gmail-api-push@system.gserviceaccount.com"


def environment(google: GoogleStandin, broker: Any, database: str, folder: Path) -> dict[str, str]:
    """The tenant's environment, as the operator would give it."""
    url = "http://acme.localhost:8080"
    contents = {
        "secret": b"s" * 50,
        "key": base64.b64encode(b"k" * 32),
        "token": broker.kubernetes.add("acme", url, "sync").encode(),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    assert google.pubsub is not None
    return {
        "DJANGO_SETTINGS_MODULE": "guestpost_crm.settings",
        "DATABASE_URL": database,
        "PUBLIC_URL": url,
        "TENANT_NAME": "acme",
        "TENANT_UID": "uid-of-acme",
        "OWNER_EMAIL": ADDRESS,
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
        "METRICS_PORT": "0",
    }


def prepare(google: GoogleStandin) -> None:
    """Topic, subscription, tables, and a connected mailbox."""
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
    connect(google)


def connect(google: GoogleStandin) -> None:
    """The owner consents, as in the pages."""
    from guestpost_crm.accounts.models import Person, Role
    from guestpost_crm.accounts.signin import verify
    from guestpost_crm.gmail import consent
    from guestpost_crm.gmail.broker import Broker

    owner = Person.objects.create(sub="owner", email=ADDRESS, name="Desk", role=Role.OWNER)
    begun = Broker().begin("mailbox", ADDRESS)
    [form] = html.fromstring(httpx.get(begun.url).text).forms
    allowed = form.xpath(".//input[@name='allow']/@value")
    data = {"email": ADDRESS, "decision": "allow", "allow": allowed}
    back = httpx.post(f"{google.url}{form.get('action')}", data=data)
    tokens = Broker().exchange(
        begun.state, httpx.URL(back.headers["location"]).params["code"], begun.verifier
    )
    consent.connect(owner, verify(tokens["id_token"], begun.nonce), tokens["sealed_refresh_token"])


class Watcher(threading.Thread):
    """Asks for the inbox's first page again and again, and notes when each subject was first there."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: dict[str, float] = {}
        self.ended = threading.Event()

    def run(self) -> None:
        """Ask until ended."""
        from guestpost_crm.inbox import listing

        while not self.ended.wait(0.005):
            now = time.monotonic()
            for thread in listing.page("inbox").threads:
                self.seen.setdefault(thread.subject, now)


def mail(subject: str) -> bytes:
    """A short message of now."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Bob <bob@site.example>", ADDRESS, subject
    message["Date"], message["Message-ID"] = format_datetime(timezone.now()), f"<{subject}@site.example>"
    message.set_content("Our price is 120 USD, live within five days.\n")
    return message.as_bytes()


def deliver(google: GoogleStandin, count: int, per_second: float) -> dict[str, float]:
    """Let messages arrive at an even rate; returns when each was put in."""
    put: dict[str, float] = {}
    begun = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, begun + number / per_second - time.monotonic()))
        subject = f"notify-{number}"
        put[subject] = time.monotonic()
        google.control.deliver(ADDRESS, mail(subject), internalDate=time.time_ns() // 1_000_000)
    return put


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=500)
    parser.add_argument("--rate", type=float, default=4.0, help="messages a second")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        google = stack.enter_context(GoogleStandin())
        broker = stack.enter_context(local_services.broker(google.url, folder))
        database = stack.enter_context(local_services.postgres())
        os.environ.update(environment(google, broker, database, folder))
        prepare(google)
        sync = subprocess.Popen([sys.executable, "-m", "guestpost_crm", "sync"], stdout=sys.stderr)
        stack.callback(sync.wait, 20)
        stack.callback(sync.terminate)
        deadline = time.monotonic() + 30
        while ADDRESS not in google.control.usage()["watches"] and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1.5)
        google.control.forget_usage()
        watcher = Watcher()
        watcher.start()
        say(f"{options.messages} messages at {options.rate} a second")
        put = deliver(google, options.messages, options.rate)
        deadline = time.monotonic() + 30
        while len(put.keys() - watcher.seen.keys()) and time.monotonic() < deadline:
            time.sleep(0.05)
        usage = google.control.usage()
        watcher.ended.set()
        watcher.join(5)
    missing = len(put.keys() - watcher.seen.keys())
    delays = sorted(watcher.seen[subject] - at for subject, at in put.items() if subject in watcher.seen)
    units = usage["accounts"][ADDRESS]["totalUnits"]
    notices = usage["notifications"]
    figure("notify.p50", statistics.median(delays), "s")
    figure("notify.p99", delays[int(len(delays) * 0.99) - 1], "s", missing=missing)
    figure("notify.units_per_message", units / len(put), "units", 20, **notices)


if __name__ == "__main__":
    main()
