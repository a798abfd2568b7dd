"""Drafts of an order: choosing one in the mail, uploading, downloading, removing."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from guestpost_crm.accounts.middleware import signed_in
from guestpost_crm.accounts.models import Person
from guestpost_crm.outreach.models import DraftFile, Order
from guestpost_crm.outreach.services import drafts
from guestpost_crm.outreach.views.common import writing


@require_POST
@writing
def attach(request: HttpRequest, key: int) -> HttpResponse:
    """Give an order a draft: a file of the form, or an attachment in the mail; or take the latter away."""
    order = get_object_or_404(Order, pk=key)
    try:
        done = _attached(request, signed_in(request), order)
    except drafts.DraftError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, done)
    return _back(key)


def _attached(request: HttpRequest, person: Person, order: Order) -> str:
    what = request.POST.get("what", "")
    if what == "clear":
        drafts.clear(person, order)
        return _("It is the draft no more. The mail stays as it is.")
    if what == "mail":
        message, _dot, index = request.POST.get("attachment", "").partition(".")
        if not all(each.isascii() and each.isdigit() and len(each) < 18 for each in (message, index)):
            raise drafts.DraftError(_("Choose an attachment first."))
        drafts.choose(person, order, int(message), int(index))
        return _("This attachment is the draft now.")
    file: Any = request.FILES.get("file")
    if file is None:
        raise drafts.DraftError(_("Choose a file first."))
    kept = drafts.upload(person, order, file.name or "", file, file.size or 0)
    return _("%(name)s is kept with this order.") % {"name": kept.name}


@require_GET
def download(request: HttpRequest, key: int, file: int) -> StreamingHttpResponse:
    """A file, to be downloaded whatever it is: nothing of it is shown by this address."""
    found = get_object_or_404(DraftFile.objects.select_related("raw"), pk=file, order=key)
    response = StreamingHttpResponse(drafts.pieces(found), content_type="application/octet-stream")
    response.headers["Content-Length"] = str(found.raw.size)
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(found.name)}"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


@require_POST
@writing
def remove(request: HttpRequest, key: int, file: int) -> HttpResponse:
    """Remove a file."""
    found = get_object_or_404(DraftFile.objects.select_related("raw", "order"), pk=file, order=key)
    drafts.remove(signed_in(request), found)
    messages.success(request, _("%(name)s is removed.") % {"name": found.name})
    return _back(key)


def _back(key: int) -> HttpResponse:
    return redirect(f"{reverse('order', args=[key])}#draft")
