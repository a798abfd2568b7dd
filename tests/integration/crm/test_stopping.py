"""The server stops for a while, or for ever: what people see, what Google is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google_standin.testing import GoogleStandin


@pytest.fixture
def watched(mailbox: Any, level: Callable[..., Any]) -> Any:
    """A mailbox whose changes Gmail publishes."""
    import datetime as dt

    from guestpost_crm.environment import current

    answer = level(mailbox)._gmail.watch(current().pubsub_topic)
    mailbox.watch_expires_at = dt.datetime.fromtimestamp(int(answer["expiration"]) / 1000, dt.UTC)
    mailbox.save()
    return mailbox


@pytest.fixture
def suspended(crm: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    from guestpost_crm import environment

    reason = "The invoice of May is open; write to billing@example.com <b>now</b>"
    monkeypatch.setenv("SUSPEND_REASON", reason)
    monkeypatch.setenv("SUPPORT_CONTACT", "help@guestpost.example")
    environment.current.cache_clear()
    yield reason
    monkeypatch.undo()
    environment.current.cache_clear()


def watches(google: GoogleStandin) -> Any:
    return google.control.usage()["watches"]


def test_a_pause_ends_notifications_and_keeps_the_consent(
    google: GoogleStandin, watched: Any, address: str, mail: Callable[..., bytes], level: Callable[..., Any]
) -> None:
    from guestpost_crm.gmail.offboarding import pause

    assert address in watches(google)
    assert pause() == 0
    assert address not in watches(google)
    watched.refresh_from_db()
    assert (watched.state, watched.watch_expires_at, bool(watched.refresh_token)) == ("connected", None, True)
    google.control.forget_usage()
    assert pause() == 0
    assert google.control.usage()["accounts"] == {}
    # On resuming nothing that came meanwhile is missing.
    there = google.control.deliver(address, mail("While it was paused"))
    level(watched)
    assert watched.messages.get().gmail_id == there["id"]


def test_a_pause_that_gmail_does_not_hear_is_tried_again(
    google: GoogleStandin, watched: Any, address: str
) -> None:
    from guestpost_crm.gmail.offboarding import pause

    google.control.fault("stop", account=address, status=503)
    assert pause() == 1
    watched.refresh_from_db()
    assert watched.watch_expires_at is not None
    assert pause() == 0
    assert address not in watches(google)


@pytest.mark.promise("P9.3")
def test_a_pause_finds_a_consent_that_is_gone(google: GoogleStandin, watched: Any, address: str) -> None:
    from guestpost_crm.gmail.offboarding import pause

    google.control.revoke(address)
    assert pause() == 0
    watched.refresh_from_db()
    assert (watched.state, watched.refresh_token) == ("needs_consent", None)


@pytest.mark.promise("P9.2")
def test_offboarding_revokes_every_consent_and_frees_the_mailbox(
    google: GoogleStandin, broker: Any, watched: Any, address: str
) -> None:
    from guestpost_crm.gmail.broker import Broker, BrokerError
    from guestpost_crm.gmail.offboarding import offboard

    token = watched.token()
    assert broker.kubernetes.claims
    before = len(broker.kubernetes.claims)
    assert offboard() == 0
    watched.refresh_from_db()
    assert (watched.state, watched.refresh_token) == ("disconnected", None)
    assert address not in watches(google)
    assert len(broker.kubernetes.claims) == before - 1
    with pytest.raises(BrokerError, match="invalid_grant"):
        Broker().refresh(watched.sub, token)
    assert offboard() == 0


@pytest.mark.promise("P9.2")
def test_offboarding_without_the_broker_keeps_what_it_needs_to_try_again(
    watched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guestpost_crm import environment
    from guestpost_crm.gmail.offboarding import offboard

    monkeypatch.setenv("BROKER_URL", "http://127.0.0.1:1")
    environment.current.cache_clear()
    assert offboard() == 1
    watched.refresh_from_db()
    assert watched.refresh_token
    monkeypatch.undo()
    environment.current.cache_clear()
    assert offboard() == 0


def test_a_suspended_server_says_why_and_whom_to_ask(suspended: str, owner: Any) -> None:
    from django.test import Client

    page = Client(headers={"host": "acme.localhost"})
    page.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    for address in ("/", "/mailboxes", "/audit"):
        answer = page.get(address)
        text = answer.content.decode()
        assert answer.status_code == 503
        assert "The invoice of May is open" in text
        assert "<b>" not in text
        assert "help@guestpost.example" in text
    assert page.post("/mailboxes/connect").status_code == 503
    assert page.get("/healthz").status_code == 200
    assert page.get("/readyz").status_code == 200
    assert page.get("/privacy").status_code == 200


@pytest.mark.promise("P9.1")
def test_a_suspended_server_holds_nobodys_data_back(suspended: str, owner: Any) -> None:
    from django.test import Client

    page = Client(headers={"host": "acme.localhost"})
    assert page.get("/").status_code == 302
    page.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    assert "/data" in page.get("/").content.decode()
    assert page.get("/data").status_code == 200
    assert page.post("/sign-out").status_code == 302
