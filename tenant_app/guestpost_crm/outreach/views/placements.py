"""Placements: the list, one placement with its checks, asking for a check."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from guestpost_crm.accounts.middleware import signed_in
from guestpost_crm.outreach.forms.placements import PlacementFilter, PlacementForm
from guestpost_crm.outreach.models import Placement
from guestpost_crm.outreach.models.placements import PlacementState
from guestpost_crm.outreach.services import listing, placements
from guestpost_crm.outreach.views.common import UNPROCESSABLE, list_context, writing

_SORTS = {"added": "created_at", "checked": "checked_at", "site": "site__domain", "state": "state"}
PROBLEMS = {
    "missing": gettext_lazy("The link is not on the page."),
    "gone": gettext_lazy("The page does not exist any more."),
    "anchor": gettext_lazy("The anchor text is another one."),
    "nofollow": gettext_lazy("The link is nofollow."),
    "sponsored": gettext_lazy("The link is marked as sponsored."),
    "ugc": gettext_lazy("The link is marked as user-generated content."),
    "not-sponsored": gettext_lazy("The link is not marked as sponsored, as was agreed."),
    "noindex": gettext_lazy("The page tells search engines not to index it."),
    "canonical": gettext_lazy("The page names another one as its original."),
    "redirected": gettext_lazy("The page has moved to another address."),
    "refused": gettext_lazy("This address may not be asked: it is not a public web page."),
    "no-name": gettext_lazy("The site's name leads nowhere."),
    "no-answer": gettext_lazy("The site did not answer in time."),
    "certificate": gettext_lazy("The site's certificate is not valid."),
    "blocked": gettext_lazy("The site does not let the check in."),
    "server-error": gettext_lazy("The site answered with an error of its own."),
    "too-many-redirects": gettext_lazy("The page leads from one address to the next without end."),
    "not-html": gettext_lazy("What is there is not a page."),
    "too-large": gettext_lazy(
        "The page could not be read in full, and the link is not in the part that was."
    ),
}


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """Placements, the newest first."""
    form = PlacementFilter(request.GET)
    found = form.apply(Placement.objects.select_related("site", "order"))
    page = listing.page(found, _SORTS, request.GET.get("sort", ""), "-added", request.GET.get("page", ""))
    counts = dict(Placement.objects.order_by().values_list("state").annotate(Count("pk")))
    context = list_context(request, "placements", form, page)
    context |= {
        "counts": [(state, state.label, counts[state]) for state in PlacementState if counts.get(state)],
        "lost": counts.get(PlacementState.LOST, 0),
        "any_placement": bool(counts),
    }
    return render(request, "outreach/placements.html", context)


@require_GET
def show(request: HttpRequest, key: int) -> HttpResponse:
    """A placement with the history of its checks."""
    placement = get_object_or_404(Placement.objects.select_related("site", "order"), pk=key)
    checks = [
        {"check": check, "problems": _told(check.findings.get("problems", []))}
        for check in placement.checks.all()[:60]
    ]
    context = {"placement": placement, "problems": _told(placement.problems), "checks": checks}
    return render(request, "outreach/placement.html", context)


def _told(problems: Any) -> list[Any]:
    return [PROBLEMS.get(each, each) for each in problems]


@require_http_methods(["GET", "POST"])
@writing
def new(request: HttpRequest) -> HttpResponse:
    """Have a link looked after that has no order here."""
    form = PlacementForm(request.POST or None)
    return _form(request, form, _("Look after a link"))


@require_http_methods(["GET", "POST"])
@writing
def edit(request: HttpRequest, key: int) -> HttpResponse:
    """Correct what is expected of a placement."""
    placement = get_object_or_404(Placement.objects.select_related("site"), pk=key)
    form = PlacementForm(request.POST or None, instance=placement)
    return _form(request, form, _("Change a placement"), key)


def _form(request: HttpRequest, form: PlacementForm, heading: str, key: int | None = None) -> HttpResponse:
    if request.method == "POST" and form.is_valid():
        placement = placements.save(signed_in(request), form.save(commit=False))
        messages.success(request, _("The link is looked at within a minute, then every day."))
        return redirect("placement", key=placement.pk)
    context = {"form": form, "heading": heading, "key": key}
    status = UNPROCESSABLE if form.is_bound else 200
    return render(request, "outreach/placement_form.html", context, status=status)


@require_POST
@writing
def check(request: HttpRequest, key: int) -> HttpResponse:
    """Have it looked at now, or not at all any more."""
    placement = get_object_or_404(Placement, pk=key)
    if request.POST.get("what") == "stop":
        placements.stop(signed_in(request), placement)
        messages.success(request, _("This link is not looked at any more."))
    else:
        placements.ask(signed_in(request), placement)
        messages.success(request, _("The link is looked at within a minute. Load this page again to see."))
    return redirect("placement", key=key)
