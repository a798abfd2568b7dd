"""The audit page."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from guestpost_crm.accounts.models import Person
from guestpost_crm.audit import words
from guestpost_crm.audit.models import AuditEvent

SYSTEM = "system"


class AuditFilter(forms.Form):
    """What the log can be narrowed by."""

    who = forms.ChoiceField(label=_("Who"), required=False)
    what = forms.ChoiceField(label=_("What"), required=False, choices=[("", _("everything"))])
    since = forms.DateField(label=_("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label=_("To"), required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = [(str(each.pk), str(each)) for each in Person.objects.order_by("name", "email")]
        who: Any = self.fields["who"]
        who.choices = [("", _("everybody")), (SYSTEM, _("the system")), *people]
        what: Any = self.fields["what"]
        what.choices = [("", _("everything")), *sorted(words.AREAS.items(), key=lambda area: str(area[1]))]

    def apply(self, found: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        """The events that fit; what can't be read narrows nothing."""
        self.is_valid()
        given = self.cleaned_data
        if given.get("who"):
            found = found.filter(person=None if given["who"] == SYSTEM else given["who"])
        if given.get("what"):
            found = found.filter(action__startswith=f"{given['what']}.")
        if given.get("since"):
            found = found.filter(at__date__gte=given["since"])
        if given.get("until"):
            found = found.filter(at__date__lte=given["until"])
        return found


@require_GET
def log(request: HttpRequest) -> HttpResponse:
    """What was done, by whom, the newest first."""
    form = AuditFilter(request.GET)
    events = form.apply(AuditEvent.objects.select_related("person"))
    page = Paginator(events, 50).get_page(request.GET.get("page"))
    query = request.GET.copy()
    query.pop("page", None)
    context = {
        "page": page,
        "events": words.shown(page.object_list),
        "form": form,
        "filtered": any(request.GET.get(name) for name in form.fields),
        "query": query.urlencode(),
    }
    return render(request, "audit/log.html", context)
