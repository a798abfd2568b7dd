"""Made-up outreach records for tests, benchmarks and a look at the pages: the same in every run."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

NICHES = ("Travel", "Finance", "Health", "Home & garden", "Technology", "Food", "Parenting", "Pets")
LANGUAGES = ("English", "English", "English", "German", "French", "Spanish", "Polish")
WORDS = ("wander", "ledger", "green", "north", "bright", "daily", "urban", "craft", "atlas", "maple",
         "signal", "harbor", "clever", "garden", "pixel", "cedar", "lumen", "orbit", "vivid")  # fmt: skip
ENDS = ("post", "journal", "hub", "guide", "magazine", "blog", "times", "review", "notes", "weekly")
FIRST = ("Marta", "Jonas", "Priya", "Lucía", "Tom", "Aisha", "Wei", "Olga", "Ben", "Chloé", "Noah", "Ines")
LAST = ("Kowalski", "Berg", "Nair", "Ortega", "Hughes", "Bello", "Zhang", "Petrova", "Adler", "Martin", "Kim")
ANCHORS = ("best travel insurance", "guide to index funds", "project management software", "our recipe box",
           "how to repot a monstera", "compare broadband", "children's bikes", "vegan protein")  # fmt: skip
CURRENCIES = ("USD", "USD", "USD", "EUR", "GBP")


@dataclass
class Records:
    """What was made."""

    sites: list[Any]
    contacts: list[Any]
    orders: list[Any]


def fill(person: Any, sites: int = 300, seed: int = 7, today: dt.date | None = None) -> Records:
    """Fill an empty CRM.

    Args:
        person: who made everything.
        sites: how many; contacts are two thirds and orders as many as that.
        seed: of the chance that decides.
        today: the day that dates lie around.
    """
    chance = random.Random(seed)  # noqa: S311 - nothing secret
    day = today or dt.date.today()  # noqa: DTZ011 - days of made-up records
    found_sites = _sites(chance, sites)
    contacts = _contacts(chance, found_sites)
    orders = _orders(chance, found_sites, contacts, person, day)
    _offers(chance, found_sites, contacts, person, day)
    _placements(chance, orders, day)
    _invoices(chance, orders, person)
    return Records(found_sites, contacts, orders)


def _sites(chance: random.Random, count: int) -> list[Any]:
    from guestpost_crm.outreach.domains import registrable
    from guestpost_crm.outreach.models import Site

    made = []
    for number in range(count):
        end = chance.choice(("com", "com", "net", "co.uk", "de"))
        domain = f"{chance.choice(WORDS)}{chance.choice(ENDS)}{number}.{end}"
        dr = chance.randint(8, 88)
        made.append(
            Site(
                domain=domain,
                registrable=registrable(domain),
                niche=chance.choice(NICHES),
                language=chance.choice(LANGUAGES),
                dr=dr,
                da=max(1, dr + chance.randint(-12, 12)),
                traffic=int(10 ** chance.uniform(2.5, 6.3)),
                price=Decimal(chance.randint(2, 90) * 5) if chance.random() < 0.85 else None,
                currency=chance.choice(CURRENCIES),
                turnaround_days=chance.choice((2, 3, 5, 7, 10, 14, 21)),
                link_policy=chance.choice(("dofollow", "dofollow", "dofollow", "nofollow", "sponsored", "")),
                max_links=chance.choice((1, 2, 2, 3, None)),
                do_not_contact=chance.random() < 0.02,
                notes="Wants the text as a Google document. No casino, no CBD." if number % 9 == 0 else "",
            )
        )
    return Site.objects.bulk_create(made)


def _contacts(chance: random.Random, sites: list[Any]) -> list[Any]:
    from guestpost_crm.outreach.domains import canonical
    from guestpost_crm.outreach.models import Contact, ContactAddress

    people = [
        Contact(name=f"{chance.choice(FIRST)} {chance.choice(LAST)}") for _ in range(len(sites) * 2 // 3)
    ]
    made = Contact.objects.bulk_create(people)
    links, addresses = [], []
    for number, contact in enumerate(made):
        site = sites[number % len(sites)]
        address = f"{contact.name.split()[0].lower()}{number}@{site.domain}"
        addresses.append(ContactAddress(contact=contact, address=address, canonical=canonical(address)))
        links += [Contact.sites.through(contact=contact, site=each) for each in {site, chance.choice(sites)}]
    ContactAddress.objects.bulk_create(addresses)
    Contact.sites.through.objects.bulk_create(links)
    return made


def _orders(
    chance: random.Random, sites: list[Any], contacts: list[Any], person: Any, day: dt.date
) -> list[Any]:
    from guestpost_crm.outreach.models import Order, OrderChange
    from guestpost_crm.outreach.models.orders import Stage

    weights = (8, 7, 6, 4, 5, 4, 6, 9, 3)
    made = []
    for number in range(len(contacts)):
        contact, site = contacts[number], sites[number % len(sites)]
        stage = chance.choices(list(Stage), weights)[0]
        at = list(Stage).index(stage)
        late = 3 <= at <= 7
        published = (
            day - dt.timedelta(days=chance.randint(1, 340))
            if stage in (Stage.PUBLISHED, Stage.PAID)
            else None
        )
        made.append(
            Order(
                site=site,
                contact=contact,
                stage=stage,
                anchor=chance.choice(ANCHORS),
                target_url=f"https://www.client{number % 7}.example/{chance.choice(WORDS)}",
                published_url=f"https://{site.domain}/{chance.choice(WORDS)}-{number}" if published else "",
                price=Decimal(chance.randint(4, 80) * 5) if late or chance.random() < 0.3 else None,
                currency=chance.choice(CURRENCIES),
                due_on=day + dt.timedelta(days=chance.randint(-6, 30))
                if at < 7 and chance.random() < 0.8
                else None,
                assigned=person if chance.random() < 0.7 else None,
                agreed_on=published - dt.timedelta(days=chance.randint(1, 45)) if published else None,
                published_on=published,
            )
        )
    orders = Order.objects.bulk_create(made)
    OrderChange.objects.bulk_create(
        OrderChange(order=order, person=person, field="stage", new=str(order.stage)) for order in orders
    )
    return orders


def _offers(chance: random.Random, sites: list[Any], contacts: list[Any], person: Any, day: dt.date) -> None:
    from guestpost_crm.outreach.models import Offer

    Offer.objects.bulk_create(
        Offer(
            site=sites[number % len(sites)],
            contact=contacts[number],
            direction=chance.choice(("theirs", "theirs", "ours")),
            price=Decimal(chance.randint(4, 80) * 5),
            currency=chance.choice(CURRENCIES),
            terms="One dofollow link, live for at least a year." if number % 3 == 0 else "",
            expires_on=day + dt.timedelta(days=chance.randint(-5, 30)) if number % 2 else None,
            state=chance.choice(("open", "open", "declined", "superseded", "accepted")),
            created_by=person,
        )
        for number in range(0, len(contacts), 2)
    )


def _placements(chance: random.Random, orders: list[Any], day: dt.date) -> None:
    from guestpost_crm.outreach.models import Order, Placement, PlacementCheck

    now = dt.datetime.combine(day, dt.time(9, 30), dt.UTC)
    published = [order for order in orders if order.published_url]
    kinds = {"live": [], "changed": ["nofollow"], "lost": ["missing"], "unreachable": ["no-answer"]}
    made = []
    for order in published:
        state = chance.choices(list(kinds), (14, 2, 1, 1))[0]
        made.append(
            Placement(
                order=order, site=order.site, url=order.published_url, target_url=order.target_url,
                anchor=order.anchor, state=state, was_live=True, problems=kinds[state], checked_at=now,
                next_check_at=now + dt.timedelta(days=1), lost_at=now if state == "lost" else None,
            )
        )  # fmt: skip
    Placement.objects.bulk_create(made)
    PlacementCheck.objects.bulk_create(
        PlacementCheck(
            placement=placement,
            at=now - dt.timedelta(days=ago),
            state=placement.state if ago == 0 else "live",
            findings={
                "status": 200, "anchor": placement.anchor, "rel": "",
                "problems": placement.problems if ago == 0 else [],
            },
        )
        for placement in made
        for ago in range(3)
    )  # fmt: skip
    lost = [placement.order_id for placement in made if placement.state == "lost"]
    Order.objects.filter(pk__in=lost).update(link_lost=True)


def _invoices(chance: random.Random, orders: list[Any], person: Any) -> None:
    from guestpost_crm.outreach.models import Invoice, Payment

    billed = [order for order in orders if order.published_on and order.price]
    for number, order in enumerate(billed):
        invoice = Invoice.objects.create(
            number=f"INV-{1000 + number}", site=order.site, contact=order.contact, amount=order.price,
            currency=order.currency, issued_on=order.published_on,
            due_on=order.published_on + dt.timedelta(days=30),
        )  # fmt: skip
        invoice.orders.add(order)
        if order.stage == "paid" or chance.random() < 0.2:
            part = order.price if order.stage == "paid" else (order.price / 2).quantize(Decimal("0.01"))
            paid_on = order.published_on + dt.timedelta(days=chance.randint(0, 25))
            Payment.objects.create(
                invoice=invoice, amount=part, paid_on=paid_on, method="PayPal", person=person
            )
