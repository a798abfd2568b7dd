"""Offers and counter-offers."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from guestpost_crm.accounts.models import Person
from guestpost_crm.outreach.models import Offer, Order
from guestpost_crm.outreach.models.offers import OfferState
from guestpost_crm.outreach.models.orders import Stage
from guestpost_crm.outreach.services import orders
from guestpost_crm.outreach.services.acting import acted

# What was given up is taken up again by an agreement.
_BEFORE_AGREED = (Stage.PROSPECT, Stage.CONTACTED, Stage.NEGOTIATING, Stage.LOST)


class OfferClosedError(Exception):
    """This offer can't be decided about any more; the message says why."""


@transaction.atomic
def make(person: Person, offer: Offer) -> Offer:
    """Record an offer that a person confirmed; the one that it answers is superseded by it.

    Raises:
        OfferClosedError: the offer that it answers is not open.
        PermissionDenied: the person may only read.
    """
    if offer.answers_id is not None:
        answered = Offer.objects.select_for_update().get(pk=offer.answers_id)
        if answered.state != OfferState.OPEN:
            raise OfferClosedError(_("The offer that this one answers is not open any more."))
        _close(answered, OfferState.SUPERSEDED)
    offer.created_by = person
    offer.save()
    acted(person, "offer.made", f"offer:{offer.pk}", direction=offer.direction)
    order = offer.order
    if order is not None and order.stage in (Stage.PROSPECT, Stage.CONTACTED):
        order.stage = Stage.NEGOTIATING
        orders.save(person, order)
    return offer


@transaction.atomic
def accept(person: Person, offer: Offer, today: dt.date) -> Order:
    """Accept an offer: its order is agreed at its price; one is made when there is none.

    Other open offers of the same negotiation are superseded.

    Raises:
        OfferClosedError: it is not open, or its last day is over.
        PermissionDenied: the person may only read.
    """
    offer = _open(offer, today)
    _close(offer, OfferState.ACCEPTED)
    same = (
        Q(order=offer.order_id)
        if offer.order_id
        else Q(order=None, site=offer.site_id, contact=offer.contact_id)
    )
    for other in Offer.objects.select_for_update().filter(same, state=OfferState.OPEN):
        _close(other, OfferState.SUPERSEDED)
    order = offer.order or Order(site=offer.site, contact=offer.contact, thread=offer.thread, assigned=person)
    order.price, order.currency = offer.price, offer.currency
    if order.stage in _BEFORE_AGREED:
        order.stage = Stage.AGREED
    orders.save(person, order)
    if offer.order_id is None:
        offer.order = order
        offer.save(update_fields=["order"])
    acted(person, "offer.accepted", f"offer:{offer.pk}", order=order.pk)
    return order


@transaction.atomic
def decline(person: Person, offer: Offer, today: dt.date) -> None:
    """Decline an offer (OfferClosedError, PermissionDenied)."""
    offer = _open(offer, today)
    _close(offer, OfferState.DECLINED)
    acted(person, "offer.declined", f"offer:{offer.pk}")


def _open(offer: Offer, today: dt.date) -> Offer:
    offer = Offer.objects.select_for_update(of=("self",)).select_related("order", "site").get(pk=offer.pk)
    if offer.state != OfferState.OPEN:
        raise OfferClosedError(
            _("This offer is not open any more: %(state)s.") % {"state": offer.get_state_display()}
        )
    if offer.is_past(today):
        raise OfferClosedError(_("This offer was valid until %(day)s.") % {"day": offer.expires_on})
    return offer


def _close(offer: Offer, state: OfferState) -> None:
    offer.state = state
    offer.decided_at = timezone.now()
    offer.save(update_fields=["state", "decided_at", "updated_at"])


@transaction.atomic
def expire(today: dt.date) -> int:
    """Close the open offers whose last day is over; how many there were."""
    past = Offer.objects.select_for_update(skip_locked=True).filter(
        state=OfferState.OPEN, expires_on__lt=today
    )
    count = 0
    for offer in past:
        _close(offer, OfferState.EXPIRED)
        acted(None, "offer.expired", f"offer:{offer.pk}")
        count += 1
    return count
