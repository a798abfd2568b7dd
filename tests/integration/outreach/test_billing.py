"""Invoices and payments: an invoice's state follows from what was paid and from the day."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest


def pay(member: Any, invoice: Any, amount: str, on: Any) -> Any:
    from guestpost_crm.outreach.models import Payment
    from guestpost_crm.outreach.services import billing

    return billing.pay(member, invoice, Payment(amount=Decimal(amount), paid_on=on))


@pytest.mark.parametrize(
    ("paid", "due", "void", "state"),
    [
        ("0", 5, False, "open"),
        ("0", None, False, "open"),
        ("0", 0, False, "open"),
        ("0", -1, False, "overdue"),
        ("40", 5, False, "partly"),
        ("40", -1, False, "overdue"),
        ("100", -1, False, "paid"),
        ("0", -1, True, "void"),
    ],
)
def test_the_state_of_an_invoice(
    make: Any, member: Any, paid: str, due: int | None, void: bool, state: str
) -> None:
    from guestpost_crm.outreach.services import billing

    invoice = make.invoice(due_on=make.day(due) if due is not None else None, void=void)
    assert billing.state(invoice, Decimal(paid), make.day(0)) == state


def test_orders_become_paid_when_nothing_is_left_to_pay(make: Any, member: Any) -> None:
    site = make.site()
    ready = {
        "price": Decimal(50),
        "published_url": f"https://{site}/a",
        "target_url": "https://ours.example/",
    }
    published = make.order(site, stage="published", **ready)
    writing = make.order(site, stage="writing", price=Decimal(50))
    invoice = make.invoice(site, orders=[published, writing])
    pay(member, invoice, "60", make.day(0))
    published.refresh_from_db()
    assert published.stage == "published"
    pay(member, invoice, "40", make.day(0))
    published.refresh_from_db()
    writing.refresh_from_db()
    assert (published.stage, writing.stage) == ("paid", "writing")


def test_more_than_is_open_is_refused_and_the_rest_is_told(make: Any, member: Any) -> None:
    from guestpost_crm.outreach.models import Payment
    from guestpost_crm.outreach.services import billing

    invoice = make.invoice(currency="EUR")
    pay(member, invoice, "60", make.day(0))
    with pytest.raises(billing.PaymentError, match=r"Only 40.00 EUR of this invoice is open"):
        pay(member, invoice, "40.01", make.day(0))
    assert Payment.objects.count() == 1


def test_a_void_invoice_takes_no_payment_and_one_with_payments_stays_valid(make: Any, member: Any) -> None:
    from guestpost_crm.outreach.services import billing

    invoice = make.invoice()
    billing.set_void(member, invoice, void=True)
    with pytest.raises(billing.PaymentError, match="void"):
        pay(member, invoice, "1", make.day(0))
    billing.set_void(member, invoice, void=False)
    payment = pay(member, invoice, "1", make.day(0))
    with pytest.raises(billing.PaymentError, match="remove them first"):
        billing.set_void(member, invoice, void=True)
    billing.remove_payment(member, payment)
    billing.set_void(member, invoice, void=True)


def test_what_is_outstanding_is_summed_by_currency_and_never_across(make: Any, member: Any) -> None:
    from guestpost_crm.outreach.services import billing

    first = make.invoice(number="1", amount=Decimal("100.10"), currency="EUR")
    make.invoice(number="2", amount=Decimal("0.20"), currency="EUR")
    make.invoice(number="3", amount=Decimal(7), currency="USD")
    make.invoice(number="4", amount=Decimal(1000), currency="USD", void=True)
    paid = make.invoice(number="5", amount=Decimal(3), currency="GBP")
    pay(member, first, "0.10", make.day(0))
    pay(member, paid, "3", make.day(0))
    assert billing.outstanding() == [(Decimal("100.20"), "EUR"), (Decimal("7.00"), "USD")]


def test_an_invoice_of_an_order_is_filled_in_from_it(make: Any, page: Any) -> None:
    from guestpost_crm.outreach.models import Invoice

    contact = make.contact("bob@site.example")
    order = make.order(make.site("site.example"), contact=contact, price=Decimal(120), currency="EUR")
    text = page.get(f"/invoices/new?order={order.pk}").content.decode()
    for shown in ("site.example", "bob@site.example", "120.00"):
        assert f'value="{shown}"' in text
    typed = {
        "site": "site.example",
        "number": "R-7",
        "amount": "120",
        "currency": "EUR",
        "issued_on": "2026-03-01",
        "orders": [order.pk],
    }
    assert page.post("/invoices/new", typed).status_code == 302
    assert list(Invoice.objects.get().orders.all()) == [order]
    answer = page.post("/invoices/new", {**typed, "due_on": "2026-02-01"})
    assert answer.status_code == 422
    assert "This is before it was issued." in answer.content.decode()
    assert "An invoice of this site has this number already." in answer.content.decode()


def test_a_payment_that_is_too_large_is_refused_on_the_page_and_kept_as_typed(make: Any, page: Any) -> None:
    from guestpost_crm.outreach.models import Payment

    invoice = make.invoice(currency="EUR")
    typed = {"amount": "1.000,00", "paid_on": "2026-03-01", "method": "PayPal", "reference": "my reference"}
    answer = page.post(f"/invoices/{invoice.pk}/pay", typed)
    text = answer.content.decode()
    assert answer.status_code == 422
    assert "Only 100.00 EUR of this invoice is open." in text
    assert "1.000,00" in text
    assert "my reference" in text
    assert not Payment.objects.exists()
    assert page.post(f"/invoices/{invoice.pk}/pay", {**typed, "amount": "100"}).status_code == 302
    payment = Payment.objects.get()
    assert page.post(f"/payments/{payment.pk}/remove").status_code == 302
    assert not Payment.objects.exists()


@pytest.mark.parametrize(
    ("show", "numbers"),
    [("", "1234"), ("unpaid", "124"), ("overdue", "2"), ("paid", "3"), ("void", "5")],
)
def test_the_list_is_narrowed_by_what_an_invoice_waits_for(
    make: Any, page: Any, member: Any, show: str, numbers: str
) -> None:
    for number, values in enumerate(
        ({}, {"due_on": make.day(-1)}, {}, {"due_on": make.day(1)}, {"void": True}), start=1
    ):
        make.invoice(number=f"NO-{number}", **values)
    from guestpost_crm.outreach.models import Invoice

    pay(member, Invoice.objects.get(number="NO-3"), "100", make.day(0))
    text = page.get(f"/invoices?show={show}").content.decode()
    found = "".join(str(number) for number in range(1, 6) if f">NO-{number}<" in text)
    assert found == (numbers if show else "12345")
