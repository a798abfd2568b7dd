"""Webhooks as https://www.standardwebhooks.com has them: queued with what happened, signed, tried again.

A delivery says what happened to which record, by their keys: neither mail nor names leave this server.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from guestpost_crm.accounts.models import Person
from guestpost_crm.audit.models import AuditEvent
from guestpost_crm.audit.services import record
from guestpost_crm.integrations.models import Delivery, DeliveryState, Webhook

EVENTS = (
    "site.created", "site.changed", "site.merged", "site.archived", "site.do-not-contact",
    "contact.created", "contact.changed", "contact.merged", "contact.archived", "contact.do-not-contact",
    "offer.made", "offer.accepted", "offer.declined", "offer.expired",
    "order.created", "order.changed",
    "placement.created", "placement.changed", "placement.lost", "placement.found",
    "invoice.created", "invoice.changed", "invoice.void", "payment.recorded", "payment.removed",
    "import.done",
)  # fmt: skip
MOST = 10
# Right away, then ever more rarely for some three days.
WAITS = tuple(
    dt.timedelta(seconds=each)
    for each in (5, 60, 300, 1800, 3600, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
)
LEASE = dt.timedelta(minutes=5)
# An address that has taken nothing for so long is asked no more.
GIVEN_UP_AFTER = dt.timedelta(days=5)
KEPT = dt.timedelta(days=30)


def queue(sender: Any, instance: AuditEvent, created: bool = False, raw: bool = False, **rest: Any) -> None:
    """Queue what was recorded for the webhooks that want it (a receiver of post_save).

    Args:
        sender: the model.
        instance: the event.
        created: whether it is new.
        raw: whether it comes from an archive.
        rest: what else the signal says.
    """
    if not created or raw or instance.action not in EVENTS:
        return
    wanting = Webhook.objects.filter(active=True, events__contains=[instance.action])
    payload = {
        "type": instance.action,
        "timestamp": instance.at.astimezone(dt.UTC).isoformat(),
        "data": {"subject": instance.subject, "person": instance.person_id, **instance.detail},
    }
    Delivery.objects.bulk_create(
        Delivery(webhook=webhook, event=instance.action, payload=payload, next_at=timezone.now())
        for webhook in wanting
    )


@transaction.atomic
def save(person: Person, webhook: Webhook, events: Iterable[str]) -> str:
    """Store a webhook; a new one gets a secret, which is returned to be shown once.

    Raises:
        PermissionDenied: only the owner and managers may, and there are as many as fit.
    """
    if not person.may_manage or (webhook._state.adding and Webhook.objects.count() >= MOST):
        raise PermissionDenied
    webhook.events = [each for each in EVENTS if each in set(events)]
    new = webhook._state.adding
    if new:
        webhook.created_by = person
    if webhook.active:
        webhook.failing_since = None
    webhook.save()
    record(person, "webhook.made" if new else "webhook.changed", f"webhook:{webhook.pk}")
    return renew_secret(webhook) if new else ""


def renew_secret(webhook: Webhook) -> str:
    """Give a webhook a new secret; returns how receivers write it."""
    secret = secrets.token_bytes(32)
    webhook.keep_secret(secret)
    webhook.save(update_fields=["secret"])
    return "whsec_" + base64.b64encode(secret).decode()


@transaction.atomic
def remove(person: Person, webhook: Webhook) -> None:
    """Remove a webhook and what waits for it (PermissionDenied)."""
    if not person.may_manage:
        raise PermissionDenied
    record(person, "webhook.removed", f"webhook:{webhook.pk}")
    webhook.delete()


@transaction.atomic
def test(person: Person, webhook: Webhook) -> Delivery:
    """Queue a delivery that says nothing, to see whether it arrives (PermissionDenied)."""
    if not person.may_manage:
        raise PermissionDenied
    payload = {"type": "webhook.test", "timestamp": timezone.now().isoformat(), "data": {}}
    return Delivery.objects.create(
        webhook=webhook, event="webhook.test", payload=payload, next_at=timezone.now()
    )


def signed(delivery: Delivery, key: bytes, now: dt.datetime) -> tuple[bytes, dict[str, str]]:
    """The body of a delivery, and the headers that prove where it comes from and when."""
    body = json.dumps(delivery.payload, separators=(",", ":"), ensure_ascii=False).encode()
    stamp = str(int(now.timestamp()))
    proof = hmac.new(key, f"{delivery.pk}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return body, {
        "Content-Type": "application/json",
        "webhook-id": str(delivery.pk),
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(proof).decode()}",
    }


@transaction.atomic
def claim(now: dt.datetime) -> Delivery | None:
    """Take the delivery that is due; nobody else takes it during LEASE."""
    due = Delivery.objects.filter(next_at__lte=now, webhook__active=True).order_by("next_at")
    delivery = due.select_for_update(skip_locked=True, of=("self",)).select_related("webhook").first()
    if delivery is not None:
        delivery.next_at = now + LEASE
        delivery.attempts += 1
        delivery.save(update_fields=["next_at", "attempts"])
    return delivery


@transaction.atomic
def tried(delivery: Delivery, status: int, problem: str, now: dt.datetime) -> None:
    """Keep what became of an attempt.

    Args:
        delivery: claimed.
        status: HTTP's, 0 without an answer; any of 2xx is a delivery.
        problem: why there was no answer.
        now: when.
    """
    delivery.status, delivery.problem = status, problem
    if 200 <= status < 300:
        delivery.state, delivery.next_at, delivery.done_at = DeliveryState.DELIVERED, None, now
        Webhook.objects.filter(pk=delivery.webhook_id).update(failing_since=None)
    elif status == 410 or delivery.attempts > len(WAITS):
        delivery.state, delivery.next_at, delivery.done_at = DeliveryState.FAILED, None, now
    else:
        delivery.next_at = now + WAITS[delivery.attempts - 1]
    delivery.save()
    if delivery.state != DeliveryState.DELIVERED:
        _failing(delivery.webhook_id, gone=status == 410, now=now)


def _failing(key: int, *, gone: bool, now: dt.datetime) -> None:
    """Note since when an address takes nothing; stop asking it when that is long, or it says to (410)."""
    webhook = Webhook.objects.select_for_update().get(pk=key)
    webhook.failing_since = webhook.failing_since or now
    if gone or now - webhook.failing_since > GIVEN_UP_AFTER:
        webhook.active = False
        record(None, "webhook.stopped", f"webhook:{key}")
    webhook.save(update_fields=["failing_since", "active"])


def forget_old(now: dt.datetime) -> None:
    """Remove what was delivered or given up long ago."""
    Delivery.objects.filter(done_at__lt=now - KEPT).delete()
