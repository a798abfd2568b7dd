"""The owner's page of what this server has: exports, asked for and downloaded."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from guestpost_crm.accounts.middleware import open_while_suspended, signed_in
from guestpost_crm.accounts.models import Person
from guestpost_crm.accounts.views import local_address
from guestpost_crm.environment import current
from guestpost_crm.privacy import exports, kubernetes, policy
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
    """Exports with their progress, and a button for a new one."""
    _owner(request)
    found: list[exports.Export] = []
    problem = ""
    if kubernetes.available():
        try:
            found = exports.exports()
        except kubernetes.KubernetesError as error:
            problem = str(error)
    else:
        problem = "This server can't make exports by itself. Ask the service for one."
    context = {
        "exports": found,
        "problem": problem,
        "busy": any(export.under_way for export in found),
    }
    return render(request, "privacy/data.html", context)


@open_while_suspended
@require_POST
def request_export(request: HttpRequest) -> HttpResponse:
    """Ask for an export."""
    person = _owner(request)
    try:
        exports.request(person)
    except (exports.ExportError, kubernetes.KubernetesError) as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The export is under way. This page shows how far it is.")
    return redirect("data")


@open_while_suspended
@require_POST
def delete_export(request: HttpRequest, name: str) -> HttpResponse:
    """Delete an export and its archive."""
    person = _owner(request)
    try:
        exports.delete(person, name)
    except kubernetes.KubernetesError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The export and its archive are deleted. Your data here is untouched.")
    return redirect("data")


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
