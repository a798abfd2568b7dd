"""What the pages share: who may change things, and lists with their saved views."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils import timezone

from guestpost_crm.accounts.middleware import signed_in
from guestpost_crm.outreach import csvfiles
from guestpost_crm.outreach.services import saved

View = Callable[..., HttpResponse]
UNPROCESSABLE = 422


def writing(view: View) -> View:
    """For views that change something: readers are refused before anything is read."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not signed_in(request).may_write:
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded


def managing(view: View) -> View:
    """For views that change what the whole team sees: for owner and managers."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not signed_in(request).may_manage:
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded


def list_context(request: HttpRequest, page: str, form: Any, found: Any) -> dict[str, Any]:
    """What every list shows.

    Args:
        request: the browser's.
        page: the name of the list's address.
        form: its filter, already applied.
        found: a listing.Page.
    """
    chosen = {name: value for name, value in request.GET.items() if value and name in form.fields}
    return {
        "page": found,
        "filter": form,
        "filtered": bool(chosen),
        "more_filters": any(name not in ("q", "show") for name in chosen),
        "views": saved.for_page(signed_in(request), page),
        "view_page": page,
        "query": saved.plain_query(request.GET.urlencode()),
        "today": today(),
    }


def download(name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> StreamingHttpResponse:
    """A CSV file to keep."""
    response = StreamingHttpResponse(csvfiles.write(header, rows), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}-{today():%Y-%m-%d}.csv"'
    return response


def today() -> dt.date:
    """The day it is, in the CRM's time zone."""
    return timezone.localdate()
