"""Keys and passwords are exchanged while people work: out of a Secret into Google's KMS, and back."""

from __future__ import annotations

import base64
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import httpx
import pytest
from google_standin.testing import Control
from guestpost_demo import journey
from guestpost_demo.person import Person
from guestpost_demo.platform import Platform
from guestpost_demo.waiting import until

ASK = "guestpostcrm.com/rotate-keys-requested-at"
LOGINS = {"crm": "db-credentials", "crm_b": "db-credentials-b"}
# Between two requests of each that a person does at the same time.
PAUSE_SECONDS = 0.4
TEXT = "Our price is 120 USD."


@pytest.fixture(scope="module")
def person(tenant: Any, control: Control) -> Person:
    """The owner, signed in, with a connected mailbox."""
    owner = Person(tenant.url, tenant.owner)
    journey.sign_in(owner)
    if "Connected" not in owner.get("/mailboxes").text:
        journey.connect_mailbox(owner)
    return owner


def deliver(control: Control, tenant: Any) -> str:
    """A message arrives; its subject."""
    subject = f"Rates {uuid.uuid4().hex[:8]}"
    headers = ("From: Bob <bob@site.example>", f"To: {tenant.owner}", f"Subject: {subject}")
    control.deliver(tenant.owner, "\r\n".join((*headers, "", TEXT, "")).encode())
    return subject


def thread(person: Person, subject: str) -> str:
    """Where the thread about it is, once it is in the inbox."""
    page = until("the mail", lambda: journey.open_thread(person, subject), seconds=60)
    assert TEXT in page.text
    return str(page.url.path)


@contextmanager
def asking(*tries: Callable[[], str]) -> Iterator[Counter[str]]:
    """Everything is tried again and again at the same time; counts what each came to."""
    over, outcomes = threading.Event(), Counter[str]()

    def ask(one: Callable[[], str]) -> None:
        while not over.wait(PAUSE_SECONDS):
            try:
                outcome = one()
            except (httpx.HTTPError, LookupError) as error:
                outcome = repr(error)
            outcomes[outcome] += 1

    threads = [threading.Thread(target=ask, args=(each,), daemon=True) for each in tries]
    for each in threads:
        each.start()
    try:
        yield outcomes
    finally:
        over.set()
        for each in threads:
            each.join(60)


def outcome(page: httpx.Response, path: str, words: str) -> str:
    """`well` when it is the page that was asked for and says something; else what came instead."""
    if (page.status_code, page.url.path) == (200, path) and words in page.text:
        return "well"
    return f"{path}: {page.status_code} at {page.url.path}"


def secret(platform: Platform, namespace: str, name: str) -> dict[str, str]:
    data = platform.get("secret", name, "-n", namespace)["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def exchanged(platform: Platform, name: str) -> dict[str, Any]:
    """Ask for an exchange and wait until it is over; what the status says of keys."""
    word = uuid.uuid4().hex
    platform.kubectl("annotate", "gpt", name, f"{ASK}={word}", "--overwrite")

    def over() -> dict[str, Any] | None:
        keys = platform.get("gpt", name)["status"].get("keys") or {}
        if (keys.get("requested"), keys.get("stage")) == (word, "Rotated"):
            return dict(keys)
        raise LookupError(f"the status says {keys}")

    found = until("the exchange to be over", over, seconds=240)
    platform.tenant_ready(name, seconds=120)
    return found


def asleep_and_awake(platform: Platform, name: str) -> None:
    """No pod is left for a moment."""
    for state in ("Hibernated", "Running"):
        platform.kubectl("patch", "gpt", name, "--type=merge", "-p", f'{{"spec": {{"state": "{state}"}}}}')

        def reached(state: str = state) -> bool:
            conditions = platform.get("gpt", name)["status"]["conditions"]
            return ("Ready", "True", state) in {
                (each["type"], each["status"], each["reason"]) for each in conditions
            }

        until(f"{name} to be {state}", reached, seconds=180)


def passwords_known(platform: Platform, namespace: str) -> bool:
    """Whether PostgreSQL has the passwords that both Secrets hold now."""
    status = platform.get("cluster", "db", "-n", namespace)["status"]["managedRolesStatus"]
    versions = {
        login: platform.get("secret", name, "-n", namespace)["metadata"]["resourceVersion"]
        for login, name in LOGINS.items()
    }
    known = {login: each.get("resourceVersion") for login, each in status["passwordStatus"].items()}
    return known == versions


def login(platform: Platform, namespace: str, credentials: dict[str, str]) -> str:
    """What PostgreSQL answers to a name and a password; empty when it lets them in.

    Asked from where CloudNativePG's operator is: nobody but it and the tenant's own programs gets there.
    """
    name, where = f"login-{uuid.uuid4().hex[:8]}", "cnpg-system"
    target = f"host=db-rw.{namespace}.svc dbname=crm sslmode=require user={credentials['username']}"
    container = {
        "name": "psql",
        "image": platform.images["postgresql"],
        "command": ["psql", target, "-c", "SELECT 1"],
        "env": [{"name": "PGPASSWORD", "value": credentials["password"]}],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    restricted = {"runAsNonRoot": True, "runAsUser": 26, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"restartPolicy": "Never", "securityContext": restricted, "containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": where}, "spec": spec}
    platform.apply_tenant(pod)

    def ended() -> dict[str, Any] | None:
        [status] = platform.get("pod", name, "-n", where)["status"].get("containerStatuses") or [{}]
        return (status.get("state") or {}).get("terminated")

    try:
        answer = until("psql to end", ended, seconds=60)
    finally:
        platform.kubectl("delete", "pod", name, "-n", where, "--wait=false")
    return str(answer.get("message") or "nothing was said") if answer["exitCode"] else ""


@pytest.mark.promise("P8.1")
@pytest.mark.parametrize("kind", ["KMS", "Secret"])
def test_keys_and_passwords_are_exchanged_while_people_work(
    platform: Platform, tenant: Any, control: Control, person: Person, release: Any, kind: str
) -> None:
    namespace, path = tenant.status["namespace"]["name"], thread(person, deliver(control, tenant))
    before = secret(platform, namespace, "crm-keys")
    used = (platform.get("gpt", tenant.name)["status"].get("keys") or {}).get("login", "crm")
    old = secret(platform, namespace, LOGINS[used])
    assert login(platform, namespace, old) == ""

    # Three things at the same time in one browser, which has one session.
    with (
        release.having("tenants.keys.kind=KMS") if kind == "KMS" else nullcontext(),
        asking(
            lambda: outcome(person.get("/"), "/", tenant.owner),
            lambda: outcome(person.get(path), path, TEXT),
            lambda: outcome(person.submit(person.get("/account"), {}, action="/account"), "/account", ""),
        ) as outcomes,
    ):
        status = exchanged(platform, tenant.name)
        ring = f"KMS {str(status.get('kmsKey')).partition('/cryptoKeys/')[0]}"
        assert (ring in release.test()) == (kind == "KMS")
    assert set(outcomes) == {"well"}
    assert outcomes["well"] > 30

    after = secret(platform, namespace, "crm-keys")
    assert set(after) == set(before), "the old keys are gone"
    assert all(after[key] != before[key] for key in ("tenant-key", "django-secret-key"))
    where, _, key = after["tenant-key"].rpartition(":")
    assert where == (status["kmsKey"] if kind == "KMS" else "")
    assert base64.b64decode(key, validate=True)

    now = status.get("login", "crm")
    assert now != used
    until("PostgreSQL to have new passwords", lambda: passwords_known(platform, namespace), seconds=60)
    assert login(platform, namespace, secret(platform, namespace, LOGINS[now])) == ""
    assert "password authentication failed" in login(platform, namespace, old)

    if kind == "Secret":
        # What pods hold that have run on is one thing; what is kept has to do when none is left.
        asleep_and_awake(platform, tenant.name)
    # Mail of before and the consent still open, the session is one still, and sync goes on.
    assert outcome(person.get(path), path, TEXT) == "well"
    thread(person, deliver(control, tenant))
