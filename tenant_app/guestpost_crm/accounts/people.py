"""The pages of the team and of one's own account."""

from __future__ import annotations

from collections.abc import Callable

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from guestpost_crm.accounts import team
from guestpost_crm.accounts.middleware import open_while_suspended, signed_in
from guestpost_crm.accounts.models import Invitation, Person, SignIn
from guestpost_crm.audit.services import record


class InvitationForm(forms.Form):
    """Whom to invite, and as what.

    Args:
        person: who invites; the roles are those that they may give.
    """

    email = forms.EmailField(label=_("Google account"), max_length=254)

    def __init__(self, person: Person, data: QueryDict | None = None) -> None:
        super().__init__(data)
        choices = [(role.value, role.label) for role in team.assignable(person)]
        self.fields["role"] = forms.ChoiceField(label=_("Role"), choices=choices)


class AccountForm(forms.Form):
    """What a person may correct about themselves; the address is Google's to know."""

    name = forms.CharField(label=_("Name"), max_length=200)


@require_GET
def members(request: HttpRequest, form: InvitationForm | None = None, status: int = 200) -> HttpResponse:
    """Everybody of the team, and who is invited."""
    person = signed_in(request)
    people = Person.objects.filter(is_active=True).order_by("name", "email")
    shown = [{"person": each, "may_change": team.may_change(person, each)} for each in people]
    roles = team.assignable(person)
    context = {
        "members": shown,
        "invitations": Invitation.objects.filter(expires_at__gt=timezone.now()).order_by("email"),
        "roles": roles,
        "form": form or (InvitationForm(person) if roles else None),
    }
    return render(request, "accounts/team.html", context, status=status)


@require_POST
def invite(request: HttpRequest) -> HttpResponse:
    """Invite somebody."""
    person = signed_in(request)
    form = InvitationForm(person, request.POST)
    if not form.is_valid():
        request.method = "GET"
        return members(request, form, 422)
    try:
        invitation = team.invite(person, form.cleaned_data["email"], form.cleaned_data["role"])
    except team.TeamError as error:
        messages.error(request, str(error))
    else:
        messages.success(
            request,
            f"{invitation.email} may sign in here with Google until {invitation.expires_at:%-d %B}. "
            "Send them the address of this CRM.",
        )
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
    form = AccountForm(request.POST or None, initial={"name": person.name})
    if request.method == "POST" and form.is_valid():
        person.name = form.cleaned_data["name"]
        person.save(update_fields=["name"])
        record(person, "account.corrected", f"person:{person.pk}")
        messages.success(request, _("Your name is changed."))
        return redirect("account")
    context = {
        "form": form,
        "sign_ins": SignIn.objects.filter(person=person).order_by("-seen_at"),
        "this_session": request.session.session_key,
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
