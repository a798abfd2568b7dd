"""Contacts from a spreadsheet, known by their addresses; lines with one address become one contact."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from guestpost_crm.accounts.models import Person as Member
from guestpost_crm.outreach import domains
from guestpost_crm.outreach.models import Contact, ContactAddress
from guestpost_crm.outreach.services.imports import sites
from guestpost_crm.outreach.services.imports.rows import (
    Customs,
    Importer,
    Lines,
    Preview,
    Problem,
    own,
    short,
    why,
    yes_or_no,
)

FIELDS = {
    "addresses": gettext_lazy("E-mail addresses"), "name": gettext_lazy("Name"),
    "first_name": gettext_lazy("First name"), "last_name": gettext_lazy("Last name"),
    "sites": gettext_lazy("Sites"), "notes": gettext_lazy("Notes"),
    "do_not_contact": gettext_lazy("Do not contact"),
}  # fmt: skip
_NAMES = {
    "addresses": "email emails emailaddress emailaddresses mail mails address addresses contactemail email1"
    " email1value emailmail eemail",
    "name": "name fullname contact contactname person displayname",
    "first_name": "firstname givenname forename",
    "last_name": "lastname surname familyname",
    "sites": "site sites domain domains website websites url urls web",
    "notes": "notes note comment comments remarks",
    "do_not_contact": "donotcontact dnc blacklist blacklisted unsubscribed",
}
_VALUES = ("name", "notes", "do_not_contact")
_LENGTHS = {"name": 200, "notes": 20_000}
_MOST_OF_A_LINE = 50


@dataclass
class Person:
    """A contact as it would be.

    Attributes:
        contact: new, or as it is stored; `values` are put into it at the end.
        line: the first one that speaks of it.
        known_addresses, known_sites: those that it has, sites by their domains.
        values, said_in: what lines say, and in which of them.
        addresses, sites: those that lines name.
    """

    contact: Contact
    line: int = 0
    known_addresses: set[str] = field(default_factory=set)
    known_sites: set[str] = field(default_factory=set)
    values: dict[str, Any] = field(default_factory=dict)
    said_in: dict[str, int] = field(default_factory=dict)
    addresses: dict[str, None] = field(default_factory=dict)
    sites: dict[str, None] = field(default_factory=dict)

    @property
    def new(self) -> bool:
        """Whether it is not here yet."""
        return self.contact.pk is None

    @property
    def new_addresses(self) -> list[str]:
        """Those that it gets."""
        return [each for each in self.addresses if each not in self.known_addresses]

    @property
    def new_sites(self) -> list[str]:
        """The domains of the sites that it gets."""
        return [each for each in self.sites if each not in self.known_sites]


def _check(found: Preview, lines: Lines, customs: Customs) -> None:
    at: dict[int, list[str]] = {}
    for line, cells in lines:
        try:
            at[line] = _addresses(cells.get("addresses", ""))
        except ValueError as error:
            found.problems.append(Problem(line, str(FIELDS["addresses"]), why(error)))
    owners = owners_of({address for addresses in at.values() for address in addresses})
    people: list[Person] = []
    for line, cells in lines:
        if line not in at:
            continue
        known = {id(owners[each]): owners[each] for each in at[line] if each in owners}
        if len(known) > 1:
            text = _("These addresses belong to several contacts: merge them first.")
            found.problems.append(Problem(line, str(FIELDS["addresses"]), text))
            continue
        person = next(iter(known.values()), None) or Person(Contact())
        if not person.addresses:
            # The first line that speaks of it.
            person.line = line
            people.append(person)
        for address in at[line]:
            person.addresses[address] = None
            owners[address] = person
        found.problems += [Problem(line, *told) for told in _fill(person, line, cells, customs)]
    for person in people:
        _count(found, person)


def _addresses(text: str) -> list[str]:
    """The addresses of a cell (ValueError)."""
    pieces = [each for each in re.split(r"[\s,;|]+", text) if each]
    if not pieces:
        raise ValueError(_("There is no address: contacts are known by theirs."))
    if len(pieces) > _MOST_OF_A_LINE:
        raise ValueError(_("More than %(most)s addresses.") % {"most": _MOST_OF_A_LINE})
    return list(dict.fromkeys(domains.address(each) for each in pieces))


def owners_of(addresses: set[str]) -> dict[str, Person]:
    """Who has these addresses already."""
    rows = ContactAddress.objects.filter(address__in=addresses).values_list("contact", flat=True)
    contacts = Contact.objects.filter(pk__in=set(rows)).prefetch_related("addresses", "sites")
    owners: dict[str, Person] = {}
    for contact in contacts:
        mine = {each.address for each in contact.addresses.all()}
        person = Person(contact, 0, mine, {site.domain for site in contact.sites.all()})
        owners |= dict.fromkeys(mine, person)
    return owners


def _fill(person: Person, line: int, cells: dict[str, str], customs: Customs) -> list[tuple[str, str]]:
    """Keep what a line says; empty cells leave what is there. Gives what is wrong in which column."""
    problems = []
    for name, text in _said(cells).items():
        label = customs[name].label if name in customs else str(FIELDS.get(name, name))
        try:
            if name == "sites":
                person.sites |= dict.fromkeys(_sites(text))
                continue
            value = own(customs[name], text) if name in customs else _read(name, text)
        except (ValidationError, ValueError) as error:
            problems.append((label, why(error)))
            continue
        if person.values.setdefault(name, value) != value:
            told = {"line": person.said_in[name], "value": str(person.values[name])[:40]}
            problems.append((label, _("Line %(line)s says “%(value)s” of the same contact.") % told))
        person.said_in.setdefault(name, line)
    return problems


def _said(cells: dict[str, str]) -> dict[str, str]:
    """The cells that say something, with first and last name as one."""
    said = {name: text for name, text in cells.items() if text and name != "addresses"}
    both = " ".join(said.pop(name) for name in ("first_name", "last_name") if name in said)
    return {"name": both, **said} if both else said


def _sites(text: str) -> list[str]:
    pieces = [each for each in re.split(r"[\s,;|]+", text) if each]
    if len(pieces) > _MOST_OF_A_LINE:
        raise ValueError(_("More than %(most)s sites.") % {"most": _MOST_OF_A_LINE})
    return [domains.normalise(each) for each in pieces]


def _read(name: str, text: str) -> Any:
    """The value of a cell (ValueError tells what is wrong with it)."""
    if name == "do_not_contact":
        return yes_or_no(text)
    return short(" ".join(text.split()) if name == "name" else text, _LENGTHS[name])


def _count(found: Preview, person: Person) -> None:
    """Put what was said into the contact, and see whether that changes anything."""
    contact = person.contact
    before = ({name: getattr(contact, name) for name in _VALUES}, dict(contact.custom))
    for name, value in person.values.items():
        if name in _VALUES:
            setattr(contact, name, value)
        else:
            contact.custom[name.removeprefix("custom.")] = value
    if person.new:
        contact.name = contact.name or next(iter(person.addresses)).partition("@")[0]
        found.made += 1
    elif before != ({name: getattr(contact, name) for name in _VALUES}, contact.custom) or (
        person.new_addresses or person.new_sites
    ):
        found.changed += 1
    else:
        found.unchanged += 1
        return
    found.records.append((person.line, person))


def _store(found: Preview, _by: Member) -> None:
    store([person for _line, person in found.records])


def store(people: list[Person]) -> None:
    """New and changed contacts with their addresses and sites, in few statements however many they are."""
    known = {each.contact.pk: each.contact for each in people if not each.new}
    locked = Contact.objects.select_for_update().filter(pk__in=known).order_by("pk").values_list("pk")
    if len(locked) != len(known):
        # Merged into another one meanwhile.
        raise IntegrityError
    now = timezone.now()
    for each in people:
        each.contact.updated_at = now
    Contact.objects.bulk_create([each.contact for each in people if each.new], batch_size=1000)
    # As if they were new: bulk_update takes minutes for thousands.
    Contact.objects.bulk_create(
        list(known.values()), batch_size=1000, update_conflicts=True, unique_fields=["id"],
        update_fields=[*_VALUES, "custom", "updated_at"],
    )  # fmt: skip
    ContactAddress.objects.bulk_create(
        [
            ContactAddress(contact=each.contact, address=address, canonical=domains.canonical(address))
            for each in people
            for address in each.new_addresses
        ],
        batch_size=1000,
    )
    keys = sites.ensure({domain for each in people for domain in each.new_sites})
    through = Contact.sites.through
    through.objects.bulk_create(
        [
            through(contact_id=each.contact.pk, site_id=keys[domain])
            for each in people
            for domain in each.new_sites
        ],
        batch_size=1000,
        ignore_conflicts=True,
    )


CONTACTS = Importer(FIELDS, _NAMES, "addresses", _check, _store)
