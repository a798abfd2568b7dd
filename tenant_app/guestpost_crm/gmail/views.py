"""Mailboxes: how each is doing, connecting one, disconnecting one."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from guestpost_crm.accounts.middleware import signed_in
from guestpost_crm.accounts.views import begin
from guestpost_crm.gmail import consent
from guestpost_crm.gmail.broker import BrokerError
from guestpost_crm.gmail.models import Mailbox

PROBLEMS = {
    "consent_gone": "Google no longer allows access. Connect the mailbox again; what was fetched is kept.",
    "gmail_unavailable": "Gmail did not answer. It is tried again by itself.",
    "gmail_refuses": "Gmail refuses. If this stays, connect the mailbox again.",
    "rate_limited": "Gmail's quota is used up for the moment. It goes on by itself.",
    "broker_unavailable": "The consent broker does not answer. It is tried again by itself.",
}


@require_GET
def mailboxes(request: HttpRequest) -> HttpResponse:
    """Every mailbox, with what is stored, what is waiting, and what is wrong."""
    found = Mailbox.objects.order_by("address").annotate(
        stored=Count("messages", distinct=True),
        waiting=Count("queue", distinct=True),
        stuck=Count("queue", filter=Q(queue__attempts__gt=3), distinct=True),
    )
    shown = [
        {
            "mailbox": mailbox,
            "problem": PROBLEMS.get(mailbox.error, mailbox.error),
            "listing": mailbox.listing_page is not None,
        }
        for mailbox in found
    ]
    return render(request, "gmail/mailboxes.html", {"mailboxes": shown})


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
        messages.error(request, f"The mailbox is still connected: {error.description}")
    else:
        messages.success(request, "The mailbox is disconnected. Its mail is kept here.")
    return redirect("mailboxes")
