"""Do not contact: nobody writes to somebody who asked not to be written to."""

from __future__ import annotations

from collections.abc import Iterable

from guestpost_crm.outreach import domains
from guestpost_crm.outreach.models import ContactAddress, Site
from guestpost_crm.told import ToldError, gettext_noop

# As long as names are told at most.
_MOST = 60


class DoNotContactError(ToldError):
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
        raise DoNotContactError(
            gettext_noop("%(contact)s (%(address)s) is marked “do not contact”. Nothing was sent."),
            contact=found.contact.name[:_MOST],
            address=alike[found.canonical][:_MOST],
        )
    _refuse_sites(given)


def _refuse_sites(given: list[str]) -> None:
    registered = {}
    for each in given:
        if found := domains.candidates(domains.domain_of(each)):
            registered[found[-1]] = each
    sites = Site.objects.filter(do_not_contact=True, registrable__in=registered)
    for site in sites[:1]:
        raise DoNotContactError(
            gettext_noop(
                "%(site)s is marked “do not contact”, and %(address)s is at its domain. Nothing was sent."
            ),
            site=str(site)[:_MOST],
            address=registered[site.registrable][:_MOST],
        )
