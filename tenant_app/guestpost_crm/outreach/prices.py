"""Prices in the text of a mail, as suggestions: only a person makes an offer of one. Pure.

A number is a price only beside a currency. Dates, telephone numbers, percentages, addresses of pages
and of people are blanked out before anything is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from guestpost_crm.outreach.money import CURRENCIES, MOST, NUMBER, AmountError, amount

MOST_TEXT = 100_000
MOST_FOUND = 12
_BLANK = "\x00"
_NOT_PRICES = re.compile(
    r"""
      (?:https?://|www\.)\S{1,2000}                                  # pages
    | [^\s@]{1,64}@[^\s@]{1,255}                                     # people
    | (?<![\d.,])\d{4}-\d{1,2}-\d{1,2}(?!\d)                         # 2026-05-12
    | (?<![\d.,])\d{1,2}([./-])\d{1,2}\1(?:\d{4}|\d{2})(?![\d])      # 12.05.2026, 5/12/26
    | (?<!\d)\d{1,2}:\d{2}(?::\d{2})?(?!\d)                          # 14:30
    | \+\d[\d\ ().\u00a0-]{6,20}\d                                   # +49 30 1234567
    | \(\d{2,4}\)[\ -]?\d{2,4}[\ -]?\d{2,5}                          # (555) 123-4567
    | (?<!\d)\d{3}[-.]\d{3}[-.]\d{4}(?!\d)                           # 555-123-4567
    | (?<!\d)0\d{2,4}[\ /-]\d{5,9}(?!\d)                             # 030 1234567
    | (?<!\d)\d{1,9}(?:[.,]\d{1,9})?\s?(?:%|percent\b|per\ cent\b)                  # 20 %
    """,
    re.VERBOSE | re.IGNORECASE,
)
_CODES = "|".join(CURRENCIES)
_WORDS = {
    "$": "USD", "us$": "USD", "usd$": "USD", "dollar": "USD", "dollars": "USD", "bucks": "USD",
    "us dollars": "USD",
    "€": "EUR", "euro": "EUR", "euros": "EUR", "£": "GBP", "pound": "GBP", "pounds": "GBP", "quid": "GBP",
    "a$": "AUD", "au$": "AUD", "c$": "CAD", "ca$": "CAD", "nz$": "NZD", "₹": "INR", "rs": "INR", "rs.": "INR",
    "rupees": "INR", "zł": "PLN", "zl": "PLN", "₺": "TRY", "₴": "UAH", "chf": "CHF", "¥": "JPY",
}  # fmt: skip
_BEFORE = rf"(?:US\$|USD\$|AU?\$|CA?\$|NZ\$|[$€£₹₺₴¥]|\bRs\.?|\b(?:{_CODES})\b)"
_AFTER = rf"(?:[$€£₹₺₴]|zł|(?:{_CODES}|US\ dollars|dollars?|bucks|euros?|pounds?|quid|rupees)\b)"
_AMOUNT = rf"(?:{NUMBER.pattern})(?:[kK](?![\w]))?"
_TO = r"(?P<to{0}>\s?(?:-|\u2013|\u2014|\bto\b|\band\b|\bbis\b|\bà\b)\s?)"
# What may stand right before a number that begins there, and right after one that ends there.
_EDGE = r"(?<![\w.,\x00])"
_END = r"(?![\w\x00]|[.,]\d)"
_PRICE = re.compile(
    rf"(?P<before>(?<![\w])(?:{_BEFORE}))\s?(?P<low1>{_AMOUNT})"
    rf"(?:{_TO.format(1)}(?P<again>{_BEFORE})?\s?(?P<high1>{_AMOUNT}))?{_END}"
    rf"|{_EDGE}(?P<low2>{_AMOUNT})"
    rf"(?:(?:\s?(?P<first>{_AFTER}))?{_TO.format(2)}(?P<high2>{_AMOUNT}))?\s?(?P<after>{_AFTER})(?![\w])",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"\b(?:between|zwischen|entre)\s*$", re.IGNORECASE)
_PER_LINK = re.compile(
    r"^[\s,.:;)(]{0,3}(?:per|a|each|for\s(?:each|every|one|a)|/|je|pro|par)?\s?"
    r"(?:link|post|article|guest\s?post|placement|insertion|backlink|each|apiece|beitrag|artikel)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Price:
    """A price that was found.

    Attributes:
        low: the amount, or the lower end of a range.
        high: the upper end, None when there is no range.
        currency: ISO 4217.
        per_link: whether the words after it say that it is for one link or post.
        text: as it stands in the mail.
        start: where.
    """

    low: Decimal
    high: Decimal | None
    currency: str
    per_link: bool
    text: str
    start: int


def find(text: str) -> list[Price]:
    """The prices in a text, in order, each amount once; at most MOST_FOUND of them."""
    found: dict[tuple[Decimal, Decimal | None, str], Price] = {}
    for price in _all(text[:MOST_TEXT]):
        known = found.setdefault((price.low, price.high, price.currency), price)
        if price.per_link and not known.per_link:
            found[price.low, price.high, price.currency] = price
        if len(found) >= MOST_FOUND:
            break
    return list(found.values())


def _all(text: str) -> Iterator[Price]:
    masked = _NOT_PRICES.sub(lambda match: _BLANK * len(match[0]), text)
    position = 0
    while (match := _PRICE.search(masked, position)) is not None:
        found = _read(masked, match)
        position = max(found.end, match.start() + 1)
        currency, low = _currency(found.mark), _value(found.low)
        high = _value(found.high) if found.high else None
        if not currency or low is None or low <= 0:
            continue
        if high is not None and high <= low:
            high = None
        per_link = _PER_LINK.match(masked[found.end : found.end + 40]) is not None
        shown = text[found.start : found.end].strip()
        yield Price(low, high, currency, per_link, shown, found.start)


@dataclass(frozen=True)
class _Written:
    """The pieces of one price as they stand in a text."""

    mark: str
    low: str
    high: str
    start: int
    end: int


def _read(text: str, match: re.Match[str]) -> _Written:
    """Take a match apart; what only looks like a range is its first price, the second is found next."""
    way = "1" if match["before"] else "2"
    low, high, to = match[f"low{way}"], match[f"high{way}"] or "", match[f"to{way}"] or ""
    mark, other = (match["before"], match["again"]) if way == "1" else (match["after"], match["first"])
    same = not other or _currency(other) == _currency(mark)
    joined = to.strip().lower() != "and" or _BETWEEN.search(text[: match.start()][-12:]) is not None
    if not high or (same and joined):
        return _Written(mark, low, high, match.start(), match.end())
    if way == "1":
        return _Written(mark, low, "", match.start(), match.end("low1"))
    if other:
        return _Written(other, low, "", match.start(), match.end("first"))
    # "3 and 150 USD": the first number has no currency of its own.
    return _Written(mark, high, "", match.start("high2"), match.end())


def _currency(mark: str) -> str:
    word = mark.lower().strip()
    return _WORDS.get(word, word.upper() if word.upper() in CURRENCIES else "")


def _value(written: str) -> Decimal | None:
    thousands = written[-1:] in "kK"
    try:
        value = amount(written.rstrip("kK"))
    except AmountError:
        return None
    value = value * 1000 if thousands else value
    return value if value <= MOST else None
