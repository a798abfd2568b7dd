"""Who stands in a cell: contacts by an address or a name, people of the team likewise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from email.utils import parseaddr

from django.db.models.functions import Lower
from django.utils.translation import gettext as _

from guestpost_crm.accounts.models import Person as Member
from guestpost_crm.accounts.models import Role
from guestpost_crm.outreach import domains
from guestpost_crm.outreach.models import Contact
from guestpost_crm.outreach.services.imports import contacts


class Contacts:
    """The contacts that cells name; addresses that are nobody's yet become contacts.

    Args:
        texts: of all the cells.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        said = set(texts)
        addresses = {parseaddr(each)[1].lower() for each in said if "@" in each}
        self._owners = contacts.owners_of(addresses)
        self._named: dict[str, list[Contact]] = defaultdict(list)
        names = {each.lower() for each in said if each and "@" not in each}
        for each in Contact.objects.annotate(small=Lower("name")).filter(small__in=names):
            self._named[each.name.lower()].append(each)

    def of(self, text: str, domain: str) -> contacts.Person:
        """Whom a cell names.

        Args:
            text: of the cell: `bob@one.example`, `Bob Stone <bob@one.example>`, `Bob Stone`.
            domain: of the site that a new contact gets.

        Raises:
            ValueError: it is no address, or not the name of one contact.
        """
        if "@" not in text:
            found = self._named.get(text.lower(), [])
            if len(found) != 1:
                problem = _("Nobody here has this name: write an address, or add the contact first.")
                raise ValueError(problem if not found else _("Several contacts have this name."))
            return contacts.Person(found[0])
        name, written = parseaddr(text)
        address = domains.address(written or text)
        if address not in self._owners:
            person = contacts.Person(Contact(name=name[:200] or address.partition("@")[0]))
            person.addresses[address] = None
            self._owners[address] = person
        if (person := self._owners[address]).new:
            person.sites[domain] = None
        return person


class Members:
    """The people of the team whom work can be assigned to."""

    def __init__(self) -> None:
        self._known: dict[str, list[Member]] = defaultdict(list)
        for each in Member.objects.filter(is_active=True).exclude(role__in=(Role.READER, Role.SUPPORT)):
            for word in {each.email.lower(), each.name.lower()} - {""}:
                self._known[word].append(each)

    def of(self, text: str) -> Member:
        """Who has this address or this name (ValueError: nobody, or several)."""
        found = self._known.get(text.lower(), [])
        if len(found) != 1:
            problem = _("Nobody of the team who works here has this name or address: “%(text)s”.")
            if found:
                problem = _("Several people of the team are called “%(text)s”: write an address.")
            raise ValueError(problem % {"text": text[:40]})
        return found[0]
