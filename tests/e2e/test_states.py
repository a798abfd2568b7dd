"""A real server is suspended and resumed, put to sleep and woken; mail that comes meanwhile is not lost."""

from __future__ import annotations

import json
import uuid
from typing import Any

import httpx
import pytest
from google_standin.testing import Control
from guestpost_demo import journey
from guestpost_demo.person import Person
from guestpost_demo.platform import Platform
from guestpost_demo.waiting import until

REASON = "The invoice of May is open; write to billing@example.com"


def ask(platform: Platform, name: str, state: str, reason: str | None = None) -> None:
    spec = {"state": state, "suspendReason": reason}
    patch = json.dumps({"spec": spec})
    platform.kubectl("patch", "guestposttenant", name, "--type=merge", "-p", patch)


def reached(platform: Platform, name: str, state: str) -> dict[str, Any]:
    def there() -> dict[str, Any] | None:
        found = platform.get("guestposttenant", name)
        status = found["status"]
        ready = next(each for each in status["conditions"] if each["type"] == "Ready")
        current = status["observedGeneration"] == found["metadata"]["generation"]
        return status if current and (ready["status"], ready["reason"]) == ("True", state) else None

    return until(f"{name} to be {state}", there, seconds=180)


def pods(platform: Platform, name: str) -> list[str]:
    return [item["metadata"]["name"] for item in platform.get("pods", "-n", f"gpt-{name}")["items"]]


def answer(person: Person, code: int) -> httpx.Response | None:
    """The page once it has this status."""
    page = person.get("/")
    return page if page.status_code == code else None


@pytest.mark.promise("P4.1")
def test_suspended_asleep_and_back_without_losing_mail(
    platform: Platform, tenant: Any, control: Control
) -> None:
    person = Person(tenant.url, tenant.owner)
    journey.sign_in(person)
    if "Connected" not in person.get("/mailboxes").text:
        journey.connect_mailbox(person)
    until("the watch", lambda: tenant.owner in control.usage()["watches"], seconds=30)

    ask(platform, tenant.name, "Suspended", REASON)
    reached(platform, tenant.name, "Suspended")
    # The pod of before still answers on open connections until it has ended.
    page = until("the closed page", lambda: answer(person, code=503), seconds=60)
    assert REASON in page.text
    assert tenant.owner not in control.usage()["watches"], "Gmail was told"
    assert not [name for name in pods(platform, tenant.name) if name.startswith("sync-")]
    while_suspended = deliver(control, tenant)

    ask(platform, tenant.name, "Hibernated")
    reached(platform, tenant.name, "Hibernated")
    # The pod of the Job that told Gmail goes with its Job.
    until("no pods", lambda: not pods(platform, tenant.name), seconds=60)
    while_asleep = deliver(control, tenant)

    ask(platform, tenant.name, "Running")
    reached(platform, tenant.name, "Running")
    for subject in (while_suspended, while_asleep):
        until(
            "the mail that came meanwhile",
            lambda subject=subject: any(subject in line for line in journey.subjects(person)),
            seconds=60,
        )
    until("the watch", lambda: tenant.owner in control.usage()["watches"], seconds=30)


def deliver(control: Control, tenant: Any) -> str:
    subject = f"Meanwhile {uuid.uuid4().hex[:8]}"
    headers = ("From: Bob <bob@site.example>", f"To: {tenant.owner}", f"Subject: {subject}")
    control.deliver(tenant.owner, "\r\n".join((*headers, "", "Our price is 120 USD.", "")).encode())
    return subject
