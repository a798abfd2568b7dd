"""Orders: the board, the list, one order with its history, moving."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

from django.contrib import messages
from django.db.models import Count, QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from guestpost_crm.accounts.middleware import signed_in
from guestpost_crm.inbox.models import Thread
from guestpost_crm.outreach import tiles
from guestpost_crm.outreach.forms.orders import OrderFilter, OrderForm
from guestpost_crm.outreach.models import Order, Site
from guestpost_crm.outreach.models.custom import Target
from guestpost_crm.outreach.models.orders import Stage
from guestpost_crm.outreach.services import (
    billing,
    custom,
    drafts,
    history,
    listing,
    orders,
    saved,
    sites,
    stages,
)
from guestpost_crm.outreach.views.common import UNPROCESSABLE, download, list_context, today, writing

_SORTS = {
    "number": "pk", "site": "site__domain", "stage": "stage", "price": "price", "due": "due_on",
    "changed": "updated_at",
}  # fmt: skip
_WEEK = dt.timedelta(days=7)


@require_GET
def board(request: HttpRequest) -> HttpResponse:
    """Orders under way, in columns by stage."""
    form = OrderFilter(request.GET)
    found = form.apply(Order.objects.all(), today(), today() + _WEEK)
    counts, sums = _amounts(found)
    cards, may_write, day = orders.columns(found, stages.BOARD), signed_in(request).may_write, today()
    columns = [
        {
            "stage": stage,
            "tiles": tiles.column(cards.get(stage, []), stage, _moves(stage) if may_write else [], day),
            "count": counts[stage],
            "sums": sums.get(stage, []),
            "rest": max(0, counts[stage] - orders.SHOWN_IN_A_COLUMN),
        }
        for stage in stages.BOARD
    ]
    context = {
        "columns": columns,
        "filter": form,
        "filtered": any(request.GET.get(name) for name in form.fields),
        "more_filters": any(request.GET.get(name) for name in form.fields if name != "q"),
        "done": [(stage, stage.label, counts[stage]) for stage in (Stage.PAID, Stage.LOST)],
        "niches": sites.words("niche"),
        "any_order": bool(counts) or Order.objects.exists(),
        "query": request.GET.urlencode(),
        "views": saved.for_page(signed_in(request), "orders"),
        "view_page": "orders",
    }
    return render(request, "outreach/board.html", context)


def _moves(stage: Stage) -> list[tiles.Move]:
    neighbours = ((stages.neighbour(stage, -1), "←"), (stages.neighbour(stage, 1), "→"))
    return [
        tiles.Move(to, _("Move to “%(stage)s”") % {"stage": to.label}, sign)
        for to, sign in neighbours
        if to is not None
    ]


def _amounts(found: QuerySet[Order]) -> tuple[Counter[str], dict[str, list[tuple[Any, str]]]]:
    """How many orders each stage has, and what they cost, by currency."""
    counts: Counter[str] = Counter()
    sums: dict[str, list[tuple[Any, str]]] = {}
    rows = found.order_by("currency").values_list("stage", "currency").annotate(Count("pk"), Sum("price"))
    for stage, currency, number, amount in rows:
        counts[stage] += number
        if amount is not None:
            sums.setdefault(stage, []).append((amount, currency))
    return counts, sums


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """All orders as a list."""
    form = OrderFilter(request.GET)
    found = form.apply(Order.objects.select_related("site", "contact", "assigned"), today(), today() + _WEEK)
    page = listing.page(found, _SORTS, request.GET.get("sort", ""), "-changed", request.GET.get("page", ""))
    context = list_context(request, "order-list", form, page)
    context |= {"niches": sites.words("niche"), "any_order": page.total > 0 or Order.objects.exists()}
    return render(request, "outreach/order_list.html", context)


@require_GET
def show(request: HttpRequest, key: int) -> HttpResponse:
    """An order with its offers, placements, invoices and history."""
    order = get_object_or_404(Order.objects.select_related("site", "contact", "assigned", "thread"), pk=key)
    following = stages.neighbour(Stage(order.stage), 1)
    context = {
        "order": order,
        "stages": Stage.choices,
        "following": following,
        "blocked": stages.blocked(order, following) if following else "",
        "way": [(stage, stage.label, stage.value) for stage in stages.WAY],
        "offers": order.offers.select_related("contact"),
        "placements": order.placements.all(),
        "invoices": billing.with_paid(order.invoices.all()),
        "drafts": drafts.of(order),
        "history": history.of(order),
        "custom": custom.shown(custom.definitions(Target.ORDER), order.custom),
        "today": today(),
    }
    return render(request, "outreach/order.html", context)


@require_http_methods(["GET", "POST"])
@writing
def new(request: HttpRequest) -> HttpResponse:
    """Add an order; what the address of the page says comes from a site or a mail."""
    site = Site.objects.filter(domain=request.GET.get("site", "")[:253]).first()
    order = Order(assigned=signed_in(request), thread=_thread(request))
    initial: dict[str, Any] = {"contact": request.GET.get("contact", "")[:320]}
    if site is not None:
        initial |= {"site": site, "price": site.price, "currency": site.currency}
        initial["link_policy"] = site.link_policy or "dofollow"
    if request.GET.get("stage") in Stage.values:
        initial["stage"] = request.GET["stage"]
    form = OrderForm(request.POST or None, instance=order, initial=initial)
    return _form(request, form, _("New order"))


def _thread(request: HttpRequest) -> Thread | None:
    key = request.GET.get("thread", "")
    return (
        Thread.objects.filter(pk=key).first() if key.isascii() and key.isdigit() and len(key) < 18 else None
    )


@require_http_methods(["GET", "POST"])
@writing
def edit(request: HttpRequest, key: int) -> HttpResponse:
    """Change an order."""
    order = get_object_or_404(Order.objects.select_related("site", "assigned"), pk=key)
    heading = _("Change order %(order)s: %(site)s") % {"order": order, "site": order.site}
    return _form(request, OrderForm(request.POST or None, instance=order), heading, key)


def _form(request: HttpRequest, form: OrderForm, heading: str, key: int | None = None) -> HttpResponse:
    if request.method == "POST" and form.is_valid():
        order = orders.save(signed_in(request), form.save(commit=False))
        messages.success(request, _("Order %(order)s is saved.") % {"order": order})
        return redirect("order", key=order.pk)
    context = {"form": form, "heading": heading, "key": key}
    status = UNPROCESSABLE if form.is_bound else 200
    return render(request, "outreach/order_form.html", context, status=status)


@require_POST
@writing
def move(request: HttpRequest, key: int) -> HttpResponse:
    """Move an order to another stage, from its page."""
    _move(request, key, request.POST.get("from", ""), request.POST.get("to", ""))
    return redirect("order", key=key)


@require_POST
@writing
def move_on_board(request: HttpRequest) -> HttpResponse:
    """Move a card of the board; `move` is order, stage seen, stage wanted: `12.agreed.writing`."""
    key, _dot, stages_named = request.POST.get("move", "").partition(".")
    expected, _dot, to = stages_named.partition(".")
    if not (key.isascii() and key.isdigit() and len(key) < 18):
        raise Http404
    _move(request, int(key), expected, to)
    following = request.POST.get("next", "")
    safe = following.startswith("/orders") and url_has_allowed_host_and_scheme(following, None)
    return redirect(following if safe else "orders")


def _move(request: HttpRequest, key: int, expected: str, to: str) -> None:
    get_object_or_404(Order, pk=key)
    try:
        order = orders.move(signed_in(request), key, expected, to)
    except orders.MoveError as error:
        messages.error(request, str(error))
    else:
        told = {"site": order.site, "stage": order.get_stage_display()}
        messages.success(request, _("%(site)s is at “%(stage)s” now.") % told)


@require_GET
def export(request: HttpRequest) -> StreamingHttpResponse:
    """The orders of a list as CSV."""
    fields = custom.definitions(Target.ORDER)
    form = OrderFilter(request.GET)
    found = form.apply(Order.objects.select_related("site", "contact", "assigned"), today(), today() + _WEEK)
    header = [
        "number", "site", "contact", "stage", "anchor", "target address", "link agreed", "draft",
        "published at",
        "price", "currency", "due", "assigned to", "notes", *(each.label for each in fields),
    ]  # fmt: skip
    rows = (
        [
            order.pk, str(order.site), str(order.contact or ""), order.stage, order.anchor,
            order.target_url,
            order.link_policy, order.draft_url, order.published_url, order.price, order.currency,
            order.due_on,
            str(order.assigned or ""), order.notes,
            *(custom.typed(each, order.custom.get(each.key)) for each in fields),
        ]
        for order in found.order_by("pk").iterator(chunk_size=500)
    )  # fmt: skip
    return download("orders", header, rows)
