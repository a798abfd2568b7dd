"""Webhooks: told with what happened, signed, tried again, and never told more than what happened to which."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from guestpost_crm.outreach.linkcheck.addresses import networks
from guestpost_crm.outreach.linkcheck.client import Client
from standardwebhooks import Webhook as Receiver
from standardwebhooks import WebhookVerificationError


@contextmanager
def receiver(*statuses: int) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A program that takes deliveries, and answers with these statuses, the last one for ever."""
    taken: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = statuses[min(len(taken), len(statuses) - 1)]
            taken.append((dict(self.headers), body))
            self.send_response(status)
            if status in (301, 302):
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", taken
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def hook(person: Callable[..., Any]) -> Callable[..., tuple[Any, str]]:
    """Makes webhooks."""
    from guestpost_crm.integrations import webhooks
    from guestpost_crm.integrations.models import Webhook

    manager = person("manager", "Maria")

    def make(url: str, *events: str) -> tuple[Any, str]:
        webhook = Webhook(url=url)
        return webhook, webhooks.save(manager, webhook, events)

    return make


def deliver() -> int:
    from guestpost_crm.integrations.deliverer import Deliverer

    deliverer = Deliverer(Client(allowed=networks("127.0.0.0/8"), seconds=5))
    count = 0
    while deliverer.step():
        count += 1
    return count


def due_now() -> None:
    from django.utils import timezone
    from guestpost_crm.integrations.models import Delivery

    Delivery.objects.filter(next_at__isnull=False).update(next_at=timezone.now())


def test_what_happens_is_delivered_signed_and_without_names(
    make: Any, person: Callable[..., Any], hook: Callable[..., Any]
) -> None:
    from guestpost_crm.integrations.models import Delivery
    from guestpost_crm.outreach.services import orders, sites

    member = person("member", "Tom Secret")
    with receiver(204) as (url, taken):
        _webhook, secret = hook(url, "order.changed", "offer.made")
        order = make.order(make.site("hidden.example"))
        orders.move(member, order.pk, "prospect", "contacted")
        sites.mark(member, order.site, archived=True)
        assert deliver() == 1
    [(headers, body)] = taken
    told = Receiver(secret).verify(body, headers)
    assert told["type"] == "order.changed"
    assert told["data"] == {"subject": f"order:{order.pk}", "person": member.pk, "fields": "stage"}
    for hidden in (b"hidden.example", b"Secret", b"contacted"):
        assert hidden not in body
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.status, delivery.attempts) == ("delivered", 204, 1)
    assert headers["webhook-id"] == str(delivery.pk)
    with pytest.raises(WebhookVerificationError):
        Receiver(secret).verify(body + b" ", headers)


def test_what_is_undone_is_not_told(make: Any, person: Callable[..., Any], hook: Callable[..., Any]) -> None:
    from django.core.exceptions import PermissionDenied
    from guestpost_crm.integrations.models import Delivery
    from guestpost_crm.outreach.services import orders

    hook("https://receiver.example/", "order.created", "order.changed")
    order = make.order()
    with pytest.raises(PermissionDenied):
        orders.move(person("reader"), order.pk, "prospect", "contacted")
    assert not Delivery.objects.exists()


def test_what_fails_is_tried_again_with_the_same_id_and_ever_more_rarely(
    make: Any, person: Callable[..., Any], hook: Callable[..., Any]
) -> None:
    from django.utils import timezone
    from guestpost_crm.integrations import webhooks
    from guestpost_crm.integrations.models import Delivery, Webhook
    from guestpost_crm.outreach.services import sites

    with receiver(500, 302, 200) as (url, taken):
        hook(url, "site.archived")
        sites.mark(person("member"), make.site(), archived=True)
        for attempt in range(3):
            begun = timezone.now()
            assert deliver() == 1
            delivery = Delivery.objects.get()
            if attempt < 2:
                assert delivery.state == "waiting"
                assert delivery.next_at - begun >= webhooks.WAITS[attempt]
                assert Webhook.objects.get().failing_since is not None
                assert deliver() == 0
                due_now()
    assert (delivery.state, delivery.attempts) == ("delivered", 3)
    assert Webhook.objects.get().failing_since is None
    assert len({headers["webhook-id"] for headers, _body in taken}) == 1
    assert len({body for _headers, body in taken}) == 1


def test_it_is_given_up_after_some_days_and_the_others_go_on(
    make: Any, person: Callable[..., Any], hook: Callable[..., Any]
) -> None:
    from django.utils import timezone
    from guestpost_crm.audit.models import AuditEvent
    from guestpost_crm.integrations import webhooks
    from guestpost_crm.integrations.models import Delivery, Webhook

    webhook, _secret = hook("https://receiver.example/", "site.archived")
    now = timezone.now()
    delivery = Delivery.objects.create(webhook=webhook, event="x", payload={}, next_at=now)
    for attempt in range(len(webhooks.WAITS) + 1):
        delivery.attempts = attempt + 1
        webhooks.tried(delivery, 0, "no-answer", now)
    assert delivery.state == "failed"
    assert Webhook.objects.get().active
    webhooks.tried(delivery, 500, "", now + webhooks.GIVEN_UP_AFTER + dt.timedelta(hours=1))
    assert not Webhook.objects.get().active
    assert AuditEvent.objects.get(action="webhook.stopped").person is None
    assert webhooks.claim(now + dt.timedelta(days=9)) is None


def test_an_address_that_is_gone_for_good_is_asked_no_more(
    make: Any, person: Callable[..., Any], hook: Callable[..., Any]
) -> None:
    from guestpost_crm.integrations.models import Delivery, Webhook
    from guestpost_crm.outreach.services import sites

    with receiver(410) as (url, _taken):
        hook(url, "site.archived")
        sites.mark(person("member"), make.site(), archived=True)
        assert deliver() == 1
    assert (Delivery.objects.get().state, Webhook.objects.get().active) == ("failed", False)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://169.254.169.254/latest/", "https://10.0.0.1/", "http://[::1]/"]
)
def test_nothing_is_delivered_to_private_addresses(
    make: Any, person: Callable[..., Any], hook: Callable[..., Any], url: str
) -> None:
    from guestpost_crm.integrations.deliverer import Deliverer
    from guestpost_crm.integrations.models import Delivery
    from guestpost_crm.outreach.services import sites

    hook(url, "site.archived")
    sites.mark(person("member"), make.site(), archived=True)
    assert Deliverer().step()
    assert Delivery.objects.get().told == "this address may not be asked"


def test_what_was_delivered_long_ago_is_forgotten(hook: Callable[..., Any]) -> None:
    from django.utils import timezone
    from guestpost_crm.integrations import webhooks
    from guestpost_crm.integrations.models import Delivery

    webhook, _secret = hook("https://receiver.example/", "site.archived")
    now = timezone.now()
    old, new = now - webhooks.KEPT - dt.timedelta(days=1), now
    for done in (old, new):
        Delivery.objects.create(webhook=webhook, event="x", payload={}, done_at=done, state="delivered")
    Delivery.objects.create(webhook=webhook, event="x", payload={}, next_at=now)
    webhooks.forget_old(now)
    assert Delivery.objects.count() == 2


@pytest.mark.promise("P8.1")
def test_pages_of_webhooks(person: Callable[..., Any], browser: Callable[[Any], Any]) -> None:
    from django.db import connection
    from guestpost_crm.integrations.models import Delivery, Webhook

    page = browser(person("owner"))
    answer = page.post(
        "/integrations/webhooks/new", {"url": "http://plain.example/", "events": ["order.created"]}
    )
    assert answer.status_code == 422
    assert "The address has to begin with https://." in answer.content.decode()
    typed = {"url": "https://receiver.example/hook", "events": ["order.created", "placement.lost"]}
    text = page.post("/integrations/webhooks/new", typed).content.decode()
    assert "whsec_" in text
    webhook = Webhook.objects.get()
    assert "whsec_" not in page.get(f"/integrations/webhooks/{webhook.pk}").content.decode()
    secret = text[text.index("whsec_") :].split("<")[0]
    with connection.cursor() as cursor:
        cursor.execute("SELECT encode(secret, 'base64') FROM webhook")
        assert secret.removeprefix("whsec_")[:20] not in cursor.fetchone()[0].replace("\n", "")
    page.post(f"/integrations/webhooks/{webhook.pk}/act", {"what": "test"})
    assert json.dumps(Delivery.objects.get().payload).count("webhook.test") == 1
    changed = {"url": "https://receiver.example/other", "events": ["offer.made"], "active": "on"}
    assert page.post(f"/integrations/webhooks/{webhook.pk}", changed).status_code == 302
    webhook.refresh_from_db()
    assert (webhook.url, webhook.events) == ("https://receiver.example/other", ["offer.made"])
    assert page.post(f"/integrations/webhooks/{webhook.pk}", {**changed, "url": "no"}).status_code == 422
    page.post(f"/integrations/webhooks/{webhook.pk}/act", {"what": "remove"})
    assert not Webhook.objects.exists()
