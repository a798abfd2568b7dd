"""Sites: storing them, and what belongs to one."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.db.models import QuerySet

from guestpost_crm.accounts.models import Person
from guestpost_crm.outreach.models import Site
from guestpost_crm.outreach.services.acting import acted


@transaction.atomic
def save(person: Person, site: Site, changed: Iterable[str] = ()) -> Site:
    """Store a site that a person made or changed.

    Args:
        person: who.
        site: complete and valid.
        changed: names of the fields that differ, for the audit log.

    Raises:
        PermissionDenied: the person may only read.
    """
    new = site.pk is None
    site.save()
    acted(person, "site.created" if new else "site.changed", f"site:{site.pk}", fields=",".join(changed))
    return site


@transaction.atomic
def ensure(person: Person, domain: str) -> Site:
    """The site of a domain in its stored form, added when there is none (PermissionDenied for readers)."""
    site, made = Site.objects.get_or_create(domain=domain)
    if made:
        acted(person, "site.created", f"site:{site.pk}", fields="domain")
    return site


@transaction.atomic
def mark(
    person: Person, site: Site, *, archived: bool | None = None, do_not_contact: bool | None = None
) -> None:
    """Set a site's marks; None leaves one as it is (PermissionDenied for readers)."""
    if archived is not None:
        site.archived = archived
        acted(person, "site.archived" if archived else "site.unarchived", f"site:{site.pk}")
    if do_not_contact is not None:
        site.do_not_contact = do_not_contact
        acted(person, "site.do-not-contact" if do_not_contact else "site.may-contact", f"site:{site.pk}")
    site.save(update_fields=["archived", "do_not_contact", "updated_at"])


def relatives(site: Site) -> QuerySet[Site]:
    """Other sites under the same registered domain."""
    return Site.objects.filter(registrable=site.registrable).exclude(pk=site.pk)


def words(column: str) -> list[str]:
    """What stands in a column of sites already, to choose from; at most 200."""
    found = Site.objects.exclude(**{column: ""}).order_by(column).values_list(column, flat=True).distinct()
    return list(found[:200])
