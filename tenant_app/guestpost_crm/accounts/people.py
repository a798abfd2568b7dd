"""The pages of the team and of one's own account."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from guestpost_crm.accounts import secondfactor, team
from guestpost_crm.accounts.middleware import open_while_suspended, signed_in
from guestpost_crm.accounts.models import Invitation, Person, Role, SignIn
from guestpost_crm.audit.services import record
from guestpost_crm.environment import current
from guestpost_crm.notices.models import Kind, Notice


class InvitationForm(forms.Form):
    """Whom to invite, and as what.

    Args:
        person: who invites; the roles are those that they may give.
    """

    email = forms.EmailField(label=_("Google account"), max_length=254)

    def __init__(self, person: Person, data: QueryDict | None = None) -> None:
        super().__init__(data)
        choices = [(role.value, role.label) for role in team.assignable(person)]
        self.fields["role"] = forms.ChoiceField(label=_("Role"), choices=choices, initial=Role.MEMBER)


def time_zones() -> list[tuple[str, Any]]:
    """The zones that this machine knows, by their names in the IANA database."""
    known = sorted(each for each in zoneinfo.available_timezones() if "/" in each and "Etc/" not in each)
    return [("", "UTC"), *((each, each.replace("_", " ")) for each in known)]


class AccountForm(forms.Form):
    """What a person may correct about themselves; the address is Google's to know."""

    name = forms.CharField(label=_("Name"), max_length=200)
    language = forms.ChoiceField(
        label=_("Language"), required=False, choices=[("", _("as the browser asks for")), *settings.LANGUAGES]
    )
    time_zone = forms.ChoiceField(label=_("Time zone"), required=False, choices=time_zones)
    mail_lost_links = forms.BooleanField(
        label=_("Write me a mail when a link of my orders is lost"), required=False
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not current().smtp_host:
            del self.fields["mail_lost_links"]


@require_GET
def members(request: HttpRequest, form: InvitationForm | None = None, status: int = 200) -> HttpResponse:
    """Everybody of the team, and who is invited."""
    person = signed_in(request)
    people = Person.objects.filter(is_active=True).exclude(role=Role.SUPPORT)
    people = people.select_related("authenticator").order_by("name", "email")
    shown = [
        {
            "person": each,
            "may_change": team.may_change(person, each),
            "second_factor": getattr(getattr(each, "authenticator", None), "confirmed_at", None),
        }
        for each in people
    ]
    roles = team.assignable(person)
    context = {
        "members": shown,
        "invitations": _invitations(),
        "roles": roles,
        "mail": bool(current().smtp_host),
        "form": form or (InvitationForm(person) if roles else None),
    }
    return render(request, "accounts/team.html", context, status=status)


def _invitations() -> list[dict[str, Any]]:
    """Those that still open something, and what became of the mail that tells of each."""
    invited = list(Invitation.objects.filter(expires_at__gt=timezone.now()).order_by("email"))
    subjects = [f"invitation:{each.pk}" for each in invited]
    told = Notice.objects.filter(kind=Kind.INVITATION, subject__in=subjects).order_by("created_at")
    states = dict(told.values_list("subject", "state"))
    return [{"invitation": each, "mail": states.get(f"invitation:{each.pk}", "")} for each in invited]


@require_POST
def invite(request: HttpRequest) -> HttpResponse:
    """Invite somebody."""
    person = signed_in(request)
    form = InvitationForm(person, request.POST)
    invitation = None
    if form.is_valid():
        try:
            invitation = team.invite(person, form.cleaned_data["email"], form.cleaned_data["role"])
        except team.TeamError as error:
            form.add_error("email", str(error))
    if invitation is None:
        request.method = "GET"
        return members(request, form, 422)
    told = {"email": invitation.email, "day": date_format(invitation.expires_at, "j F")}
    if current().smtp_host:
        text = _("%(email)s may sign in here with Google until %(day)s. A mail tells them how.")
    else:
        text = _("%(email)s may sign in here with Google until %(day)s. Send them the address of this CRM.")
    messages.success(request, text % told)
    return redirect("team")


@require_POST
def withdraw(request: HttpRequest, key: int) -> HttpResponse:
    """Take an invitation back."""
    return _tried(request, lambda: team.withdraw(signed_in(request), get_object_or_404(Invitation, pk=key)))


@require_POST
def change(request: HttpRequest, key: int) -> HttpResponse:
    """Give a member another role, or end their access."""
    person, member = signed_in(request), get_object_or_404(Person, pk=key, is_active=True)
    if request.POST.get("role") == "none":
        return _tried(request, lambda: team.end_access(person, member))
    return _tried(request, lambda: team.change_role(person, member, request.POST.get("role", "")))


def _tried(request: HttpRequest, act: Callable[[], None]) -> HttpResponse:
    try:
        act()
    except team.TeamError as error:
        messages.error(request, str(error))
    return redirect("team")


@open_while_suspended
@require_http_methods(["GET", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """One's own name, address, role and sessions."""
    person = signed_in(request)
    known = {name: getattr(person, name) for name in AccountForm.base_fields}
    form = AccountForm(request.POST or None, initial=known)
    if request.method == "POST" and form.is_valid():
        for name, value in form.cleaned_data.items():
            setattr(person, name, value)
        person.save(update_fields=list(form.cleaned_data))
        record(person, "account.corrected", f"person:{person.pk}", fields=",".join(form.changed_data))
        messages.success(request, _("Your changes are saved."))
        return redirect("account")
    context = {
        "form": form,
        "sign_ins": SignIn.objects.filter(person=person).order_by("-seen_at"),
        "this_session": request.session.session_key,
        "second_factor": secondfactor.has(person),
        "codes_left": secondfactor.left(person),
    }
    return render(request, "accounts/account.html", context, status=422 if form.errors else 200)


@open_while_suspended
@require_POST
def end_session(request: HttpRequest, key: int) -> HttpResponse:
    """End one of one's own sessions."""
    team.end_session(signed_in(request), key)
    return redirect("account")


@open_while_suspended
@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """End all of one's own sessions but this."""
    person = signed_in(request)
    team.end_sessions(person, but=request.session.session_key or "")
    record(person, "sessions.ended", f"person:{person.pk}")
    return redirect("account")
