"""The page of counts: how much is here, how often things are done, and that the service is told the same."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET

from guestpost_crm.outreach import plots
from guestpost_crm.outreach.views.common import managing
from guestpost_crm.usage import amounts, services


@require_GET
@managing
def shown(request: HttpRequest) -> HttpResponse:
    """What was counted in the last twelve weeks, and altogether."""
    totals = services.totals()
    sections = []
    for event, weeks in services.by_week(timezone.now()).items():
        points = [plots.Point(f"{day:%d/%m}", count, str(count)) for day, count in weeks]
        recent = sum(count for _day, count in weeks)
        # plots escapes every word that it is given.
        plot = SafeString(plots.columns(points, str(event.label))) if recent else ""
        sections.append({"event": event, "plot": plot, "recent": recent, "total": totals[event.value]})
    held = [(amounts.LABELS[name], name, number) for name, number in amounts.amounts().items()]
    return render(request, "usage/usage.html", {"sections": sections, "held": held})
