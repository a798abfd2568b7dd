"""Columns that several tables have."""

from __future__ import annotations

from typing import Any

from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from guestpost_crm.outreach.money import CURRENCIES

CURRENCY_CHOICES = [(code, code) for code in CURRENCIES]


class LinkPolicy(models.TextChoices):
    """What a site says of links to others (https://developers.google.com/search/docs/crawling-indexing/qualify-outbound-links)."""

    DOFOLLOW = "dofollow", _("Dofollow")
    NOFOLLOW = "nofollow", _("Nofollow")
    SPONSORED = "sponsored", _("Sponsored")


def price_field(label: Any, **options: Any) -> models.DecimalField[Any, Any]:
    """An amount of money; the currency is a column of its own."""
    return models.DecimalField(
        label, max_digits=12, decimal_places=2, validators=[MinValueValidator(0)], **options
    )


def currency_field() -> models.CharField[Any, Any]:
    """An ISO 4217 code."""
    return models.CharField(_("currency"), max_length=3, choices=CURRENCY_CHOICES, default="USD")


class Dated(models.Model):
    """When a record was made and last changed."""

    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
