"""Saved views: a list's filters under a name, for oneself or for the team."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q

from guestpost_crm.accounts.models import Person
from guestpost_crm.outreach.models import SavedView
from guestpost_crm.outreach.services.acting import acted

PAGES = ("sites", "contacts", "orders", "order-list", "offers", "placements", "invoices")
MOST_OF_A_PERSON = 100
LONGEST = 2000


def for_page(person: Person, page: str) -> list[SavedView]:
    """The views of a list that a person sees: their own and those of the team."""
    return list(SavedView.objects.filter(Q(owner=person) | Q(shared=True), page=page).select_related("owner"))


def plain_query(query: str) -> str:
    """A query with nothing but its own words and values, in order; the number of the page is left out.

    Raises:
        ValueError: more fields than Django takes in an address.
    """
    most = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
    pairs = parse_qsl(query.removeprefix("?"), max_num_fields=most)
    return urlencode(sorted((name, value) for name, value in pairs if name != "page"))


@transaction.atomic
def save(person: Person, page: str, name: str, query: str, *, shared: bool) -> SavedView:
    """Keep a view; one of the same name that this person has for the list is replaced.

    Args:
        person: whose it is.
        page: one of PAGES.
        name: shown.
        query: of the list's address.
        shared: whether the whole team sees it; readers keep views for themselves only.

    Raises:
        PermissionDenied: a reader may not share, nobody may keep more than MOST_OF_A_PERSON.
    """
    if shared and not person.may_write:
        raise PermissionDenied
    if SavedView.objects.filter(owner=person).count() >= MOST_OF_A_PERSON:
        raise PermissionDenied
    view, _made = SavedView.objects.update_or_create(
        owner=person, page=page, name=name, defaults={"query": plain_query(query), "shared": shared}
    )
    if shared:
        acted(person, "view.shared", f"view:{view.pk}")
    return view


@transaction.atomic
def remove(person: Person, view: SavedView) -> None:
    """Forget a view: one's own, or a shared one as owner or manager (PermissionDenied)."""
    if view.owner_id != person.pk and not (view.shared and person.may_manage):
        raise PermissionDenied
    if view.shared:
        acted(person, "view.removed", f"view:{view.pk}")
    view.delete()
