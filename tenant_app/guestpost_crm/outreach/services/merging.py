"""Duplicates: finding them, and making one record of two without losing what refers to either."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count
from django.db.models.functions import Lower
from django.utils.translation import gettext as _

from guestpost_crm.accounts.models import Person
from guestpost_crm.outreach.models import (
    Contact,
    ContactAddress,
    CustomField,
    Invoice,
    Offer,
    Order,
    OrderChange,
    Placement,
    Site,
)
from guestpost_crm.outreach.money import shown
from guestpost_crm.outreach.services.acting import acted

MOST_GROUPS = 50
_SITE_VALUES = (
    "niche", "language", "dr", "da", "traffic", "turnaround_days", "link_policy", "max_links",
)  # fmt: skip


class MergeError(Exception):
    """These two can't be merged; the message says why."""


@dataclass(frozen=True)
class Group:
    """Records that may be one; `why` is what they have in common."""

    why: str
    records: list[Any]


def similar_sites() -> list[Group]:
    """Sites under one registered domain."""
    rows = Site.objects.order_by().values("registrable").annotate(count=Count("pk")).filter(count__gt=1)
    names = list(rows.order_by("registrable").values_list("registrable", flat=True)[:MOST_GROUPS])
    found = Site.objects.filter(registrable__in=names).annotate(orders_count=Count("orders")).order_by("pk")
    groups: dict[str, list[Site]] = {name: [] for name in names}
    for site in found:
        groups[site.registrable].append(site)
    return [Group(name, sites[:10]) for name, sites in groups.items()]


def similar_contacts() -> list[Group]:
    """Contacts with addresses that deliver to one mailbox."""
    rows = (
        ContactAddress.objects.order_by().values("canonical").annotate(count=Count("contact", distinct=True))
    )
    names = list(
        rows.filter(count__gt=1).order_by("canonical").values_list("canonical", flat=True)[:MOST_GROUPS]
    )
    addresses = (
        ContactAddress.objects.filter(canonical__in=names).select_related("contact").order_by("contact_id")
    )
    groups: dict[str, dict[int, Contact]] = {name: {} for name in names}
    for address in addresses.prefetch_related("contact__addresses", "contact__sites"):
        groups[address.canonical][address.contact_id] = address.contact
    return [Group(name, list(contacts.values())[:10]) for name, contacts in groups.items()]


def namesakes() -> list[Group]:
    """Contacts of one name, however it is written, at sites under one registered domain."""
    named = Contact.objects.annotate(plain=Lower("name")).order_by()
    rows = named.exclude(sites=None).values("plain", "sites__registrable")
    found = rows.annotate(count=Count("pk", distinct=True)).filter(count__gt=1)
    pairs = list(found.order_by("plain").values_list("plain", "sites__registrable")[:MOST_GROUPS])
    groups: dict[tuple[str, str], dict[int, Contact]] = {pair: {} for pair in pairs}
    contacts = named.filter(plain__in={name for name, _domain in pairs}).order_by("pk")
    for contact in contacts.prefetch_related("addresses", "sites"):
        for site in contact.sites.all():
            group = groups.get((contact.plain, site.registrable))
            if group is not None:
                group[contact.pk] = contact
    return [
        Group(f"{next(iter(found.values()))} · {domain}", list(found.values())[:10])
        for (_name, domain), found in groups.items()
        if len(found) > 1
    ]


@transaction.atomic
def merge_sites(person: Person, keep: int, drop: int) -> Site:
    """Make one site of two: everything that refers to `drop` refers to `keep`, which also gets what it lacks.

    Raises:
        MergeError: they are the same, or one is gone by now.
        PermissionDenied: the person may only read.
    """
    kept, dropped = _pair(Site, keep, drop)
    overruled = _overruled_site(kept, dropped)
    for name in _SITE_VALUES:
        if getattr(kept, name) in (None, ""):
            setattr(kept, name, getattr(dropped, name))
    if kept.price is None:
        kept.price, kept.currency = dropped.price, dropped.currency
    _join(kept, dropped, overruled)
    _renumber(kept, dropped)
    for order in Order.objects.filter(site=dropped):
        OrderChange.objects.create(
            order=order, person=person, field="site_id", old=str(dropped.pk), new=str(kept.pk)
        )
    for model in (Order, Offer, Placement, Invoice):
        model.objects.filter(site=dropped).update(site=kept)
    for contact in dropped.contacts.all():
        contact.sites.add(kept)
    dropped.delete()
    kept.save()
    acted(person, "site.merged", f"site:{kept.pk}", dropped=drop)
    return Site.objects.get(pk=keep)


def _renumber(kept: Site, dropped: Site) -> None:
    """Invoices of both sites may have one number: the merged one says where it came from."""
    taken = set(kept.invoices.values_list("number", flat=True))
    for invoice in dropped.invoices.filter(number__in=taken):
        number, count = f"{invoice.number[:60]} ({dropped.pk})", 2
        while number in taken:
            number, count = f"{invoice.number[:60]} ({dropped.pk}-{count})", count + 1
        invoice.number = number
        invoice.save(update_fields=["number"])


@transaction.atomic
def merge_contacts(person: Person, keep: int, drop: int) -> Contact:
    """Make one contact of two; see merge_sites."""
    kept, dropped = _pair(Contact, keep, drop)
    _join(kept, dropped, [str(dropped)] if dropped.name != kept.name else [])
    ContactAddress.objects.filter(contact=dropped).update(contact=kept)
    kept.sites.add(*dropped.sites.all())
    for order in Order.objects.filter(contact=dropped):
        OrderChange.objects.create(
            order=order, person=person, field="contact_id", old=str(dropped.pk), new=str(kept.pk)
        )
    for model in (Order, Offer, Invoice):
        model.objects.filter(contact=dropped).update(contact=kept)
    dropped.delete()
    kept.save()
    acted(person, "contact.merged", f"contact:{kept.pk}", dropped=drop)
    return Contact.objects.get(pk=keep)


def _pair(model: Any, keep: int, drop: int) -> tuple[Any, Any]:
    found = {
        each.pk: each for each in model.objects.select_for_update().filter(pk__in=[keep, drop]).order_by("pk")
    }
    if len(found) != 2:
        raise MergeError(_("These are not two records, or one of them is gone. Nothing was changed."))
    return found[keep], found[drop]


def _overruled_site(kept: Site, dropped: Site) -> list[str]:
    """What a site says of itself and the one that it becomes says otherwise: its domain first."""
    labels = {field.name: field.verbose_name for field in Site._meta.fields}
    both = {name: (getattr(kept, name), getattr(dropped, name)) for name in _SITE_VALUES}
    found = [
        f"{labels[name]}: {theirs}"
        for name, (ours, theirs) in both.items()
        if ours not in (None, "", theirs) and theirs not in (None, "")
    ]
    same = (dropped.price, dropped.currency) == (kept.price, kept.currency)
    if None not in (dropped.price, kept.price) and not same:
        found.append(f"{labels['price']}: {shown(dropped.price, dropped.currency)}")
    return [str(dropped), *found]


def _join(kept: Any, dropped: Any, overruled: list[str]) -> None:
    """What both kinds of records have: a mark counts for both, notes and fields of the team are joined.

    Args:
        kept: gets everything.
        dropped: goes.
        overruled: what `dropped` says and `kept` says otherwise; it stays in the notes.
    """
    kept.do_not_contact = kept.do_not_contact or dropped.do_not_contact
    kept.archived = kept.archived and dropped.archived
    labels = dict(CustomField.objects.filter(target=kept._meta.model_name).values_list("key", "label"))
    lost = [
        f"{labels.get(key, key)}: {value}"
        for key, value in dropped.custom.items()
        if kept.custom.get(key, value) != value
    ]
    line = ", ".join([*overruled, *lost])
    merged = _("Merged into this: %(record)s") % {"record": line} if line else ""
    kept.notes = "\n\n".join(each for each in dict.fromkeys((kept.notes, dropped.notes, merged)) if each)
    kept.custom = {**dropped.custom, **kept.custom}
