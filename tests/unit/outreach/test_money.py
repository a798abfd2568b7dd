"""Amounts in whichever way people write them, and back for people."""

from __future__ import annotations

from decimal import Decimal

import pytest
from guestpost_crm.outreach import money
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("120", "120"), ("120.5", "120.5"), ("120,50", "120.50"), ("1,200", "1200"), ("1.200", "1200"),
        ("1,200.50", "1200.50"), ("1.200,50", "1200.50"), ("1 200", "1200"), ("1\u00a0200,5", "1200.5"),
        ("1'200", "1200"), ("1\u2019200.00", "1200"), ("1,200,300", "1200300"), (" 7 ", "7"), ("0", "0"),
        ("0.01", "0.01"),
    ],
)  # fmt: skip
def test_amounts(written: str, value: str) -> None:
    assert money.amount(written) == Decimal(value)


@pytest.mark.parametrize(
    "written",
    ["", "x", "-5", "1,2,3", "1.2.3", "1,200,50", "1.200.50", "12.345.6", "$5", "5 USD", "1e3", "٣", "1.,5",
     "9" * 13, "NaN", "1,20,300"],
)  # fmt: skip
def test_what_is_no_amount(written: str) -> None:
    with pytest.raises(money.AmountError):
        money.amount(written)


@given(st.decimals(0, money.MOST, places=2))
def test_an_amount_is_read_however_it_is_grouped(value: Decimal) -> None:
    english = f"{value:,.2f}"
    assert money.amount(english) == value
    assert money.amount(english.translate(str.maketrans(",.", ".,"))) == value
    assert money.amount(english.replace(",", " ")) == value
    assert money.amount(f"{value:.2f}") == value


@pytest.mark.parametrize(
    ("value", "currency", "shown"),
    [
        ("1200", "USD", "$1,200"), ("80.5", "EUR", "€80.50"), ("1200", "SEK", "1,200 SEK"),
        ("5", "PLN", "5 zł"),
        ("-3.5", "GBP", "\u2212£3.50"), ("0", "USD", "$0"), ("7", "", "7"),
    ],
)  # fmt: skip
def test_amounts_for_people(value: str, currency: str, shown: str) -> None:
    assert money.shown(Decimal(value), currency) == shown
    assert money.shown(None, currency) == ""


@pytest.mark.parametrize(("value", "rounded"), [("1.005", "1.01"), ("1.004", "1.00"), ("2.675", "2.68")])
def test_halves_are_rounded_up(value: str, rounded: str) -> None:
    assert money.cents(Decimal(value)) == Decimal(rounded)
