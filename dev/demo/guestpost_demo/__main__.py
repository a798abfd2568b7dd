"""`python -m guestpost_demo up`: from nothing to a CRM with mail; `mail` brings more; `down` ends it."""

from __future__ import annotations

import argparse
import datetime as dt
import subprocess
import sys
import time
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

import httpx
import yaml
from google_standin.testing import Control
from localkube import binaries
from localkube.binaries import BuildError
from localkube.box import UnsupportedMachineError
from localkube.images import ImageError
from localkube.process import StartError
from localkube.target import CURRENT, TargetError, kubeconfig_of_current

from guestpost_demo import desk, guide, journey, mailbox, target
from guestpost_demo.person import Person
from guestpost_demo.platform import ROOT, Platform
from guestpost_demo.progress import step
from guestpost_demo.waiting import until

TENANT = ROOT / "examples/01-first-tenant.yaml"
# Somebody to invite; and who owns the tenants of the other examples that run here as they are.
COLLEAGUE = ("carla@acme.example", "Carla Diaz")
OTHERS = (COLLEAGUE, ("it@wide-world.example", "Wide World Media"))
EDITORS = (
    ("Mira Holt", "gardening.example", 140),
    ("Tom Ashby", "slowtravel.example", 220),
    ("Priya Nair", "saaspress.example", 260),
)


def up(cluster: str, port: int) -> None:
    """Cluster, operator, tenant, mail, consent; then a message that arrives by Gmail's push path."""
    started = time.monotonic()
    platform = target.ready(cluster, port)
    with step("stand-ins for Google"):
        platform.install_standins()
    with step("operator, consent broker and dashboard, by Helm"):
        platform.install_operator()
        platform.staff(guide.STAFF)
    tenant = yaml.safe_load(TENANT.read_text(encoding="utf-8"))
    name, owner = tenant["metadata"]["name"], tenant["spec"]["owner"]
    with step(f"tenant {name}: applied, until it is Ready"):
        platform.apply_tenant(tenant)
        ready = platform.tenant_ready(name)
    address = ready["status"]["app"]["url"]
    control = google(platform)
    with step(f"a guest-post desk's mail in {owner['email']}"):
        fresh = fill(control, owner["email"], owner["name"])
        for email, somebody in OTHERS:
            control.account(email, somebody)
    person = Person(address, owner["email"])
    with step(f"{owner['name']} signs in and connects the mailbox"):
        journey.sign_in(person)
        # A stand-in that was restarted has forgotten the consent and the watch besides the mail.
        if fresh or "Connected" not in person.get("/mailboxes").text:
            journey.connect_mailbox(person)
    with step("sites, contacts, orders and offers of the desk"):
        desk.set_up(person, dt.datetime.now(dt.UTC).date())
    with step("a message arrives, and is in the inbox"):
        arrive(control, person, owner["email"])
    seconds = time.monotonic() - started
    print(guide.text(tenant, address, platform.dashboard(), cluster, COLLEAGUE[0], seconds))


def mail(cluster: str, port: int) -> None:
    """One more message for the owner, into a demo that runs.

    Raises:
        RuntimeError: it does not run.
    """
    owner = yaml.safe_load(TENANT.read_text(encoding="utf-8"))["spec"]["owner"]["email"]
    try:
        subject = deliver(_google(target.port(cluster) if cluster != CURRENT else port), owner)
    except httpx.HTTPError as error:
        raise RuntimeError(f"no demo answers ({error}): start it with `make demo`") from error
    print(f"Delivered to {owner}: {subject}")


def down(cluster: str, port: int) -> None:
    """Take back what `up` did."""
    config = kubeconfig_of_current()
    if cluster == CURRENT and config.exists():
        with step("the demo's tenant"):
            kubectl = str(binaries.ensure("kubectl")["kubectl"])
            words = ["delete", "--ignore-not-found", "-f", str(TENANT), "--timeout=180s"]
            subprocess.run([kubectl, f"--kubeconfig={config}", *words], check=True)
    target.remove(cluster, port)


def google(platform: Platform) -> Control:
    """The control interface of Google's stand-in, through the gateway."""
    return _google(platform.port)


def _google(port: int) -> Control:
    return Control(f"http://127.0.0.1:{port}", headers={"Host": f"google.localhost:{port}"})


def fill(control: Control, email: str, name: str) -> bool:
    """Give the owner an account and, the first time, the demo's mailbox; whether it was the first time."""
    control.account(email, name)
    if control.messages(email):
        return False
    mailbox.load(control, email, dt.datetime.now(dt.UTC))
    return True


def deliver(control: Control, email: str) -> str:
    """Put an editor's answer into a mailbox, and return its subject."""
    now = dt.datetime.now(dt.UTC)
    sender, site, price = EDITORS[now.second % len(EDITORS)]
    message = EmailMessage()
    message["From"] = f"{sender} <{sender.split()[0].lower()}@{site}>"
    message["To"] = email
    message["Subject"] = f"Fresh: guest post on {site} ({now:%H:%M:%S})"
    message["Date"] = format_datetime(now)
    message["Message-ID"] = make_msgid(domain=site)
    message.set_content(
        f"Hello,\n\nyes, we still take guest posts. A do-follow link costs {price} USD, live within five\n"
        f"days, and stays for good. Shall I send you our guidelines?\n\nBest, {sender.split()[0]}\n"
    )
    control.deliver(email, message.as_bytes())
    return str(message["Subject"])


def arrive(control: Control, person: Person, email: str) -> None:
    """Deliver a message and wait until the inbox shows it."""
    subject = deliver(control, email)
    until(
        "the message to be in the inbox",
        lambda: any(subject in line for line in journey.subjects(person)),
        seconds=60,
        interval=0.1,
    )


def main() -> int:
    """Run; what goes wrong is said in words."""
    parser = argparse.ArgumentParser(prog="guestpost_demo", description=__doc__)
    parser.add_argument("command", choices=["up", "mail", "down"])
    parser.add_argument("--cluster", default="demo")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    try:
        {"up": up, "mail": mail, "down": down}[options.command](options.cluster, options.port)
    except (
        BuildError,
        ImageError,
        StartError,
        TargetError,
        UnsupportedMachineError,
        TimeoutError,
        RuntimeError,
        ValueError,
    ) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"demo: {error}\n{(error.stderr or '')[-2000:]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
