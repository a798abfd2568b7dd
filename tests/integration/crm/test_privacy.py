"""The policy and its acceptance, counts without content, whom to ask."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google_standin.testing import GoogleStandin


@pytest.fixture
def newcomer(crm: None) -> Any:
    """A member who has not been shown the policy."""
    from django.test import Client
    from guestpost_crm.accounts.models import Person, Role

    person = Person.objects.create(sub="new", email="new@acme.example", name="Nia New", role=Role.MEMBER)
    client = Client(headers={"host": "acme.localhost"})
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.mark.promise("P12.1")
def test_the_policy_comes_before_anything_else_once(newcomer: Any) -> None:
    from guestpost_crm.privacy import policy
    from guestpost_crm.privacy.models import PolicyAcceptance

    answer = newcomer.get("/mailboxes?x=1")
    assert (answer.status_code, answer.url) == (302, "/policy?next=%2Fmailboxes%3Fx%3D1")
    text = newcomer.get(answer.url).content.decode()
    current = policy.CURRENT
    assert f"Version {current.version}, in effect since {current.effective:%-d %B %Y}" in text
    assert newcomer.post("/mailboxes/connect").status_code == 302
    done = newcomer.post("/policy", {"next": "/mailboxes?x=1"})
    assert (done.status_code, done.url) == (302, "/mailboxes?x=1")
    assert newcomer.get("/mailboxes").status_code == 200
    newcomer.post("/policy", {"next": "https://evil.example/"})
    acceptance = PolicyAcceptance.objects.get()
    assert (acceptance.version, acceptance.person.sub) == (current.version, "new")


@pytest.mark.promise("P12.1")
def test_a_new_version_is_shown_to_those_who_accepted_the_old_one(
    newcomer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guestpost_crm.privacy import policy
    from guestpost_crm.privacy.models import PolicyAcceptance

    newcomer.post("/policy")
    assert newcomer.get("/").status_code == 200
    first = policy.CURRENT
    second = policy.Policy(first.version + 1, dt.date(2027, 1, 1), "Exports keep for a month.")
    monkeypatch.setattr(policy, "POLICIES", (*policy.POLICIES, second))
    monkeypatch.setattr(policy, "CURRENT", second)
    assert newcomer.get("/").url == "/policy?next=%2F"
    text = newcomer.get("/policy").content.decode()
    assert "Exports keep for a month." in text
    assert first.changes not in text
    posted = newcomer.get("/privacy").content.decode()
    assert f"Version {second.version}, in effect since 1 January 2027" in posted
    assert f"Version {first.version}, {first.effective:%-d %B %Y}" in posted
    newcomer.post("/policy")
    assert newcomer.get("/").status_code == 200
    accepted = PolicyAcceptance.objects.order_by("version").values_list("version", flat=True)
    assert list(accepted) == [first.version, second.version]


@pytest.fixture
def contact(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    from guestpost_crm import environment

    monkeypatch.setenv("SUPPORT_CONTACT", "privacy@guestpost.example")
    environment.current.cache_clear()
    yield "privacy@guestpost.example"
    monkeypatch.undo()
    environment.current.cache_clear()


@pytest.mark.promise("P13.1")
def test_there_is_somebody_to_ask(newcomer: Any, contact: str) -> None:
    from django.test import Client

    stranger = Client(headers={"host": "acme.localhost"})
    for client, address in ((stranger, "/privacy"), (stranger, "/sign-in"), (newcomer, "/policy")):
        assert contact in client.get(address).content.decode()


@pytest.mark.promise("P3.2")
@pytest.mark.promise("P7.1")
def test_usage_is_names_and_numbers_and_can_be_nothing_else(crm: None) -> None:
    from django.db import models
    from guestpost_crm.usage.models import Event, UsageCount

    fields = {field.name: field for field in UsageCount._meta.get_fields()}
    assert set(fields) == {"id", "day", "event", "count"}
    assert isinstance(fields["day"], models.DateField)
    assert isinstance(fields["count"], models.PositiveBigIntegerField)
    assert set(dict(fields["event"].choices)) == set(Event.values)  # type: ignore[union-attr]
    assert all(value.replace("_", "").isalpha() for value in Event.values)


@pytest.mark.promise("P3.2")
def test_what_people_do_is_counted(
    google: GoogleStandin,
    mailbox: Any,
    owner: Any,
    address: str,
    mail: Callable[..., bytes],
    level: Callable[..., Any],
) -> None:
    from django.test import Client
    from guestpost_crm.inbox.models import Thread
    from guestpost_crm.usage.services import totals

    google.control.deliver(address, mail())
    level(mailbox)
    client = Client(headers={"host": "acme.localhost"})
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    before = totals()
    for _ in range(3):
        client.get(f"/threads/{Thread.objects.get().pk}")
    assert totals() == {**before, "thread_opened": before["thread_opened"] + 3}


def test_two_at_a_time_are_two(crm: None) -> None:
    from django.db import connection
    from guestpost_crm.usage.models import Event
    from guestpost_crm.usage.services import count, totals

    def many() -> None:
        for _ in range(50):
            count(Event.SIGN_IN)
        connection.close()

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals()["sign_in"] == 200


@pytest.mark.promise("P7.1")
def test_prometheus_is_told_counts_only(crm: None) -> None:
    from guestpost_crm.usage.models import Event
    from guestpost_crm.usage.services import UsageCollector, count
    from prometheus_client import CollectorRegistry, generate_latest

    count(Event.SIGN_IN)
    registry = CollectorRegistry()
    registry.register(UsageCollector())
    text = generate_latest(registry).decode()
    assert 'guestpost_usage_events_total{event="sign_in"} 1.0' in text
    assert "@" not in text
