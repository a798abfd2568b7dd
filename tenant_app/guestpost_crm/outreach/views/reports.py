"""Reports with plots; every figure also stands in a table."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from guestpost_crm.outreach import plots
from guestpost_crm.outreach.services import reports
from guestpost_crm.outreach.views.common import today


@require_GET
def show(request: HttpRequest) -> HttpResponse:
    """What was spent, where orders stand, what niches cost, how long it takes, which links live."""
    known = reports.currencies()
    currency = request.GET.get("currency", "")
    currency = currency if currency in known else known[0]
    days, average = reports.turnaround()
    sections = [
        _section("spend", _("Paid by month"), reports.spend(currency, today()), across=True, note=currency),
        _section("stages", _("Orders by stage"), reports.by_stage()),
        _section("niches", _("Average price by niche"), reports.price_by_niche(currency), note=currency),
        _section("turnaround", _("Days from agreed to published"), days, across=True, note=average),
        _section("placements", _("Placed links"), reports.placements()),
    ]
    context = {"sections": sections, "currencies": known, "currency": currency}
    return render(request, "outreach/reports.html", context)


def _section(
    key: str, title: str, points: list[plots.Point], *, across: bool = False, note: str = ""
) -> dict[str, object]:
    shown = any(point.value for point in points)
    plot = (plots.columns if across else plots.bars)(points, title) if shown else ""
    # plots escapes every word that it is given.
    return {
        "key": key,
        "title": title,
        "points": points if shown else [],
        "plot": SafeString(plot),
        "note": note,
    }
