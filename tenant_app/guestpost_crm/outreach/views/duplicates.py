"""Duplicates: what may be one, and merging two."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from guestpost_crm.accounts.middleware import signed_in
from guestpost_crm.outreach.models import Contact, Site
from guestpost_crm.outreach.services import merging
from guestpost_crm.outreach.views.common import writing


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """Records that may be one."""
    context = {
        "sites": merging.similar_sites(),
        "contacts": merging.similar_contacts(),
        "namesakes": merging.namesakes(),
    }
    return render(request, "outreach/duplicates.html", context)


@require_http_methods(["GET", "POST"])
@writing
def sites(request: HttpRequest) -> HttpResponse:
    """Compare two sites; on a post merge them."""
    return _merge(request, Site, "site")


@require_http_methods(["GET", "POST"])
@writing
def contacts(request: HttpRequest) -> HttpResponse:
    """Compare two contacts; on a post merge them."""
    return _merge(request, Contact, "contact")


def _merge(request: HttpRequest, model: Any, name: str) -> HttpResponse:
    given = request.POST if request.method == "POST" else request.GET
    try:
        keep, drop = int(given.get("keep", "")), int(given.get("drop", ""))
    except ValueError:
        raise Http404 from None
    if keep == drop or max(keep, drop) >= 2**63 or min(keep, drop) < 1:
        raise Http404
    if request.method == "GET":
        pair = {"keep": get_object_or_404(model, pk=keep), "drop": get_object_or_404(model, pk=drop)}
        return render(request, "outreach/merge.html", {**pair, "kind": name})
    try:
        merge = merging.merge_sites if model is Site else merging.merge_contacts
        kept = merge(signed_in(request), keep, drop)
    except merging.MergeError as error:
        messages.error(request, str(error))
        return redirect("duplicates")
    messages.success(request, _("They are one now. Everything of both is here."))
    return redirect(name, key=kept.pk)
