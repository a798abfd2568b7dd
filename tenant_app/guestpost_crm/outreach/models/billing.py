"""Invoices of sites, and what was paid of them."""

from __future__ import annotations

from decimal import Decimal

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from guestpost_crm.outreach.models.common import Dated, currency_field
from guestpost_crm.outreach.models.contacts import Contact
from guestpost_crm.outreach.models.orders import Order
from guestpost_crm.outreach.models.sites import Site

_LEAST = MinValueValidator(Decimal("0.01"))


class Invoice(Dated):
    """What a site wants to be paid. Its state is derived from payments and dates, never stored."""

    number = models.CharField(_("number"), max_length=80)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="invoices", verbose_name=_("site"))
    contact = models.ForeignKey(
        Contact, on_delete=models.SET_NULL, null=True, blank=True, related_name="invoices",
        verbose_name=_("contact"),
    )  # fmt: skip
    orders = models.ManyToManyField(Order, related_name="invoices", blank=True, verbose_name=_("orders"))
    amount = models.DecimalField(_("amount"), max_digits=12, decimal_places=2, validators=[_LEAST])
    currency = currency_field()
    issued_on = models.DateField(_("issued on"))
    due_on = models.DateField(_("due on"), null=True, blank=True)
    notes = models.TextField(_("notes"), max_length=5000, blank=True)
    void = models.BooleanField(_("void"), default=False, editable=False)

    class Meta:
        db_table = "invoice"
        ordering = ("-issued_on", "-pk")
        constraints = [models.UniqueConstraint(fields=["site", "number"], name="one_number_of_a_site")]
        indexes = [models.Index(fields=["-issued_on", "-id"], name="invoices_newest_first")]

    def __str__(self) -> str:
        return self.number


class Payment(models.Model):
    """Money that was paid, in the invoice's currency."""

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="payments")
    amount = models.DecimalField(_("amount"), max_digits=12, decimal_places=2, validators=[_LEAST])
    paid_on = models.DateField(_("paid on"))
    method = models.CharField(_("by"), max_length=60, blank=True)
    reference = models.CharField(_("reference"), max_length=200, blank=True)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", editable=False
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "payment"
        ordering = ("paid_on", "pk")
        indexes = [models.Index(fields=["paid_on"], name="payments_by_day")]

    def __str__(self) -> str:
        return f"payment {self.pk}"
