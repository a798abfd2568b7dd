"""Invoices and payments; an invoice's state follows from them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.db import models, transaction
from django.db.models import DecimalField, F, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from guestpost_crm.accounts.models import Person
from guestpost_crm.outreach.models import Invoice, Order, Payment
from guestpost_crm.outreach.models.orders import Stage
from guestpost_crm.outreach.services import orders
from guestpost_crm.outreach.services.acting import acted

_MONEY: DecimalField[Decimal, Decimal] = DecimalField(max_digits=14, decimal_places=2)


class InvoiceState(models.TextChoices):
    """What an invoice waits for."""

    OPEN = "open", _("Open")
    PARTLY = "partly", _("Partly paid")
    OVERDUE = "overdue", _("Overdue")
    PAID = "paid", _("Paid")
    VOID = "void", _("Void")


class PaymentError(Exception):
    """This payment can't be recorded; the message says why."""


def state(invoice: Invoice, paid: Decimal, today: dt.date) -> InvoiceState:
    """What an invoice waits for, given what was paid of it."""
    if invoice.void:
        return InvoiceState.VOID
    if paid >= invoice.amount:
        return InvoiceState.PAID
    if invoice.due_on is not None and invoice.due_on < today:
        return InvoiceState.OVERDUE
    return InvoiceState.PARTLY if paid > 0 else InvoiceState.OPEN


def with_paid(found: QuerySet[Invoice]) -> QuerySet[Any]:
    """Invoices with `paid`, the sum of their payments."""
    sums = (
        Payment.objects.filter(invoice=OuterRef("pk"))
        .order_by()
        .values("invoice")
        .annotate(sum=Sum("amount"))
    )
    paid = Coalesce(Subquery(sums.values("sum")), Value(Decimal(0)), output_field=_MONEY)
    return found.annotate(paid=paid)


def paid_of(invoice: Invoice) -> Decimal:
    """What was paid of an invoice."""
    return invoice.payments.aggregate(sum=Sum("amount"))["sum"] or Decimal(0)


@transaction.atomic
def save(person: Person, invoice: Invoice, of: Iterable[Order], changed: Iterable[str] = ()) -> Invoice:
    """Store an invoice with the orders that it is for (PermissionDenied for readers)."""
    new = invoice.pk is None
    invoice.save()
    invoice.orders.set(of)
    action = "invoice.created" if new else "invoice.changed"
    acted(person, action, f"invoice:{invoice.pk}", fields=",".join(changed))
    _orders_paid(person, invoice)
    return invoice


@transaction.atomic
def pay(person: Person, invoice: Invoice, payment: Payment) -> Payment:
    """Record a payment; when nothing is left to pay, published orders of the invoice become paid.

    Raises:
        PaymentError: the invoice is void, or less is open.
        PermissionDenied: the person may only read.
    """
    invoice = Invoice.objects.select_for_update().get(pk=invoice.pk)
    rest = invoice.amount - paid_of(invoice)
    if invoice.void:
        raise PaymentError(_("This invoice is void."))
    if payment.amount > rest:
        raise PaymentError(
            _("Only %(rest)s %(currency)s of this invoice is open.")
            % {"rest": rest, "currency": invoice.currency}
        )
    payment.invoice, payment.person = invoice, person
    payment.save()
    acted(person, "payment.recorded", f"invoice:{invoice.pk}", payment=payment.pk)
    _orders_paid(person, invoice)
    return payment


def _orders_paid(person: Person, invoice: Invoice) -> None:
    if invoice.void or paid_of(invoice) < invoice.amount:
        return
    for order in invoice.orders.filter(stage=Stage.PUBLISHED):
        orders.move(person, order.pk, Stage.PUBLISHED, Stage.PAID)


@transaction.atomic
def remove_payment(person: Person, payment: Payment) -> None:
    """Take back a payment that was recorded by mistake; orders stay where they are."""
    acted(person, "payment.removed", f"invoice:{payment.invoice_id}", payment=payment.pk)
    payment.delete()


@transaction.atomic
def set_void(person: Person, invoice: Invoice, *, void: bool) -> None:
    """Make an invoice void, or valid again.

    Raises:
        PaymentError: something was paid of it.
        PermissionDenied: the person may only read.
    """
    invoice = Invoice.objects.select_for_update().get(pk=invoice.pk)
    if void and paid_of(invoice) > 0:
        raise PaymentError(_("Payments are recorded for this invoice: remove them first."))
    invoice.void = void
    invoice.save(update_fields=["void", "updated_at"])
    acted(person, "invoice.void" if void else "invoice.valid", f"invoice:{invoice.pk}")


def outstanding() -> list[tuple[Decimal, str]]:
    """What is still to be paid, by currency."""
    open_ones = with_paid(Invoice.objects.filter(void=False)).filter(paid__lt=F("amount"))
    rows = open_ones.order_by("currency").values_list("currency").annotate(rest=Sum(F("amount") - F("paid")))
    return [(rest, currency) for currency, rest in rows]
