"""The page of a server that is being erased."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from guestpost_crm.accounts.models import Person
from guestpost_crm.environment import current
from guestpost_crm.privacy import exports, kubernetes


def leaving(request: HttpRequest) -> HttpResponse:
    """What is going on, and to the owner their last export."""
    person = request.user
    owner = isinstance(person, Person) and exports.may_export(person)
    export, problem = None, ""
    if owner and kubernetes.available():
        try:
            export = exports.last()
        except kubernetes.KubernetesError as error:
            problem = str(error)
    context = {"owner": owner, "export": export, "problem": problem, "number": current().tenant_uid}
    return render(request, "privacy/leaving.html", context, status=410)
