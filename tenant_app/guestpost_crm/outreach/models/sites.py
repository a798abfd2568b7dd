"""Sites that take guest posts."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.validators import MaxValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from guestpost_crm.outreach import domains
from guestpost_crm.outreach.models.common import Dated, LinkPolicy, currency_field, price_field


class Site(Dated):
    """A site, known by its domain.

    Attributes:
        domain: as `domains.normalise` writes it.
        registrable: what of it somebody registered; finds relatives.
        custom: values of custom fields by their keys.
    """

    domain = models.CharField(_("domain"), max_length=domains.MOST, unique=True)
    registrable = models.CharField(max_length=domains.MOST, db_index=True, editable=False)
    niche = models.CharField(_("niche"), max_length=80, blank=True)
    language = models.CharField(_("language"), max_length=40, blank=True)
    dr = models.PositiveSmallIntegerField("DR", null=True, blank=True, validators=[MaxValueValidator(100)])
    da = models.PositiveSmallIntegerField("DA", null=True, blank=True, validators=[MaxValueValidator(100)])
    traffic = models.PositiveBigIntegerField(
        _("visits a month"), null=True, blank=True, validators=[MaxValueValidator(10**12)]
    )
    price = price_field(_("price"), null=True, blank=True)
    currency = currency_field()
    turnaround_days = models.PositiveSmallIntegerField(
        _("turnaround in days"), null=True, blank=True, validators=[MaxValueValidator(999)]
    )
    link_policy = models.CharField(_("link policy"), max_length=10, choices=LinkPolicy.choices, blank=True)
    max_links = models.PositiveSmallIntegerField(
        _("most links"), null=True, blank=True, validators=[MaxValueValidator(99)]
    )
    notes = models.TextField(_("notes"), max_length=20_000, blank=True)
    do_not_contact = models.BooleanField(_("do not contact"), default=False)
    archived = models.BooleanField(_("archived"), default=False)
    custom = models.JSONField(default=dict, blank=True)

    class Meta:
        db_table = "site"
        ordering = ("domain",)
        indexes = [
            models.Index(fields=["niche"], name="sites_by_niche"),
            models.Index(
                fields=["domain"], condition=models.Q(do_not_contact=True), name="sites_not_to_contact"
            ),
            GinIndex(OpClass("custom", name="jsonb_path_ops"), name="sites_by_custom_field"),
        ]

    def __str__(self) -> str:
        return domains.shown(self.domain)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store; what is derived from the domain follows it."""
        self.registrable = domains.registrable(self.domain)
        if kwargs.get("update_fields") is not None and "domain" in kwargs["update_fields"]:
            kwargs["update_fields"] = [*kwargs["update_fields"], "registrable"]
        super().save(*args, **kwargs)
