"""Amounts, addresses of lists with one thing changed, headings that sort."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from django import template
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.formats import number_format
from django.utils.html import format_html

from guestpost_crm.outreach import domains
from guestpost_crm.outreach.money import shown
from guestpost_crm.outreach.services import billing, placements

register = template.Library()


@register.filter
def money(value: Decimal | None, currency: str) -> str:
    """An amount for people."""
    return shown(value, currency)


@register.filter
def domain(value: str) -> str:
    """A stored domain for people."""
    return domains.shown(value)


@register.simple_tag(takes_context=True)
def replaced(context: dict[str, Any], **changes: Any) -> str:
    """The query of this page with some of it changed, from its first page on unless `page` is given."""
    request: HttpRequest = context["request"]
    query = request.GET.copy()
    query.pop("page", None)
    for name, value in changes.items():
        query.pop(name, None)
        if value not in (None, ""):
            query[name] = str(value)
    return f"?{query.urlencode()}"


@register.inclusion_tag("outreach/_sort.html", takes_context=True)
def heading(
    context: dict[str, Any], page: Any, word: str, label: str, *, number: bool = False
) -> dict[str, Any]:
    """A column's heading that sorts by it, and says how it is sorted now."""
    current = page.sort.removeprefix("-") == word
    down = page.sort.startswith("-")
    following = word if not current or down else f"-{word}"
    if number and not current:
        following = f"-{word}"
    return {
        "label": label,
        "address": replaced(context, sort=following),
        "state": ("descending" if down else "ascending") if current else "",
        "number": number,
    }


@register.filter
def short(value: int | None) -> str:
    """A large number in few letters: 950, 12.5k, 3.1M; empty for none."""
    if value is None:
        return ""
    for size, letter in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if value >= size:
            number = value / size
            return f"{number:.1f}".removesuffix(".0") + letter if number < 100 else f"{number:.0f}{letter}"
    return str(value)


@register.filter
def size(count: int | None) -> str:
    """A number of bytes in the binary units that staff's pages and the API use too, such as 1.4 GiB."""
    count = count or 0
    if count < 1024:
        return filesizeformat(count)
    value, units = count / 1024, iter(("KiB", "MiB", "GiB", "TiB"))
    unit = next(units)
    # From 1,023.5 on it would be written as 1,024.
    while value >= 1023.5 and (larger := next(units, "")):
        value, unit = value / 1024, larger
    places = 1 if value < 99.95 else 0
    # Django itself cuts off.
    return f"{number_format(round(value, places), places)}\xa0{unit}"


@register.filter
def invoice_state(invoice: Any, today: dt.date) -> billing.InvoiceState:
    """What an invoice with `paid` waits for."""
    return billing.state(invoice, invoice.paid, today)


@register.filter
def plain_address(value: str) -> str:
    """An address without its scheme and a slash at the end, for lists."""
    return value.removeprefix("https://").removeprefix("http://").removesuffix("/")


@register.simple_tag
def lost_links() -> int:
    """How many links are lost and still looked after: the alert that stands on every page."""
    return placements.lost()


@register.filter
def outside(address: str) -> str:
    """A link to a page elsewhere; what is no address of one stays text, wherever it came from."""
    if not address.lower().startswith(("http://", "https://")):
        return address
    return format_html('<a href="{}" rel="noopener noreferrer nofollow">{}</a>', address, address)
