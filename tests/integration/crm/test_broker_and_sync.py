"""What the consent broker says changes how a mailbox is synchronised: shares, new seals, taken mailboxes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from google_standin.testing import GoogleStandin
from guestpost_broker.claims import claim_name
from guestpost_broker.keys import Key, KeyRing
from guestpost_broker.pacing import Pacer
from local_services import PROJECT


@pytest.fixture
def settings(broker: Any) -> Iterator[Any]:
    """The broker, whose settings may be replaced; what was before comes back."""
    work = broker.broker
    before = work.config, work.pacer
    work.pacer = Pacer(work._backfill_budget, lambda: work.config.user_units, settle=0)
    yield work
    work.config, work.pacer = before


@pytest.fixture
def worker(mailbox: Any) -> Any:
    from guestpost_crm.gmail.worker import Worker

    return Worker(mailbox.pk)


def subjects(mailbox: Any) -> list[str]:
    from guestpost_crm.inbox.models import Message

    return list(Message.objects.filter(mailbox=mailbox).values_list("subject", flat=True))


def work_until(worker: Any, met: Callable[[], bool], patience: float = 20.0) -> None:
    """Let the worker do what it does, as its thread would, until something is so."""
    deadline = time.monotonic() + patience
    while not met():
        assert time.monotonic() < deadline
        worker._wake.wait(min(worker.step(), 0.2))


def test_an_import_keeps_to_its_share_and_new_mail_does_not_wait_for_it(
    google: GoogleStandin, settings: Any, mailbox: Any, worker: Any, address: str, mail: Callable[..., bytes]
) -> None:
    # 300 units a minute: a message every four seconds.
    settings.config = replace(settings.config, units_by_project={PROJECT: 500})
    for number in range(8):
        google.control.deliver(address, mail(f"old {number}"), internalDate=1_000 + number)
    work_until(worker, lambda: mailbox.queue.count() > 4)
    began = time.monotonic()
    google.control.deliver(address, mail("new"))
    worker.wake()
    work_until(worker, lambda: "new" in subjects(mailbox), patience=3.0)
    imported = [each for each in subjects(mailbox) if each != "new"]
    assert len(imported) <= 2 + (time.monotonic() - began) / 4
    assert sorted(imported, reverse=True) == sorted(
        (f"old {7 - n}" for n in range(len(imported))), reverse=True
    )
    # More is allowed: the rest comes at once.
    settings.config = replace(settings.config, units_by_project={})
    worker._share._ask_at = 0.0
    worker._import_at = 0.0
    work_until(worker, lambda: len(subjects(mailbox)) == 9)
    assert settings.pacer.in_force(PROJECT) == (0, 0, 0), "the share was given back"


@pytest.mark.promise("P1.1")
def test_a_token_that_is_sealed_anew_is_kept_and_works(
    google: GoogleStandin, settings: Any, mailbox: Any, worker: Any, address: str, mail: Callable[..., bytes]
) -> None:
    from guestpost_crm.gmail.worker import Worker

    before = mailbox.token()
    new = Key("2", b"n" * 32)
    settings.config = replace(settings.config, seal_keys=KeyRing((new, *settings.config.seal_keys.keys)))
    google.control.deliver(address, mail("first"))
    work_until(worker, lambda: "first" in subjects(mailbox))
    mailbox.refresh_from_db()
    assert (before.partition(".")[0], mailbox.token().partition(".")[0]) == ("1", "2")
    settings.config = replace(settings.config, seal_keys=KeyRing((new,)))
    google.control.deliver(address, mail("second"))
    work_until(Worker(mailbox.pk), lambda: "second" in subjects(mailbox))


def test_a_broker_without_the_key_costs_no_consent(settings: Any, mailbox: Any, worker: Any) -> None:
    token = mailbox.token()
    settings.config = replace(settings.config, seal_keys=KeyRing((Key("2", b"n" * 32),)))
    worker.step()
    mailbox.refresh_from_db()
    assert (mailbox.state, mailbox.error, mailbox.token()) == ("connected", "broker_unavailable", token)


@pytest.mark.promise("P5.2")
def test_a_mailbox_that_another_tenant_took_is_told_in_words(broker: Any, mailbox: Any, worker: Any) -> None:
    from django.utils import timezone
    from guestpost_crm.gmail.status import Counts, of

    kubernetes = broker.kubernetes
    kubernetes.add("other", "https://other.example")
    name = claim_name(mailbox.sub, broker.broker.config.claim_key)
    claim = kubernetes.claims[name]
    kubernetes.claims[name] = replace(claim, tenant_name="other", tenant_uid="uid-of-other")
    try:
        worker.step()
    finally:
        del kubernetes.claims[name]
    mailbox.refresh_from_db()
    assert (mailbox.state, mailbox.error, mailbox.refresh_token) == ("needs_consent", "mailbox_taken", None)
    status = of(mailbox, Counts(), timezone.now(), 300)
    assert "connected to another GuestPostCRM server now" in status.sentence
