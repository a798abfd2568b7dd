"""The service is told how much is here: in numbers, when they change, and seldom."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google_standin.testing import GoogleStandin
from tenant_plane import NAMESPACE, TenantPlane

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def teller(in_cluster: Path, owner: Any) -> Iterator[Callable[[], Any]]:
    """Makes webs' tellers, which do a step when a test says so; changes wake none of them."""
    from django.db.models.signals import post_save
    from guestpost_crm.accounts.models import Person
    from guestpost_crm.gmail.models import Mailbox
    from guestpost_crm.usage.telling import Teller

    made: list[Any] = []

    def make() -> Any:
        made.append(Teller())
        return made[-1]

    yield make
    for each in made:
        for model in (Person, Mailbox):
            post_save.disconnect(each._changed, sender=model)


def told(plane: TenantPlane) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        plane.act("get", "tenantusages", "usage", "-n", NAMESPACE, "-o", "json")
    )
    return found


@pytest.mark.promise("P7.1")
def test_what_is_told_is_what_the_customer_sees(
    teller: Callable[[], Any],
    plane: TenantPlane,
    page: Any,
    google: GoogleStandin,
    mailbox: Any,
    address: str,
    mail: Callable[..., bytes],
    level: Callable[..., Any],
) -> None:
    from guestpost_crm.usage.models import Event
    from guestpost_crm.usage.services import count

    google.control.deliver(address, mail("Confidential: our prices"))
    level(mailbox)
    count(Event.THREAD_OPENED)
    teller().step()
    said = told(plane)["status"]
    assert (said["people"], said["mailboxes"], said["messages"], said["conversations"]) == (1, 1, 1, 1)
    assert said["events"]["conversationsOpened"] == 1
    assert said["databaseBytes"] > 1_000_000
    text = page.get("/usage").content.decode()
    assert "see how much is here and the sums of what was done, and nothing else" in text
    for label in ("People", "Mailboxes", "Messages", "Database"):
        assert f"<dt>{label}</dt>" in text
    assert re.search(r"<dt>Database</dt><dd>[0-9.]+\xa0MiB</dd>", text)
    for secret in (address, "acme.example", "Confidential"):
        assert secret not in json.dumps(said)


def test_a_crm_in_which_nothing_changes_writes_nothing(
    teller: Callable[[], Any], plane: TenantPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.utils import timezone
    from guestpost_crm.usage import telling

    one = teller()
    one.step()
    before = told(plane)["metadata"]["resourceVersion"]
    # The size of a database moves by itself, when PostgreSQL tidies up.
    held = {
        name: value for name, value in one._told["status"].items() if name not in ("reportedAt", "events")
    }
    monkeypatch.setattr(telling, "amounts", lambda: held)
    for hours in (1, 7, 24, 240):
        monkeypatch.setattr(timezone, "now", lambda hours=hours: dt.datetime.now(dt.UTC) + hours * HOUR)
        one.step()
        teller().step()
    assert told(plane)["metadata"]["resourceVersion"] == before


def test_people_are_told_at_once_and_the_rest_in_its_time(
    teller: Callable[[], Any], plane: TenantPlane, person: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.utils import timezone
    from guestpost_crm.outreach.models import Site
    from guestpost_crm.usage.telling import MOST

    one, another = teller(), teller()
    one.step()
    another.step()
    Site.objects.create(domain="site.example")
    one.step()
    assert told(plane)["status"]["sites"] == 0
    person("member")
    another.step()
    assert (told(plane)["status"]["people"], told(plane)["status"]["sites"]) == (2, 1)
    version = told(plane)["metadata"]["resourceVersion"]
    # The other web reads that it has been told.
    one.step()
    assert told(plane)["metadata"]["resourceVersion"] == version
    Site.objects.create(domain="another.example")
    monkeypatch.setattr(timezone, "now", lambda: dt.datetime.now(dt.UTC) + MOST + HOUR)
    one.step()
    assert told(plane)["status"]["sites"] == 2


def test_a_change_wakes_the_thread(teller: Callable[[], Any], plane: TenantPlane, person: Any) -> None:
    one = teller()
    one._woken.clear()
    person("member")
    assert one._woken.is_set()


def test_an_api_server_that_refuses_is_asked_again_later(
    teller: Callable[[], Any], plane: TenantPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guestpost_crm import environment
    from guestpost_crm.usage.telling import AGAIN

    one = teller()
    monkeypatch.setenv("NAMESPACE", "default")
    environment.current.cache_clear()
    assert one.step() is False
    assert one._quiet == AGAIN.total_seconds()
    monkeypatch.setenv("NAMESPACE", NAMESPACE)
    environment.current.cache_clear()
    one.step()
    assert told(plane)["status"]["people"] == 1


def test_when_it_is_time_again() -> None:
    """Soon after a tenant is new, then ever later, and at last every six hours."""
    from guestpost_crm.usage.telling import LEAST, MOST, due_at

    made = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)

    def wait(told_after: dt.timedelta, counted_after: dt.timedelta | None = None) -> dt.timedelta:
        known = {
            "metadata": {"creationTimestamp": made.isoformat()},
            "status": {"reportedAt": (made + told_after).isoformat()},
        }
        counted = None if counted_after is None else made + counted_after
        return due_at(known, counted) - made - max(told_after, counted_after or told_after)

    assert due_at({}, None) < made
    assert wait(dt.timedelta(0)) == LEAST
    assert wait(dt.timedelta(minutes=8)) == dt.timedelta(minutes=8)
    assert wait(dt.timedelta(days=300)) == MOST
    # What was counted and found unchanged is not counted again at once.
    assert wait(dt.timedelta(days=1), dt.timedelta(days=2)) == MOST
