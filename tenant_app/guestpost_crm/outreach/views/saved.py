"""Keeping and forgetting views."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from guestpost_crm.accounts.middleware import signed_in
from guestpost_crm.outreach.models import SavedView
from guestpost_crm.outreach.services import saved


@require_POST
def keep(request: HttpRequest) -> HttpResponse:
    """Keep the filters of a list under a name; readers may for themselves."""
    page = request.POST.get("page", "")
    if page not in saved.PAGES:
        raise Http404
    name = " ".join(request.POST.get("name", "").split())[:60]
    try:
        plain = saved.plain_query(request.POST.get("query", ""))
    except ValueError:
        raise Http404 from None
    if not name:
        messages.error(request, _("The view was not kept: give it a name."))
    elif len(plain) > saved.LONGEST:
        messages.error(request, _("The view was not kept: it has too many filters."))
    else:
        shared = request.POST.get("shared") == "on" and signed_in(request).may_write
        saved.save(signed_in(request), page, name, plain, shared=shared)
        messages.success(request, _("The view is kept."))
    return redirect(f"{reverse(page)}?{plain}")


@require_POST
def forget(request: HttpRequest, key: int) -> HttpResponse:
    """Forget a view."""
    person = signed_in(request)
    view = get_object_or_404(SavedView, Q(owner=person) | Q(shared=True), pk=key)
    page = view.page
    saved.remove(person, view)
    messages.success(request, _("The view is removed."))
    return redirect(page)
