"""Contacts and their addresses."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import IntegrityError, transaction
from django.db.models import Max, Q, QuerySet
from django.db.models.functions import Lower, Reverse
from django.utils.translation import gettext as _

from guestpost_crm.accounts.models import Person
from guestpost_crm.gmail.models import Mailbox
from guestpost_crm.inbox.models import Thread
from guestpost_crm.outreach import domains
from guestpost_crm.outreach.models import Contact, ContactAddress, ThreadAddress
from guestpost_crm.outreach.services import sites
from guestpost_crm.outreach.services.acting import acted

THREADS_SHOWN = 20


class AddressTakenError(Exception):
    """An address belongs to another contact.

    Attributes:
        address: which.
        contact: whose it is.
    """

    def __init__(self, address: str, contact: Contact) -> None:
        super().__init__(_("%(address)s belongs to %(contact)s.") % {"address": address, "contact": contact})
        self.address = address
        self.contact = contact


@transaction.atomic
def save(
    person: Person,
    contact: Contact,
    addresses: Iterable[str],
    site_domains: Iterable[str],
    changed: Iterable[str] = (),
) -> Contact:
    """Store a contact with all its addresses and sites.

    Args:
        person: who does it.
        contact: valid.
        addresses: in their stored form, all that the contact has from now on.
        site_domains: likewise, those of all their sites; one that is not here yet is added.
        changed: names of fields, for the audit log.

    Raises:
        AddressTakenError: another contact has one of the addresses; nothing was stored.
        PermissionDenied: the person may only read.
    """
    wanted = list(dict.fromkeys(addresses))
    taken = (
        ContactAddress.objects.filter(address__in=wanted)
        .exclude(contact=contact.pk)
        .select_related("contact")
    )
    for other in taken[:1]:
        raise AddressTakenError(other.address, other.contact)
    new = contact.pk is None
    contact.save()
    contact.sites.set([sites.ensure(person, domain) for domain in site_domains])
    contact.addresses.exclude(address__in=wanted).delete()
    known = set(contact.addresses.values_list("address", flat=True))
    for address in wanted:
        if address not in known:
            _add(contact, address)
    acted(
        person,
        "contact.created" if new else "contact.changed",
        f"contact:{contact.pk}",
        fields=",".join(changed),
    )
    return contact


def _add(contact: Contact, address: str) -> None:
    try:
        with transaction.atomic():
            ContactAddress.objects.create(
                contact=contact, address=address, canonical=domains.canonical(address)
            )
    except IntegrityError:
        other = ContactAddress.objects.select_related("contact").get(address=address)
        raise AddressTakenError(address, other.contact) from None


@transaction.atomic
def mark(
    person: Person, contact: Contact, *, archived: bool | None = None, do_not_contact: bool | None = None
) -> None:
    """Set a contact's marks; None leaves one as it is (PermissionDenied for readers)."""
    subject = f"contact:{contact.pk}"
    if archived is not None:
        contact.archived = archived
        acted(person, "contact.archived" if archived else "contact.unarchived", subject)
    if do_not_contact is not None:
        contact.do_not_contact = do_not_contact
        acted(person, "contact.do-not-contact" if do_not_contact else "contact.may-contact", subject)
    contact.save(update_fields=["archived", "do_not_contact", "updated_at"])


def threads(addresses: Iterable[str], domain: str = "") -> QuerySet[Thread]:
    """The threads that any of these addresses appears in, the newest first.

    Args:
        addresses: in their stored form.
        domain: of a site: every address at it or below it counts too, unless it is ours or the domain a
            mail provider's.
    """
    there = Q(address__in=list(addresses))
    if domains.candidates(domain):
        ours = Mailbox.objects.values(lower=Lower("address"))
        written = [f"{before}{domain}"[::-1] for before in "@."]
        below = Q(backwards__startswith=written[0]) | Q(backwards__startswith=written[1])
        there |= below & ~Q(address__in=ours)
    rows = ThreadAddress.objects.alias(backwards=Reverse("address")).filter(there)
    found = rows.values("thread").annotate(Max("pk"))
    return Thread.objects.filter(pk__in=found.values("thread"), message_count__gt=0).order_by(
        "-last_message_at", "-pk"
    )
