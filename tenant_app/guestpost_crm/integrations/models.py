"""Tokens of the API, webhooks, and what is to be delivered to them."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from guestpost_crm.crypto import services as crypto


class Scope(models.TextChoices):
    """What a token may do; never more than its person may."""

    OUTREACH_READ = "outreach:read", _("Read sites, contacts, offers, orders, placements and invoices")
    OUTREACH_WRITE = "outreach:write", _("Add and change them")
    MAIL_READ = "mail:read", _("Read which conversations there are, without what is in them")


class ApiToken(models.Model):
    """A token of a person. Only its digest is stored; `hint` is how it begins, to tell it from others."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(_("name"), max_length=60)
    digest = models.CharField(max_length=64, unique=True)
    hint = models.CharField(max_length=12)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "api_token"
        ordering = ("-created_at", "-pk")

    def __str__(self) -> str:
        return f"token {self.pk}"

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at <= timezone.now()


class Webhook(models.Model):
    """Where to tell of what happened. `events` are actions of the audit log; `failing_since` an outage."""

    url = models.URLField(_("address"), max_length=2000)
    events = models.JSONField(default=list)
    secret = models.BinaryField()
    active = models.BooleanField(_("active"), default=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    failing_since = models.DateTimeField(null=True)

    class Meta:
        db_table = "webhook"
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"webhook {self.pk}"

    def keep_secret(self, secret: bytes) -> None:
        """Set the key that deliveries are signed with; stored are only sealed bytes. It has a key by now."""
        self.secret = crypto.encrypt(secret, f"webhook/{self.pk}/secret")

    def key(self) -> bytes:
        """The key that deliveries are signed with."""
        return crypto.decrypt(bytes(self.secret), f"webhook/{self.pk}/secret")


class DeliveryState(models.TextChoices):
    """What is known of a delivery."""

    WAITING = "waiting", _("Waiting")
    DELIVERED = "delivered", _("Delivered")
    FAILED = "failed", _("Given up")


# What a webhook's address answers with when it is not HTTP (outreach.linkcheck.client.FetchError).
_PROBLEMS = {
    "refused": _("this address may not be asked"),
    "no-name": _("its name leads nowhere"),
    "no-answer": _("it did not answer in time"),
    "certificate": _("its certificate is not valid"),
}


class Delivery(models.Model):
    """One event for one webhook; its key is the `webhook-id` by which receivers know repetitions."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=60)
    payload = models.JSONField()
    state = models.CharField(max_length=10, choices=DeliveryState.choices, default=DeliveryState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    status = models.PositiveSmallIntegerField(default=0)
    problem = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    next_at = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "webhook_delivery"
        ordering = ("-created_at",)
        indexes = [
            models.Index(
                fields=["next_at"], condition=models.Q(next_at__isnull=False), name="deliveries_due"
            ),
            models.Index(fields=["webhook", "-created_at"], name="deliveries_of_a_webhook"),
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk}"

    @property
    def told(self) -> str:
        """Why there was no answer, in the language in use; empty when there was one."""
        return str(_PROBLEMS.get(self.problem, self.problem))
