"""Custom fields: what the team adds to sites, contacts and orders."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from guestpost_crm.accounts.middleware import signed_in
from guestpost_crm.outreach.forms.custom import CustomFieldForm
from guestpost_crm.outreach.models import CustomField
from guestpost_crm.outreach.services import custom
from guestpost_crm.outreach.views.common import UNPROCESSABLE, managing


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """The fields."""
    return render(request, "outreach/custom_fields.html", {"fields": CustomField.objects.all()})


@require_http_methods(["GET", "POST"])
@managing
def new(request: HttpRequest) -> HttpResponse:
    """Add a field."""
    return _form(request, CustomFieldForm(request.POST or None), _("Add a field"))


@require_http_methods(["GET", "POST"])
@managing
def edit(request: HttpRequest, key: int) -> HttpResponse:
    """Change a field; archived ones keep their values and are not shown."""
    field = get_object_or_404(CustomField, pk=key)
    return _form(request, CustomFieldForm(request.POST or None, instance=field), _("Change a field"))


def _form(request: HttpRequest, form: CustomFieldForm, heading: str) -> HttpResponse:
    if request.method == "POST" and form.is_valid():
        custom.save(signed_in(request), form.save(commit=False))
        messages.success(request, _("The field is saved."))
        return redirect("custom-fields")
    status = UNPROCESSABLE if form.is_bound else 200
    return render(
        request, "outreach/custom_field_form.html", {"form": form, "heading": heading}, status=status
    )
