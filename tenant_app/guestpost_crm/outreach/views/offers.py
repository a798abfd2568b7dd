"""Offers: the list, one offer, recording, answering, deciding."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from guestpost_crm.accounts.middleware import signed_in
from guestpost_crm.inbox.models import Thread
from guestpost_crm.outreach.forms.orders import OfferFilter, OfferForm
from guestpost_crm.outreach.models import Offer, Order, Site
from guestpost_crm.outreach.models.offers import Direction, OfferState
from guestpost_crm.outreach.money import CURRENCIES
from guestpost_crm.outreach.services import listing, offers
from guestpost_crm.outreach.views.common import UNPROCESSABLE, list_context, today, writing

_SORTS = {"made": "created_at", "price": "price", "until": "expires_on", "site": "site__domain"}


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """Offers, the newest first."""
    form = OfferFilter(request.GET)
    week = today() + dt.timedelta(days=7)
    found = form.apply(Offer.objects.select_related("site", "contact"), today(), week)
    page = listing.page(found, _SORTS, request.GET.get("sort", ""), "-made", request.GET.get("page", ""))
    context = list_context(request, "offers", form, page)
    context["any_offer"] = page.total > 0 or Offer.objects.exists()
    return render(request, "outreach/offers.html", context)


@require_GET
def show(request: HttpRequest, key: int) -> HttpResponse:
    """An offer, and the negotiation that it belongs to."""
    offer = get_object_or_404(
        Offer.objects.select_related("site", "contact", "order", "thread", "created_by"), pk=key
    )
    others = Offer.objects.filter(site=offer.site_id, contact=offer.contact_id).select_related("contact")
    context = {
        "offer": offer,
        "others": others.exclude(pk=key)[:50],
        "is_open": offer.state == OfferState.OPEN and not offer.is_past(today()),
        "today": today(),
    }
    return render(request, "outreach/offer.html", context)


@require_http_methods(["GET", "POST"])
@writing
def new(request: HttpRequest) -> HttpResponse:
    """Record an offer; what the address of the page says is a suggestion, this form confirms it."""
    asked = request.GET
    answered = _record(Offer.objects.select_related("site", "contact", "order"), asked.get("answers", ""))
    offer = Offer(answers=answered, thread=_record(Thread.objects.all(), asked.get("thread", "")))
    offer.order = _record(Order.objects.select_related("site"), asked.get("order", ""))
    initial: dict[str, Any] = {
        "contact": asked.get("contact", "")[:320],
        "price": asked.get("price", "")[:30],
        "currency": asked.get("currency", "") if asked.get("currency", "") in CURRENCIES else "USD",
        "site": Site.objects.filter(domain=asked.get("site", "")[:253]).first()
        or asked.get("site", "")[:253],
    }
    if offer.order is not None:
        initial |= {"site": offer.order.site, "contact": offer.order.contact_id}
    if answered is not None:
        offer.thread, offer.order = answered.thread, answered.order
        other = Direction.OURS if answered.direction == Direction.THEIRS else Direction.THEIRS
        initial = {
            "site": answered.site,
            "contact": answered.contact_id,
            "currency": answered.currency,
            "direction": other,
        }
    form = OfferForm(request.POST or None, instance=offer, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            made = offers.make(signed_in(request), form.save(commit=False))
        except offers.OfferClosedError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, _("The offer is recorded."))
            return redirect("offer", key=made.pk)
    context = {"form": form, "answered": answered, "thread": offer.thread}
    status = UNPROCESSABLE if form.is_bound else 200
    return render(request, "outreach/offer_form.html", context, status=status)


def _record(found: Any, key: str) -> Any:
    """The record of a key that stands in an address, None when there is none."""
    return found.filter(pk=key).first() if key.isascii() and key.isdigit() and len(key) < 18 else None


@require_POST
@writing
def decide(request: HttpRequest, key: int) -> HttpResponse:
    """Accept or decline an offer."""
    offer = get_object_or_404(Offer, pk=key)
    try:
        if request.POST.get("decision") == "accept":
            order = offers.accept(signed_in(request), offer, today())
            messages.success(request, _("Accepted: this is its order."))
            return redirect("order", key=order.pk)
        if request.POST.get("decision") == "decline":
            offers.decline(signed_in(request), offer, today())
            messages.success(
                request, _("The offer is declined. Nothing was sent: answer the mail to say so.")
            )
    except offers.OfferClosedError as error:
        messages.error(request, str(error))
    return redirect("offer", key=key)
