"""Amounts as Decimals with an ISO 4217 currency. Pure; nothing here is ever a float."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from guestpost_crm.told import ToldError
from guestpost_crm.told import gettext_noop as _

# What guest-post desks deal in, the usual ones first; ISO 4217 codes.
CURRENCIES = (
    "USD", "EUR", "GBP", "AUD", "CAD", "CHF", "NZD", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "RON", "BGN",
    "TRY", "UAH", "INR", "PKR", "BDT", "PHP", "IDR", "SGD", "HKD", "JPY", "CNY", "KRW", "THB", "VND", "AED",
    "SAR", "ILS", "ZAR", "NGN", "KES", "BRL", "MXN", "ARS", "CLP", "COP",
)  # fmt: skip
SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "INR": "₹", "JPY": "¥", "PLN": "zł", "TRY": "₺", "UAH": "₴"}
MOST = Decimal("9999999999.99")
_CENT = Decimal("0.01")
_GROUP = r"[.,'\u2019 \u00a0\u202f]"
NUMBER = re.compile(
    rf"(?:[0-9]{{1,3}}(?:{_GROUP}[0-9]{{3}}){{1,4}}|[0-9]{{1,12}})(?:[.,][0-9]{{1,2}})?(?!\d)"
)


class AmountError(ToldError):
    """This is no amount; the message is for the person who wrote it."""


def amount(text: str) -> Decimal:
    """The number that somebody wrote, whichever way they group: `1,200.50`, `1.200,50`, `1 200`, `120`.

    One separator followed by three digits groups thousands (`1.200` is 1200), any other is the decimal one.

    Raises:
        AmountError: it is no amount of money.
    """
    written = text.strip()
    if not NUMBER.fullmatch(written):
        raise AmountError(_("“%(text)s” is not an amount, such as 120 or 1,200.50."), text=written[:40])
    whole, fraction = written, ""
    if match := re.search(r"[.,](\d{1,2})$", written):
        whole, fraction = written[: match.start()], match[1]
        if written[match.start()] in whole:
            problem = _("“%(text)s” is not an amount: its separators contradict each other.")
            raise AmountError(problem, text=written[:40])
    digits = re.sub(r"\D", "", whole)
    try:
        value = Decimal(f"{digits}.{fraction.ljust(2, '0')}")
    except InvalidOperation:
        raise AmountError(_("“%(text)s” is not an amount."), text=written[:40]) from None
    if value > MOST:
        raise AmountError(_("“%(text)s” is too large."), text=written[:40])
    return value


def cents(value: Decimal) -> Decimal:
    """Rounded to two places, halves away from zero as invoices do."""
    return value.quantize(_CENT, rounding=ROUND_HALF_UP)


def shown(value: Decimal | None, currency: str) -> str:
    """An amount for people: `$1,200`, `€80.50`, `1,200 SEK`; empty for none."""
    if value is None:
        return ""
    number = f"{abs(value):,.2f}".removesuffix(".00")
    minus = "\u2212" if value < 0 else ""
    sign = SIGNS.get(currency, "")
    return (
        f"{minus}{sign}{number}" if sign and sign != "zł" else f"{minus}{number} {sign or currency}".rstrip()
    )
