"""The owner's page of what this server has: exports, whom the service writes to, and the end of it all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from guestpost_crm.accounts.middleware import open_while_suspended, signed_in
from guestpost_crm.accounts.models import Person
from guestpost_crm.accounts.views import local_address
from guestpost_crm.environment import current
from guestpost_crm.privacy import exports, kubernetes, policy, requests
from guestpost_crm.privacy.forms import ContactForm, ErasureForm
from guestpost_crm.privacy.middleware import SEEN


@open_while_suspended
@require_http_methods(["GET", "POST"])
def policy_shown(request: HttpRequest) -> HttpResponse:
    """What is new in the policy; its button records that the person goes on."""
    person = signed_in(request)
    following = local_address(request.POST.get("next", request.GET.get("next", "")))
    if request.method == "POST":
        policy.accept(person)
        request.session[SEEN] = policy.CURRENT.version
        return redirect(following or "inbox")
    context = {"policy": policy.CURRENT, "unseen": policy.unseen(person), "next": following}
    return render(request, "privacy/policy.html", context)


def _owner(request: HttpRequest) -> Person:
    person = signed_in(request)
    if not exports.may_export(person):
        raise PermissionDenied
    return person


@open_while_suspended
@require_GET
def data(request: HttpRequest) -> HttpResponse:
    """Exports with their progress, and what the owner can ask the service for."""
    _owner(request)
    return _page(request)


def _page(
    request: HttpRequest, *, erasure: ErasureForm | None = None, contact: ContactForm | None = None
) -> HttpResponse:
    """The page, with the forms that were not filled in as they should be."""
    found: list[exports.Export] = []
    asked: requests.Asked | None = None
    problem = ""
    if kubernetes.available():
        try:
            found, asked = exports.exports(), requests.asked()
        except kubernetes.KubernetesError as error:
            problem = str(error)
    else:
        problem = _("This server can't ask for anything by itself. Write to the service.")
    if contact is None and asked is not None:
        contact = ContactForm(initial=asdict(asked.contact))
    context = {
        "exports": found,
        "problem": problem,
        "busy": any(export.under_way for export in found),
        "asked": asked,
        "erasure": erasure or ErasureForm(),
        "contact": contact,
        "number": current().tenant_uid,
    }
    wrong = any(form is not None and form.errors for form in (erasure, contact))
    return render(request, "privacy/data.html", context, status=422 if wrong else 200)


@open_while_suspended
@require_POST
def request_erasure(request: HttpRequest) -> HttpResponse:
    """Ask for the erasure of everything here."""
    person, form = _owner(request), ErasureForm(request.POST)
    if not form.is_valid():
        return _page(request, erasure=form)
    last_export = form.cleaned_data["last_export"]
    return _tried(
        request,
        lambda: requests.ask_for_erasure(person, last_export=last_export),
        _("The erasure is asked for. Until it begins you can take it back here."),
    )


@open_while_suspended
@require_POST
def take_erasure_back(request: HttpRequest) -> HttpResponse:
    """Take back what was asked for."""
    person = _owner(request)
    return _tried(request, lambda: requests.take_back(person), _("It is taken back. Everything stays."))


@open_while_suspended
@require_POST
def change_contact(request: HttpRequest) -> HttpResponse:
    """Say whom the service shall write to."""
    person, form = _owner(request), ContactForm(request.POST)
    if form.is_valid():
        try:
            requests.change_contact(person, form.contact())
        except kubernetes.KubernetesError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, _("The service is told. It gives nobody access to this CRM."))
            return redirect("data")
    return _page(request, contact=form)


def _tried(request: HttpRequest, act: Callable[[], object], done: str) -> HttpResponse:
    try:
        act()
    except (exports.ExportError, kubernetes.KubernetesError) as error:
        messages.error(request, str(error))
    else:
        messages.success(request, done)
    return redirect("data")


@open_while_suspended
@require_POST
def request_export(request: HttpRequest) -> HttpResponse:
    """Ask for an export."""
    person = _owner(request)
    done = _("The export is under way. This page shows how far it is.")
    return _tried(request, lambda: exports.request(person), done)


@open_while_suspended
@require_POST
def delete_export(request: HttpRequest, name: str) -> HttpResponse:
    """Delete an export and its archive."""
    person = _owner(request)
    done = _("The export and its archive are deleted. Your data here is untouched.")
    return _tried(request, lambda: exports.delete(person, name), done)


@open_while_suspended
@require_GET
def archive(request: HttpRequest, name: str) -> HttpResponseBase:
    """The archive, passed through to its owner; a download that broke off can be continued."""
    person = _owner(request)
    try:
        answer = exports.download(person, name, request.headers.get("Range", ""))
    except exports.ExportError as error:
        messages.error(request, str(error))
        return redirect("data")
    response = StreamingHttpResponse(exports.pieces(answer), status=answer.status_code)
    for header in ("Content-Length", "Content-Range", "Accept-Ranges"):
        if header in answer.headers:
            response.headers[header] = answer.headers[header]
    response.headers["Content-Type"] = "application/zip"
    filename = f"{current().tenant_name}-{name}.zip"
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response
