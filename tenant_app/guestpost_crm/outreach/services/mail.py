"""What is known about a conversation: contacts, sites, orders, offers, and prices that stand in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Q

from guestpost_crm.gmail.models import Mailbox
from guestpost_crm.inbox.models import Message, Thread
from guestpost_crm.inbox.services import display_name
from guestpost_crm.outreach import domains, prices
from guestpost_crm.outreach.models import Contact, Offer, Order, Site
from guestpost_crm.outreach.services.addresses import of_message

MOST_SHOWN = 6


@dataclass(frozen=True)
class Stranger:
    """Somebody in a conversation who is no contact yet; `site` is a domain to suggest, or empty."""

    name: str
    address: str
    site: str


@dataclass(frozen=True)
class Suggestion:
    """A price in a mail of theirs; `known` when an offer of this thread has it already."""

    price: prices.Price
    message: int
    known: bool


@dataclass
class Panel:
    """What stands beside a conversation.

    Attributes:
        contacts: those whose address is in it; else those of sites that the addresses' domains belong to.
        by_domain: whether they were found by domain only.
        sites: of the contacts and of the domains.
        strangers: people in it who are no contacts yet.
        suggestions: prices in mails of theirs, the newest mail first.
    """

    contacts: list[Contact] = field(default_factory=list)
    by_domain: bool = False
    sites: list[Site] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    offers: list[Offer] = field(default_factory=list)
    strangers: list[Stranger] = field(default_factory=list)
    suggestions: list[Suggestion] = field(default_factory=list)

    @property
    def site(self) -> Site | None:
        """The site to suggest in forms, when it is clear which."""
        return self.sites[0] if len(self.sites) == 1 else None

    @property
    def do_not_contact(self) -> bool:
        """Whether somebody or something here is marked so."""
        marked = [each.do_not_contact for each in self.contacts] + [
            each.do_not_contact for each in self.sites
        ]
        return any(marked)


def panel(thread: Thread, messages: Iterable[Message], texts: Iterable[tuple[Message, str]]) -> Panel:
    """What is known about a conversation, in a number of queries that does not grow with it.

    Args:
        thread: the conversation.
        messages: all of it.
        texts: what messages say in plain words, without quotations.
    """
    own = {address.lower() for address in Mailbox.objects.values_list("address", flat=True)}
    people = _people(messages, own)
    found = Panel()
    direct = Contact.objects.filter(addresses__address__in=people, archived=False).distinct()
    found.contacts = list(direct.prefetch_related("addresses")[:MOST_SHOWN])
    roots = [domain for address in people for domain in domains.candidates(domains.domain_of(address))]
    of_domain = Site.objects.filter(domain__in=roots, archived=False)
    if found.contacts:
        of_contacts = Q(contacts__in=[each.pk for each in found.contacts])
        found.sites = list(
            Site.objects.filter(of_contacts | Q(pk__in=of_domain), archived=False).distinct()[:MOST_SHOWN]
        )
    else:
        found.sites = list(of_domain[:MOST_SHOWN])
        others = Contact.objects.filter(
            sites__in=[each.pk for each in found.sites], archived=False
        ).distinct()
        found.contacts = list(others.prefetch_related("addresses")[:MOST_SHOWN])
        found.by_domain = bool(found.contacts)
    _add_work(found, thread)
    known = {each.address for contact in found.contacts for each in contact.addresses.all()}
    found.strangers = [_stranger(address, name) for address, name in people.items() if address not in known][
        :MOST_SHOWN
    ]
    found.suggestions = _suggestions(found, texts)
    return found


def _people(messages: Iterable[Message], own: set[str]) -> dict[str, str]:
    """Addresses that are not ours, with the names that their mails carry; senders first."""
    senders: dict[str, str] = {}
    others: dict[str, str] = {}
    for message in messages:
        found = of_message(message)
        for address in found:
            if address not in own:
                others.setdefault(address, "")
        sender = next((each for each in found if each in message.sender.lower()), "")
        if sender and sender not in own:
            senders.setdefault(sender, display_name(message.sender))
    return {**senders, **{address: name for address, name in others.items() if address not in senders}}


def _stranger(address: str, name: str) -> Stranger:
    candidates = domains.candidates(domains.domain_of(address))
    return Stranger(name if name and "@" not in name else "", address, candidates[-1] if candidates else "")


def _add_work(found: Panel, thread: Thread) -> None:
    contacts, sites = [each.pk for each in found.contacts], [each.pk for each in found.sites]
    orders = Order.objects.filter(Q(thread=thread) | Q(contact__in=contacts) | Q(site__in=sites))
    found.orders = list(orders.select_related("site").order_by("-updated_at")[:MOST_SHOWN])
    offers = Offer.objects.filter(Q(thread=thread) | Q(contact__in=contacts))
    found.offers = list(offers.select_related("site").order_by("-created_at")[:MOST_SHOWN])


def _suggestions(found: Panel, texts: Iterable[tuple[Message, str]]) -> list[Suggestion]:
    recorded = {(offer.price, offer.currency) for offer in found.offers}
    suggestions: dict[tuple[object, ...], Suggestion] = {}
    for message, text in reversed(list(texts)):
        if "SENT" in message.labels:
            continue
        for price in prices.find(text):
            key = (price.low, price.high, price.currency)
            known = (price.low, price.currency) in recorded
            suggestions.setdefault(key, Suggestion(price, message.pk, known))
    return list(suggestions.values())[:MOST_SHOWN]
