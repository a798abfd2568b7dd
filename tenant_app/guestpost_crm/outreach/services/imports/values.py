"""What cells say, of whichever kind of records: amounts, currencies, kinds of links, days, pages."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal

from django import forms
from django.utils.translation import gettext as _

from guestpost_crm.outreach import money
from guestpost_crm.outreach.models.common import LinkPolicy

_POLICIES = {
    "dofollow": "dofollow", "do-follow": "dofollow", "do follow": "dofollow", "follow": "dofollow",
    "df": "dofollow", "yes": "dofollow", "nofollow": "nofollow", "no-follow": "nofollow",
    "no follow": "nofollow", "nf": "nofollow", "no": "nofollow", "sponsored": "sponsored",
    "paid": "sponsored",
}  # fmt: skip
_DAYS = (
    "%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d.%m.%y", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y",
    "%b %d, %Y", "%B %d, %Y",
)  # fmt: skip
_PAGE = forms.URLField(max_length=2000, assume_scheme="https")
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}|\d\d)")
_MIDNIGHT = re.compile(r"[T ]0?0:00(:00(\.0+)?)?Z?$")


def amount(text: str) -> Decimal:
    """The amount in a cell, whatever currency stands with it (ValueError)."""
    with suppress(money.AmountError):
        return money.amount(re.sub(r"[^\d.,'\u2019 \u00a0\u202f-]", "", text).strip())
    raise ValueError(_("“%(text)s” is not an amount, such as 120 or 1,200.50.") % {"text": text[:40]})


def currency(text: str) -> str:
    """The code of a currency that its code or its sign says (ValueError)."""
    code = next((each for each, sign in money.SIGNS.items() if sign == text), text.upper())
    if code not in money.CURRENCIES:
        raise ValueError(_("“%(text)s” is no currency, such as USD.") % {"text": text[:40]})
    return code


def currency_of(text: str) -> str:
    """The currency that stands with an amount, empty when none does."""
    return next((code for code, sign in money.SIGNS.items() if sign in text or code in text.upper()), "")


def link_policy(text: str) -> str:
    """A kind of link (ValueError)."""
    if text.lower() not in _POLICIES:
        raise ValueError(_("“%(text)s” is not dofollow, nofollow or sponsored.") % {"text": text[:40]})
    return LinkPolicy(_POLICIES[text.lower()]).value


def page(text: str) -> str:
    """The address of a page; https when no scheme was written (ValidationError)."""
    return str(_PAGE.clean(text))


def day_first(texts: Iterable[str]) -> bool | None:
    """Whether days such as 03/04/2026 of a column begin with the day; None when no cell of it tells."""
    pairs = [(int(match[1]), int(match[2])) for text in texts if (match := _SLASHED.match(text))]
    days, months = any(first > 12 for first, _second in pairs), any(second > 12 for _first, second in pairs)
    return days if days != months else None


def day(text: str, first: bool | None) -> dt.date:
    """The day in a cell (ValueError tells what is wrong with it).

    Args:
        text: of the cell.
        first: what `day_first` says of the column.
    """
    written = _MIDNIGHT.sub("", text)
    known: tuple[str, ...] = _DAYS
    if match := _SLASHED.fullmatch(written):
        if first is None and match[1] != match[2]:
            problem = _("“%(text)s” may be one of two days: write it as 2026-12-31.")
            raise ValueError(problem % {"text": text[:40]})
        year = "%Y" if len(match[3]) == 4 else "%y"
        known = (f"%d/%m/{year}" if first else f"%m/%d/{year}",)
    for form in known:
        with suppress(ValueError):
            return dt.datetime.strptime(written, form).date()  # noqa: DTZ007 - a day, at no place
    raise ValueError(_("“%(text)s” is no day, such as 2026-12-31.") % {"text": text[:40]})
