"""Prices in mail: found in the ways people write them, never in what only looks like one."""

from __future__ import annotations

import datetime as dt
import time
from decimal import Decimal

import pytest
from guestpost_crm.outreach import money, prices
from hypothesis import given
from hypothesis import strategies as st

AMOUNTS = st.decimals("1", "999999.99", places=2)
CURRENCIES = st.sampled_from(money.CURRENCIES)


def found(text: str) -> list[tuple[str, str | None, str]]:
    return [
        (f"{each.low.normalize():f}", f"{each.high.normalize():f}" if each.high else None, each.currency)
        for each in prices.find(text)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Our price is 120 USD.", [("120", None, "USD")]),
        ("We charge USD 80, as ever", [("80", None, "USD")]),
        ("€1.200,50 per link", [("1200.5", None, "EUR")]),
        ("1 200 € pour un article", [("1200", None, "EUR")]),
        ("£75", [("75", None, "GBP")]),
        ("80$ each", [("80", None, "USD")]),
        ("50usd", [("50", None, "USD")]),
        ("US$ 40 or A$60", [("40", None, "USD"), ("60", None, "AUD")]),
        ("1.5k USD for ten", [("1500", None, "USD")]),
        ("Rs. 5000", [("5000", None, "INR")]),
        ("90 dollars", [("90", None, "USD")]),
        ("$100-150", [("100", "150", "USD")]),
        ("100\u2013150 EUR per post", [("100", "150", "EUR")]),
        ("between $100 and $150", [("100", "150", "USD")]),
        ("120 EUR - 150 EUR", [("120", "150", "EUR")]),
        ("$80 and $150 for casino", [("80", None, "USD"), ("150", None, "USD")]),
        ("$80 - €90", [("80", None, "USD"), ("90", None, "EUR")]),
        ("3 and 150 USD", [("150", None, "USD")]),
        ("$80, again $80", [("80", None, "USD")]),
        ("20% off: $80", [("80", None, "USD")]),
    ],
)
def test_a_price_is_found(text: str, expected: list[tuple[str, str | None, str]]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "since 2019", "DR 54 and 12000 visits", "20 %", "$20%", "+1 555 123 4567 USD",
        "(555) 123-4567 USD",
        "call 555-123-4567", "12.05.2026 $", "2026-05-12 EUR", "14:30 EUR", "https://x.example/?p=120USD",
        "a120@usd.example 5", "version 1.2.3 $", "$1.5m", "USDT 120", "0 USD", "EURO2026", "$ $ $",
    ],
)  # fmt: skip
def test_what_is_no_price_is_not_found(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "text", ["$80/link", "80 EUR per guest post", "£50 each", "$90 for each article", "70€ pro Beitrag"]
)
def test_a_price_for_one_link_is_told_apart(text: str) -> None:
    assert [each.per_link for each in prices.find(text)] == [True]
    assert [each.per_link for each in prices.find("$80 in total")] == [False]


@given(
    AMOUNTS,
    CURRENCIES,
    st.sampled_from(["{c} {n}", "{n} {c}", "{c}{n}", "so {n} {c}, fine?"]),
    st.sampled_from([",.", ".,", " ,", "\u2019."]),
)
def test_every_way_of_writing_an_amount_is_read_alike(
    amount: Decimal, code: str, form: str, marks: str
) -> None:
    written = f"{amount:,.2f}".translate(str.maketrans({",": marks[0], ".": marks[1]}))
    assert money.amount(written) == amount
    if form == "{c}{n}":
        code = "$"
    [price] = prices.find(f"Hello, {form.format(c=code, n=written)}")
    assert (price.low, price.high, price.currency) == (amount, None, "USD" if code == "$" else code)
    assert written in price.text


@given(AMOUNTS, AMOUNTS, CURRENCIES)
def test_a_range_has_two_ends(one: Decimal, other: Decimal, code: str) -> None:
    low, high = sorted((one, other))
    [price] = prices.find(f"{low:.2f} to {high:.2f} {code}")
    assert (price.low, price.high) == (low, high if high > low else None)


@given(
    st.dates(dt.date(1990, 1, 1), dt.date(2099, 12, 31)),
    st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d-%m-%y"]),
    CURRENCIES,
)
def test_a_date_is_never_a_price(day: dt.date, form: str, code: str) -> None:
    assert prices.find(f"by {day.strftime(form)} {code}") == []
    assert prices.find(f"{code} {day.strftime(form)}") == []


@given(st.from_regex(r"\+[1-9][0-9]{0,2} [0-9]{3} [0-9]{3} [0-9]{3,4}", fullmatch=True), CURRENCIES)
def test_a_telephone_number_is_never_a_price(number: str, code: str) -> None:
    assert prices.find(f"Call {number} {code}") == []


@given(st.decimals("0", "1000", places=1), st.sampled_from(["%", " %", " percent"]))
def test_a_percentage_is_never_a_price(number: Decimal, sign: str) -> None:
    assert prices.find(f"$ {number}{sign} USD") == []


@given(st.text(alphabet=st.sampled_from("0123456789.,-\u2013/$€£ USDEURkto%:@\x00\n"), max_size=200))
def test_whatever_is_written_is_taken_and_prices_are_sane(text: str) -> None:
    for price in prices.find(text):
        assert 0 < price.low <= money.MOST
        assert price.high is None or price.high > price.low
        assert price.currency in money.CURRENCIES
        assert price.text in text


@pytest.mark.parametrize(
    "piece", ["1", "1 111 ", "$1-", "1.1.", "a@", "111 ", "+1", "1%", "EUR 1 ", "https://", "1 to "]
)
def test_long_texts_take_no_long_time(piece: str) -> None:
    begun = time.process_time()
    prices.find(piece * (prices.MOST_TEXT // len(piece)))
    assert time.process_time() - begun < 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "1,2,3",
        "12.345.6789",
        "-5",
        "1e9",
        "1.234.5",
        "\uff19\uff19",
        "99999999999",
        "1\n2",
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(money.AmountError):
        money.amount(text)


@pytest.mark.parametrize(
    ("value", "currency", "shown"),
    [
        ("1200", "USD", "$1,200"),
        ("80.5", "EUR", "€80.50"),
        ("1200", "SEK", "1,200 SEK"),
        ("-5", "GBP", "\u2212£5"),
        ("7", "PLN", "7 zł"),
    ],
)
def test_amounts_are_shown_with_their_currency(value: str, currency: str, shown: str) -> None:
    assert money.shown(Decimal(value), currency) == shown
    assert money.shown(None, currency) == ""
