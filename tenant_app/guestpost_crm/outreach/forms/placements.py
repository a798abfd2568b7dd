"""Forms of placements."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from guestpost_crm.outreach.forms.fields import SiteField, address_field
from guestpost_crm.outreach.models import Placement
from guestpost_crm.outreach.models.placements import PlacementState


class PlacementForm(forms.ModelForm):  # type: ignore[type-arg]
    """A placed link that has no order here, or whose expectation is corrected."""

    site = SiteField(label=_("Site"), help_text=_("Its domain."))
    url = address_field(_("Published page"), required=True)
    target_url = address_field(_("Target address"), required=True)

    class Meta:
        model = Placement
        fields = ["site", "url", "target_url", "anchor", "rel"]
        help_texts = {"anchor": _("Any text is fine when this is empty.")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.site_id:
            self.initial["site"] = self.instance.site


class PlacementFilter(forms.Form):
    """What placements can be narrowed by."""

    q = forms.CharField(label=_("Search"), required=False, max_length=200)
    show = forms.ChoiceField(
        label=_("Show"),
        required=False,
        choices=[
            ("", _("all")), ("lost", _("lost")), ("problems", _("with a problem")), ("live", _("live")),
            ("unchecked", _("not checked yet")),
        ],
    )  # fmt: skip

    def apply(self, found: QuerySet[Placement]) -> QuerySet[Placement]:
        """The placements that fit."""
        self.is_valid()
        show = self.cleaned_data.get("show", "")
        if show == "problems":
            well = [PlacementState.LIVE, PlacementState.UNCHECKED]
            found = found.exclude(state__in=well)
        elif show:
            found = found.filter(state=show)
        for word in self.cleaned_data.get("q", "").split()[:6]:
            found = found.filter(
                Q(url__icontains=word) | Q(target_url__icontains=word) | Q(anchor__icontains=word)
                | Q(site__domain__icontains=word)
            )  # fmt: skip
        return found
