"""Offers and counter-offers."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from guestpost_crm.outreach.models.common import Dated, currency_field, price_field
from guestpost_crm.outreach.models.contacts import Contact
from guestpost_crm.outreach.models.sites import Site


class Direction(models.TextChoices):
    """Who makes an offer."""

    THEIRS = "theirs", _("Theirs")
    OURS = "ours", _("Ours")


class OfferState(models.TextChoices):
    """What became of an offer."""

    OPEN = "open", _("Open")
    ACCEPTED = "accepted", _("Accepted")
    DECLINED = "declined", _("Declined")
    EXPIRED = "expired", _("Expired")
    SUPERSEDED = "superseded", _("Superseded")


class Offer(Dated):
    """A price that somebody offered; `answers` is the offer that it counters."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="offers", verbose_name=_("site"))
    contact = models.ForeignKey(
        Contact,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="offers",
        verbose_name=_("contact"),
    )
    order = models.ForeignKey(
        "outreach.Order", on_delete=models.SET_NULL, null=True, blank=True, related_name="offers",
        verbose_name=_("order"),
    )  # fmt: skip
    answers = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="counters"
    )
    thread = models.ForeignKey(
        "inbox.Thread", on_delete=models.SET_NULL, null=True, blank=True, related_name="offers"
    )
    direction = models.CharField(
        _("whose offer"), max_length=6, choices=Direction.choices, default=Direction.THEIRS
    )
    price = price_field(_("price"))
    currency = currency_field()
    terms = models.TextField(_("terms"), max_length=5000, blank=True)
    expires_on = models.DateField(_("valid until"), null=True, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=OfferState.choices, default=OfferState.OPEN)
    decided_at = models.DateTimeField(null=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", editable=False
    )

    class Meta:
        db_table = "offer"
        ordering = ("-created_at", "-pk")
        indexes = [
            models.Index(fields=["state", "expires_on"], name="offers_by_state"),
            models.Index(fields=["-created_at", "-id"], name="offers_newest_first"),
        ]

    def __str__(self) -> str:
        return f"offer {self.pk}"

    def is_past(self, today: dt.date) -> bool:
        """Whether its last day is over."""
        return self.expires_on is not None and self.expires_on < today
