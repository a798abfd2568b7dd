"""Mailboxes: how each is doing, connecting one, disconnecting one."""

from __future__ import annotations

from collections import defaultdict

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from guestpost_crm.accounts.middleware import signed_in
from guestpost_crm.accounts.views import begin
from guestpost_crm.environment import current
from guestpost_crm.gmail import consent, signals, status
from guestpost_crm.gmail.broker import BrokerError
from guestpost_crm.gmail.models import FetchItem, Mailbox
from guestpost_crm.inbox.models import Message

STUCK = 4


@require_GET
def mailboxes(request: HttpRequest) -> HttpResponse:
    """Every mailbox, with what is stored, what is waiting, and what is wrong."""
    now, quiet = timezone.now(), current().quiet_poll_seconds
    counts, reasons = _counts(), _reasons()
    found = list(Mailbox.objects.order_by("address"))
    statuses = [status.of(mailbox, counts[mailbox.pk], now, quiet) for mailbox in found]
    shown = [
        {"mailbox": mailbox, "counts": counts[mailbox.pk], "reasons": reasons[mailbox.pk], "status": each}
        for mailbox, each in zip(found, statuses, strict=True)
    ]
    moving = any(each.kind == status.Kind.FETCHING for each in statuses)
    return render(request, "gmail/mailboxes.html", {"mailboxes": shown, "moving": moving})


def _reasons() -> dict[int, list[str]]:
    """Why messages can't be fetched so far, by mailbox."""
    found: dict[int, list[str]] = defaultdict(list)
    rows = FetchItem.objects.filter(attempts__gte=STUCK).values_list("mailbox", "error").distinct()
    for key, error in rows.order_by("mailbox", "error")[:50]:
        found[key].append(status.said(error))
    return found


def _counts() -> dict[int, status.Counts]:
    """What lies where, by mailbox, in two queries."""
    stored = dict(Message.objects.values_list("mailbox").annotate(Count("pk")))
    queue = FetchItem.objects.values("mailbox").annotate(
        queued=Count("pk"), stuck=Count("pk", filter=Q(attempts__gte=STUCK))
    )
    waiting = {row["mailbox"]: (row["queued"], row["stuck"]) for row in queue}
    return defaultdict(
        status.Counts,
        {key: status.Counts(stored.get(key, 0), *waiting.get(key, (0, 0))) for key in {*stored, *waiting}},
    )


@require_POST
def connect(request: HttpRequest) -> HttpResponse:
    """Begin the consent for a mailbox; only this asks Google for access to mail."""
    if not signed_in(request).may_manage:
        raise PermissionDenied
    return begin(request, "mailbox", "", request.POST.get("address", "")[:320])


@require_POST
def disconnect(request: HttpRequest, key: int) -> HttpResponse:
    """End the access to a mailbox."""
    if not signed_in(request).may_manage:
        raise PermissionDenied
    mailbox = get_object_or_404(Mailbox, pk=key)
    try:
        consent.disconnect(mailbox, signed_in(request))
    except BrokerError as error:
        messages.error(request, _("The mailbox is still connected: %s") % error.shown())
    else:
        messages.success(request, _("The mailbox is disconnected. Its mail is kept here."))
    return redirect("mailboxes")


@require_POST
def look(request: HttpRequest, key: int) -> HttpResponse:
    """Ask Gmail now what is new in a mailbox."""
    signed_in(request)
    mailbox = get_object_or_404(Mailbox, pk=key)
    signals.notify(signals.LOOK, mailbox.pk)
    messages.success(request, _("Gmail is asked now."))
    return redirect("mailboxes")
