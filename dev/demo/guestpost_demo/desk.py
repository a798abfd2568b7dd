"""What the owner's desk has written down beside its mail: sites, contacts, orders, offers, an invoice.

Entered through the CRM's own pages, as a person would: an import of a spreadsheet, then form by form.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import random
from collections.abc import Mapping

import httpx
from lxml import html

from guestpost_demo.journey import JourneyError
from guestpost_demo.mailbox import SEED, people
from guestpost_demo.mailbox.model import Contact
from guestpost_demo.person import Person

_COLUMNS = (
    "Domain", "Niche", "Language", "DR", "DA", "Visits a month", "Price", "Currency", "Turnaround in days",
    "Link policy", "Most links", "Notes",
)  # fmt: skip
_TARGET = "https://acme.example/guides"
# Contact, stage, days until it is due, anchor; further fields below.
_ORDERS = (
    (0, "prospect", 14, ""),
    (1, "prospect", None, ""),
    (2, "contacted", 10, ""),
    (3, "negotiating", 7, "guest post pricing"),
    (4, "negotiating", 3, "link building guide"),
    (5, "agreed", 5, "outreach templates"),
    (6, "writing", -1, "editorial calendar"),
    (7, "writing", 2, "guest post pricing"),
    (8, "submitted", 1, "link building guide"),
    (9, "lost", None, ""),
)
# Contact, whose offer it is, part of the list price, days until it runs out, terms.
_OFFERS = (
    (3, "theirs", 1.0, 6, "One dofollow link, live for at least a year."),
    (3, "ours", 0.8, 6, "Two posts this quarter."),
    (4, "theirs", 1.0, 2, "Valid until the end of the month."),
    (10, "theirs", 0.9, 20, "Three posts, one invoice."),
)


def set_up(person: Person, today: dt.date) -> bool:
    """Write everything down, the first time.

    Args:
        person: signed in; may write.
        today: dates lie around it.

    Returns:
        Whether anything was written; nothing is where the CRM has sites already.
    """
    contacts = people.contacts(random.Random(SEED))  # noqa: S311 - the same desk every time
    listed = html.fromstring(person.get(f"/sites?show=all&q={contacts[0].site}").text)
    if any(link.text_content().strip() == contacts[0].site for link in listed.iter("a")):
        return False
    _import_sites(person, contacts)
    for contact in contacts:
        fields = {"name": contact.name, "addresses": contact.address, "site_domains": contact.site}
        _fill_in(person, "/contacts/new", fields)
    for number, stage, days, anchor in _ORDERS:
        _fill_in(person, "/orders/new", _order(contacts[number], stage, _day(today, days), anchor))
    for number, direction, part, days, terms in _OFFERS:
        contact = contacts[number]
        fields = {
            "direction": direction,
            "price": str(round(contact.price * part)),
            "expires_on": _day(today, days),
            "terms": terms,
        }
        _fill_in(person, "/offers/new", _about(contact) | fields)
    billed = contacts[8]
    invoice = {"number": "2026-117", "amount": str(billed.price), "due_on": _day(today, 12)}
    _fill_in(person, "/invoices/new", _about(billed) | invoice | {"issued_on": _day(today, -2)})
    return True


def _day(today: dt.date, days: int | None) -> str:
    return "" if days is None else (today + dt.timedelta(days=days)).isoformat()


def _about(contact: Contact) -> dict[str, str]:
    return {"site": contact.site, "contact": contact.address, "currency": "USD"}


def _order(contact: Contact, stage: str, due: str, anchor: str) -> dict[str, str]:
    fields = {"stage": stage, "due_on": due, "anchor": anchor, "target_url": _TARGET if anchor else ""}
    priced = stage not in ("prospect", "contacted")
    return _about(contact) | fields | {"price": str(contact.price) if priced else ""}


def _import_sites(person: Person, contacts: list[Contact]) -> None:
    """The desk's spreadsheet, through the import with its preview."""
    files = {"file": ("sites.csv", spreadsheet(contacts).encode(), "text/csv")}
    preview = person.submit(person.get("/sites/import"), {}, action="/sites/import", files=files)
    _wanted(person.submit(preview, {"do": "import"}, action="/imports/"), "/sites/import")


def spreadsheet(contacts: list[Contact]) -> str:
    """The desk's sites as CSV, made up from the same people that write to it."""
    chance = random.Random(SEED)  # noqa: S311 - the same numbers every time
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for contact in {each.site: each for each in contacts}.values():
        rating = chance.randrange(22, 78)
        niche = contact.niche[:1].upper() + contact.niche[1:]
        days, policy = chance.choice((2, 3, 5, 7, 10)), chance.choice(("dofollow", "dofollow", "sponsored"))
        visits = rating**2 * chance.randrange(6, 40)
        writer.writerow(
            [contact.site, niche, "English", rating, rating + chance.randrange(-8, 9), visits,
             contact.price, "USD", days, policy, chance.choice((1, 1, 2)), ""]
        )  # fmt: skip
    return text.getvalue()


def _fill_in(person: Person, path: str, fields: Mapping[str, str]) -> None:
    """Open a form, fill it in and send it."""
    _wanted(person.submit(person.get(path), fields, action=path), path)


def _wanted(page: httpx.Response, path: str) -> None:
    if page.status_code == 200:
        return
    document = html.fromstring(page.text)
    errors = document.xpath("//*[contains(@class,'error')]") or [document]
    words = " ".join(" ".join(each.text_content().split()) for each in errors)[:300]
    raise JourneyError(f"{path} was answered with {page.status_code}: {words}")
