"""Invoices and payments."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from guestpost_crm.accounts.middleware import signed_in
from guestpost_crm.outreach.forms.billing import InvoiceFilter, InvoiceForm, PaymentForm
from guestpost_crm.outreach.models import Invoice, Order, Payment
from guestpost_crm.outreach.services import billing, listing
from guestpost_crm.outreach.views.common import UNPROCESSABLE, download, list_context, today, writing

_SORTS = {
    "issued": "issued_on",
    "due": "due_on",
    "amount": "amount",
    "site": "site__domain",
    "number": "number",
}


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """Invoices, the newest first, and what is open in each currency."""
    form = InvoiceFilter(request.GET)
    found = form.apply(billing.with_paid(Invoice.objects.select_related("site", "contact")), today())
    page = listing.page(found, _SORTS, request.GET.get("sort", ""), "-issued", request.GET.get("page", ""))
    context = list_context(request, "invoices", form, page)
    context |= {
        "outstanding": billing.outstanding(),
        "any_invoice": page.total > 0 or Invoice.objects.exists(),
    }
    return render(request, "outreach/invoices.html", context)


@require_GET
def show(request: HttpRequest, key: int) -> HttpResponse:
    """An invoice with its payments."""
    return _page(request, key)


def _page(request: HttpRequest, key: int, form: PaymentForm | None = None) -> HttpResponse:
    found = billing.with_paid(Invoice.objects.select_related("site", "contact"))
    invoice: Any = get_object_or_404(found, pk=key)
    rest = max(invoice.amount - invoice.paid, Decimal(0))
    context = {
        "invoice": invoice,
        "rest": rest,
        "orders": invoice.orders.select_related("site", "assigned"),
        "payments": invoice.payments.select_related("person"),
        "form": form or PaymentForm(initial={"amount": rest, "paid_on": today()}),
        "today": today(),
    }
    return render(request, "outreach/invoice.html", context, status=UNPROCESSABLE if form else 200)


@require_http_methods(["GET", "POST"])
@writing
def new(request: HttpRequest) -> HttpResponse:
    """Add an invoice; `order` in the address is one that it is for."""
    key = request.GET.get("order", "")
    found = Order.objects.select_related("site")
    order = found.filter(pk=key).first() if key.isascii() and key.isdigit() and len(key) < 18 else None
    initial: dict[str, Any] = {"issued_on": today()}
    if order is not None:
        initial |= {
            "site": order.site, "contact": order.contact_id, "amount": order.price,
            "currency": order.currency, "orders": [order.pk],
        }  # fmt: skip
    return _form(request, InvoiceForm(request.POST or None, initial=initial), _("Add an invoice"))


@require_http_methods(["GET", "POST"])
@writing
def edit(request: HttpRequest, key: int) -> HttpResponse:
    """Change an invoice."""
    invoice = get_object_or_404(Invoice.objects.select_related("site"), pk=key)
    heading = _("Change invoice %(number)s") % {"number": invoice.number}
    return _form(request, InvoiceForm(request.POST or None, instance=invoice), heading, key)


def _form(request: HttpRequest, form: InvoiceForm, heading: str, key: int | None = None) -> HttpResponse:
    if request.method == "POST" and form.is_valid():
        of: Iterable[Order] = form.cleaned_data.get("orders") or []
        invoice = billing.save(signed_in(request), form.save(commit=False), of, form.changed_data)
        messages.success(request, _("Invoice %(number)s is saved.") % {"number": invoice.number})
        return redirect("invoice", key=invoice.pk)
    context = {"form": form, "heading": heading, "key": key}
    status = UNPROCESSABLE if form.is_bound else 200
    return render(request, "outreach/invoice_form.html", context, status=status)


@require_POST
@writing
def pay(request: HttpRequest, key: int) -> HttpResponse:
    """Record a payment."""
    invoice = get_object_or_404(Invoice, pk=key)
    form = PaymentForm(request.POST)
    if form.is_valid():
        try:
            billing.pay(signed_in(request), invoice, form.save(commit=False))
        except billing.PaymentError as error:
            form.add_error("amount", str(error))
        else:
            messages.success(request, _("The payment is recorded."))
            return redirect("invoice", key=key)
    return _page(request, key, form)


@require_POST
@writing
def remove_payment(request: HttpRequest, key: int) -> HttpResponse:
    """Take back a payment that was recorded by mistake."""
    payment = get_object_or_404(Payment, pk=key)
    invoice = payment.invoice_id
    billing.remove_payment(signed_in(request), payment)
    messages.success(request, _("The payment is removed. Orders stay at their stages."))
    return redirect("invoice", key=invoice)


@require_POST
@writing
def void(request: HttpRequest, key: int) -> HttpResponse:
    """Make an invoice void, or valid again."""
    invoice = get_object_or_404(Invoice, pk=key)
    try:
        billing.set_void(signed_in(request), invoice, void=request.POST.get("void") == "yes")
    except billing.PaymentError as error:
        messages.error(request, str(error))
    return redirect("invoice", key=key)


@require_GET
def export(request: HttpRequest) -> StreamingHttpResponse:
    """The invoices of a list as CSV."""
    form = InvoiceFilter(request.GET)
    found = form.apply(billing.with_paid(Invoice.objects.select_related("site", "contact")), today())
    header = ["number", "site", "contact", "amount", "currency", "paid", "state", "issued", "due", "notes"]
    rows = (
        [
            each.number, str(each.site), str(each.contact or ""), each.amount, each.currency, each.paid,
            billing.state(each, each.paid, today()), each.issued_on, each.due_on, each.notes,
        ]
        for each in found.order_by("pk").iterator(chunk_size=500)
    )  # fmt: skip
    return download("invoices", header, rows)
