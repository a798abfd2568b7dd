"""The page about support access: requests, what is active, and what was seen and typed."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from guestpost_crm.accounts.middleware import open_while_suspended, signed_in
from guestpost_crm.accounts.models import Person
from guestpost_crm.audit.models import AuditEvent
from guestpost_crm.privacy import kubernetes
from guestpost_crm.support import access, transcript
from guestpost_crm.support.models import Kind, Level, ShellSession, SupportAccess


def _of_the_customer(request: HttpRequest) -> Person:
    """Whoever looks after this server may see who looked in, and a guest may not (PermissionDenied)."""
    person = signed_in(request)
    if not access.may_end(person):
        raise PermissionDenied
    return person


@open_while_suspended
@require_GET
def requests(request: HttpRequest) -> HttpResponse:
    """Who asks to be let in, who is in, and who was."""
    person = _of_the_customer(request)
    problem = ""
    if kubernetes.available():
        try:
            access.refresh()
        except kubernetes.KubernetesError as error:
            problem = str(error)
    else:
        problem = _("This server can't be asked for support access.")
    seen = SupportAccess.objects.select_related("decided_by", "revoked_by").annotate(
        terminals=Count("shells")
    )
    asked = list(SupportAccess.objects.waiting())
    past = seen.exclude(pk__in=[each.pk for each in asked]).order_by("-asked_at", "-pk")
    context = {
        "waiting": [_choices(each) for each in asked],
        "page": Paginator(past, 25).get_page(request.GET.get("page")),
        "problem": problem,
        "may_decide": access.may_decide(person),
    }
    return render(request, "support/requests.html", context)


def _choices(asked: SupportAccess) -> dict[str, object]:
    """What the form of a request offers."""
    levels = [level for level in Level if level == Level.BROWSE or asked.level == Level.SHELL]
    return {"access": asked, "levels": levels, "times": access.choices(asked)}


@open_while_suspended
@require_POST
def decide(request: HttpRequest, key: int) -> HttpResponse:
    """Approve or deny."""
    person = _of_the_customer(request)
    if request.POST.get("answer") != "approve":
        return _tried(request, lambda: access.deny(person, key), _("Nobody is let in."))
    seconds = request.POST.get("seconds", "")

    def approve() -> None:
        given = int(seconds) if seconds.isdecimal() and len(seconds) < 8 else 0
        access.approve(person, key, request.POST.get("level", ""), given)

    return _tried(
        request, approve, _("They may look in now. It ends by itself; you can end it at any moment.")
    )


@open_while_suspended
@require_POST
def revoke(request: HttpRequest, key: int) -> HttpResponse:
    """End what is active."""
    person = _of_the_customer(request)
    return _tried(request, lambda: access.revoke(person, key), _("It is ended."))


def _tried(request: HttpRequest, act: Callable[[], object], done: str) -> HttpResponse:
    try:
        act()
    except access.AccessError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, done)
    return redirect("support")


@open_while_suspended
@require_GET
def seen(request: HttpRequest, key: int) -> HttpResponse:
    """Every page that was seen and every terminal that was opened by one approval."""
    _of_the_customer(request)
    found = get_object_or_404(SupportAccess.objects.select_related("decided_by", "revoked_by"), pk=key)
    pages = AuditEvent.objects.filter(action="support.saw", detail__access=found.pk)
    context = {
        "access": found,
        "page": Paginator(pages, 100).get_page(request.GET.get("page")),
        "shells": found.shells.all(),
    }
    return render(request, "support/seen.html", context)


@open_while_suspended
@require_GET
def shell(request: HttpRequest, key: int) -> HttpResponse:
    """What was typed and shown in one terminal."""
    _of_the_customer(request)
    session = get_object_or_404(ShellSession.objects.select_related("access"), pk=key)
    shown, cut = transcript.lines(session, Kind.SHOWN)
    typed, typed_cut = transcript.lines(session, Kind.TYPED)
    context = {"session": session, "shown": shown, "typed": typed, "cut": cut or typed_cut}
    return render(request, "support/shell.html", context)
