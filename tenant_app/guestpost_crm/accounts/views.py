"""Signing in and out, and the page where every consent comes back."""

from __future__ import annotations

import hmac
from typing import Any

from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from guestpost_crm.accounts import factors, secondfactor, sessions
from guestpost_crm.accounts.limits import at_most
from guestpost_crm.accounts.middleware import open_while_suspended, public
from guestpost_crm.accounts.models import Person, SignIn
from guestpost_crm.accounts.signin import SignInError, person_for, verify
from guestpost_crm.environment import current
from guestpost_crm.gmail import consent as mailboxes
from guestpost_crm.gmail.broker import Broker, BrokerError
from guestpost_crm.support import guests
from guestpost_crm.usage.models import Event
from guestpost_crm.usage.services import count
from guestpost_crm.web.telling import told

_PENDING = "pending_consent"


@public
@require_http_methods(["GET", "POST"])
@at_most(20)
def sign_in(request: HttpRequest) -> HttpResponse:
    """The sign-in page; its button begins the sign-in with Google."""
    if request.user.is_authenticated:
        return redirect("inbox")
    if request.method == "POST":
        return begin(request, "sign_in", local_address(request.POST.get("next", "")))
    return render(request, "accounts/sign_in.html", {"next": local_address(request.GET.get("next", ""))})


def begin(request: HttpRequest, purpose: str, following: str, hint: str = "") -> HttpResponse:
    """Send the browser to Google for a consent, and remember what it is for.

    Args:
        request: the browser's.
        purpose: sign_in or mailbox.
        following: where to go afterwards.
        hint: an address to suggest.
    """
    try:
        consent = Broker().begin(purpose, hint)
    except BrokerError as error:
        return told(request, _("Google can't be reached at the moment"), error.shown(), 503)
    request.session[_PENDING] = {
        "purpose": purpose,
        "state": consent.state,
        "verifier": consent.verifier,
        "nonce": consent.nonce,
        "next": following,
    }
    return redirect(consent.url)


@public
@require_GET
@at_most(30)
def callback(request: HttpRequest) -> HttpResponse:
    """Where the browser comes back from Google, through the broker."""
    pending: dict[str, str] | None = request.session.pop(_PENDING, None)
    state = request.GET.get("state", "")
    if pending is None or not hmac.compare_digest(pending["state"].encode(), state.encode()):
        return told(
            request,
            _("This sign-in was not begun here"),
            _("It may have been begun in another window, or have taken too long. Please begin again."),
            400,
        )
    if "error" in request.GET or "code" not in request.GET:
        messages.info(request, _("You cancelled at Google. Nothing was changed."))
        return redirect("mailboxes" if pending["purpose"] == "mailbox" else "sign-in")
    try:
        tokens = Broker().exchange(state, request.GET["code"], pending["verifier"])
        claims = verify(tokens["id_token"], pending["nonce"])
        if pending["purpose"] == "mailbox":
            return _connected(request, claims, tokens)
        return _signed_in(request, claims, pending["next"])
    except BrokerError as error:
        heading = str(_HEADINGS.get(error.error, _("Google did not confirm this")))
        return told(request, heading, error.shown(), 503 if error.temporary else 400)
    except SignInError as error:
        return told(request, _("You can't sign in here"), str(error), 403)


_HEADINGS = {
    "scope_missing": gettext_lazy("Not everything was allowed"),
    "mailbox_taken": gettext_lazy("This mailbox is connected elsewhere"),
}


def _signed_in(request: HttpRequest, claims: dict[str, Any], following: str) -> HttpResponse:
    approved = guests.access_for(claims)
    if approved is not None:
        return guests.begin(request, approved, claims)
    person = person_for(claims)
    if secondfactor.has(person):
        return factors.ask(request, person, following)
    return sessions.begin(request, person, following)


def _connected(request: HttpRequest, claims: dict[str, Any], tokens: dict[str, Any]) -> HttpResponse:
    person = request.user
    if not isinstance(person, Person) or not person.may_manage:
        return told(request, _("You can't connect a mailbox"), _("Ask the owner or a manager to do it."), 403)
    mailboxes.connect(person, claims, tokens["sealed_refresh_token"])
    count(Event.MAILBOX_CONNECTED)
    messages.success(request, _("The mailbox is connected. Its mail is being fetched, the newest first."))
    return redirect("mailboxes")


@open_while_suspended
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    SignIn.objects.filter(session_key=request.session.session_key).delete()
    logout(request)
    return redirect("sign-in")


def local_address(address: str) -> str:
    """An address of this CRM to go to afterwards, or none."""
    host = current().host
    safe = url_has_allowed_host_and_scheme(address, {host}, require_https=current().secure)
    return address if safe and address.startswith("/") and not address.startswith("/oauth/") else ""
