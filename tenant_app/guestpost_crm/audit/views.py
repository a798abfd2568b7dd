"""The audit page."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from guestpost_crm.audit.models import AuditEvent


@require_GET
def log(request: HttpRequest) -> HttpResponse:
    """What was done, by whom, the newest first."""
    events = AuditEvent.objects.select_related("person")
    page = Paginator(events, 50).get_page(request.GET.get("page"))
    return render(request, "audit/log.html", {"page": page})
