"""The pages of the second factor: at sign-in, and in one's own account."""

from __future__ import annotations

import datetime as dt
from typing import Any

import segno
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from guestpost_crm.accounts import secondfactor, sessions, team
from guestpost_crm.accounts.limits import at_most
from guestpost_crm.accounts.middleware import open_while_suspended, public, signed_in
from guestpost_crm.accounts.models import Person

PENDING = "second_factor_of"
_LASTS = dt.timedelta(minutes=10)


def ask(request: HttpRequest, person: Person, following: str) -> HttpResponse:
    """Ask somebody whom Google vouches for for their second factor; they are not signed in yet."""
    # A new key, so that a session planted before learns nothing of it.
    request.session.cycle_key()
    request.session[PENDING] = {"person": person.pk, "at": timezone.now().isoformat(), "next": following}
    return redirect("second-factor")


def _waiting(request: HttpRequest) -> tuple[Person, str] | None:
    """Who is asked, and where they go afterwards; None when nobody is or it took too long."""
    pending: dict[str, Any] = request.session.get(PENDING) or {}
    if not pending or timezone.now() - dt.datetime.fromisoformat(pending["at"]) > _LASTS:
        return None
    person = Person.objects.filter(pk=pending["person"], is_active=True).first()
    return (person, pending["next"]) if person else None


@public
@require_http_methods(["GET", "POST"])
@at_most(20)
def second_factor(request: HttpRequest) -> HttpResponse:
    """The second step of signing in."""
    waiting = _waiting(request)
    if waiting is None:
        return redirect("sign-in")
    person, following = waiting
    problem = ""
    if request.method == "POST":
        try:
            secondfactor.check(person, request.POST.get("code", "")[:40])
        except secondfactor.SecondFactorError as error:
            problem = str(error)
        else:
            del request.session[PENDING]
            return sessions.begin(request, person, following)
    context = {"problem": problem, "name": str(person)}
    return render(request, "accounts/second_factor.html", context, status=422 if problem else 200)


@open_while_suspended
@require_http_methods(["GET", "POST"])
def set_up(request: HttpRequest) -> HttpResponse:
    """A picture for the authenticator; its code makes it hold, and codes for its loss are shown once."""
    person, problem = signed_in(request), ""
    try:
        if request.method == "POST":
            codes = secondfactor.confirm(person, request.POST.get("code", "")[:20])
            return render(request, "accounts/recovery_codes.html", {"codes": codes})
    except secondfactor.SecondFactorError as error:
        problem = str(error)
    try:
        secret, uri = secondfactor.begin(person)
    except secondfactor.SecondFactorError as error:
        messages.info(request, str(error))
        return redirect("account")
    picture = segno.make(uri, error="m").svg_data_uri(scale=5, border=3, dark="#000", light="#fff")
    context = {"secret": secret, "picture": picture, "problem": problem}
    return render(request, "accounts/second_factor_set_up.html", context, status=422 if problem else 200)


@open_while_suspended
@require_POST
def remove(request: HttpRequest) -> HttpResponse:
    """Sign in without a second factor from now on; asks for a code."""
    person = signed_in(request)
    if not secondfactor.has(person):
        return redirect("account")
    try:
        secondfactor.remove(person, request.POST.get("code", "")[:40])
    except secondfactor.SecondFactorError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("Your second factor is removed. Signing in asks for Google only now."))
    return redirect("account")


@require_POST
def reset(request: HttpRequest, key: int) -> HttpResponse:
    """Let a member who lost theirs in without it."""
    member = get_object_or_404(Person, pk=key, is_active=True)
    try:
        secondfactor.reset(signed_in(request), member)
    except team.TeamError as error:
        messages.error(request, str(error))
    else:
        told = _("%(name)s signs in with Google alone now, until they set it up again.")
        messages.success(request, told % {"name": member})
    return redirect("team")
