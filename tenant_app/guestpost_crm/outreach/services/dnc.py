"""Do not contact: nobody writes to somebody who asked not to be written to."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.translation import gettext as _

from guestpost_crm.outreach import domains
from guestpost_crm.outreach.models import ContactAddress, Site


class DoNotContactError(Exception):
    """A recipient is not to be contacted; the message names who, and which mark says so."""


def refuse(recipients: Iterable[str]) -> None:
    """Refuse recipients that are marked.

    A contact's mark holds for every address that delivers to the same mailbox; a site's for every
    address at its registered domain, unless that is a mail provider's.

    Args:
        recipients: bare addresses.

    Raises:
        DoNotContactError: one of them is marked.
    """
    given = list(dict.fromkeys(each.strip().lower() for each in recipients))
    alike = {domains.canonical(each): each for each in given}
    marked = ContactAddress.objects.filter(canonical__in=alike, contact__do_not_contact=True)
    for found in marked.select_related("contact")[:1]:
        who = {"contact": found.contact.name, "address": alike[found.canonical]}
        raise DoNotContactError(
            _("%(contact)s (%(address)s) is marked “do not contact”. Nothing was sent.") % who
        )
    _refuse_sites(given)


def _refuse_sites(given: list[str]) -> None:
    registered = {}
    for each in given:
        if found := domains.candidates(domains.domain_of(each)):
            registered[found[-1]] = each
    sites = Site.objects.filter(do_not_contact=True, registrable__in=registered)
    for site in sites[:1]:
        who = {"site": str(site), "address": registered[site.registrable]}
        raise DoNotContactError(
            _("%(site)s is marked “do not contact”, and %(address)s is at its domain. Nothing was sent.")
            % who
        )
