"""`python -m guestpost_demo up`: from nothing to a CRM with mail in it; `down` takes it back."""

from __future__ import annotations

import argparse
import datetime as dt
import subprocess
import sys
import time
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

import yaml
from google_standin.testing import Control
from localkube import binaries
from localkube.binaries import BuildError
from localkube.box import UnsupportedMachineError
from localkube.images import ImageError
from localkube.process import StartError
from localkube.target import CURRENT, TargetError, kubeconfig_of_current

from guestpost_demo import journey, mailbox, target
from guestpost_demo.person import Person
from guestpost_demo.platform import ROOT, Platform
from guestpost_demo.progress import step
from guestpost_demo.waiting import until

TENANT = ROOT / "examples/01-first-tenant.yaml"


def up(cluster: str, port: int) -> None:
    """Cluster, operator, tenant, mail, consent; then a message that arrives by Gmail's push path."""
    started = time.monotonic()
    platform = target.ready(cluster, port)
    with step("stand-ins for Google"):
        platform.install_standins()
    with step("operator and consent broker, by Helm"):
        platform.install_operator()
    tenant = yaml.safe_load(TENANT.read_text(encoding="utf-8"))
    name, owner = tenant["metadata"]["name"], tenant["spec"]["owner"]
    with step(f"tenant {name}: applied, until it is Ready"):
        platform.apply_tenant(tenant)
        ready = platform.tenant_ready(name)
    address = ready["status"]["app"]["url"]
    control = google(platform)
    with step(f"a guest-post desk's mail in {owner['email']}"):
        fill(control, owner["email"], owner["name"])
    person = Person(address, owner["email"])
    with step(f"{owner['name']} signs in and connects the mailbox"):
        journey.sign_in(person)
        if "Connected" not in person.get("/mailboxes").text:
            journey.connect_mailbox(person)
    with step("a message arrives, and is in the inbox"):
        arrive(control, person, owner["email"])
    print(
        f"\nThe CRM is at {address}\n"
        f"Sign in with Google as {owner['email']} (the stand-in asks for no password).\n"
        f"The cluster: export KUBECONFIG={platform.kubeconfig}\n"
        f"Everything took {time.monotonic() - started:.0f} s. `make demo-down` removes it all."
    )


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
    host = {"Host": f"google.localhost:{platform.port}"}
    return Control(f"http://127.0.0.1:{platform.port}", headers=host)


def fill(control: Control, email: str, name: str) -> None:
    """Give the owner an account and, the first time, the demo's mailbox."""
    control.account(email, name)
    if not control.messages(email):
        mailbox.load(control, email, dt.datetime.now(dt.UTC))


def arrive(control: Control, person: Person, email: str) -> None:
    """Deliver a message and wait until the inbox shows it."""
    subject = f"Fresh: guest post on gardening.example ({dt.datetime.now(dt.UTC):%H:%M:%S})"
    message = EmailMessage()
    message["From"] = "Mira Holt <mira@gardening.example>"
    message["To"] = email
    message["Subject"] = subject
    message["Date"] = format_datetime(dt.datetime.now(dt.UTC))
    message["Message-ID"] = make_msgid(domain="gardening.example")
    message.set_content(
        "Hello,\n\nyes, we still take guest posts. A do-follow link costs 140 USD, live within five days,\n"
        "and stays for good. Shall I send you our guidelines?\n\nBest, Mira\n"
    )
    control.deliver(email, message.as_bytes())
    until(
        "the message to be in the inbox",
        lambda: any(subject in line for line in journey.subjects(person)),
        seconds=60,
        interval=0.1,
    )


def main() -> int:
    """Run; what goes wrong is said in words."""
    parser = argparse.ArgumentParser(prog="guestpost_demo", description=__doc__)
    parser.add_argument("command", choices=["up", "down"])
    parser.add_argument("--cluster", default="demo")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    try:
        {"up": up, "down": down}[options.command](options.cluster, options.port)
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
