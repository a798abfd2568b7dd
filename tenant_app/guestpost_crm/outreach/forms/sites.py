"""Forms of sites."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from guestpost_crm.outreach import domains
from guestpost_crm.outreach.forms.fields import AmountField, DomainField, Filter, WithCustomFields
from guestpost_crm.outreach.models import Site
from guestpost_crm.outreach.models.common import CURRENCY_CHOICES, LinkPolicy
from guestpost_crm.outreach.models.custom import Target


class SiteForm(WithCustomFields, forms.ModelForm):  # type: ignore[type-arg]
    """A site."""

    domain = DomainField(
        label=_("Domain"),
        max_length=300,
        widget=forms.TextInput(
            attrs={"spellcheck": "false", "autocapitalize": "off", "placeholder": "example.com"}
        ),
    )
    price = AmountField(label=_("Price"), required=False)

    class Meta:
        model = Site
        fields = [
            "domain", "niche", "language", "dr", "da", "traffic", "price", "currency", "turnaround_days",
            "link_policy", "max_links", "notes", "do_not_contact",
        ]  # fmt: skip
        widgets = {
            "niche": forms.TextInput(attrs={"list": "known-niches", "autocomplete": "off"}),
            "language": forms.TextInput(attrs={"list": "known-languages", "autocomplete": "off"}),
            "notes": forms.Textarea(attrs={"rows": 4}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_custom(Target.SITE, self.instance)
        if self.instance.domain:
            self.initial["domain"] = domains.shown(self.instance.domain)

    def clean_domain(self) -> str:
        """No other site has it."""
        domain = str(self.cleaned_data["domain"])
        known = Site.objects.filter(domain=domain).exclude(pk=self.instance.pk).first()
        if known is not None:
            where = _(" It is in the archive.") if known.archived else ""
            raise forms.ValidationError(
                _("%(domain)s is here already.%(where)s"), params={"domain": str(known), "where": where}
            )
        return domain

    def clean(self) -> dict[str, Any]:
        """Everything; the team's own fields go into the record."""
        found = super().clean() or {}
        self.keep_custom(self.instance)
        return found


class SiteFilter(Filter):
    """What a list of sites can be narrowed by; every value stands in the address."""

    target = Target.SITE
    q = forms.CharField(label=_("Search"), required=False, max_length=200)
    niche = forms.CharField(label=_("Niche"), required=False, max_length=80)
    language = forms.CharField(label=_("Language"), required=False, max_length=40)
    dr_min = forms.IntegerField(label=_("DR from"), required=False, min_value=0, max_value=100)
    da_min = forms.IntegerField(label=_("DA from"), required=False, min_value=0, max_value=100)
    traffic_min = forms.IntegerField(label=_("Visits from"), required=False, min_value=0)
    price_max = AmountField(label=_("Price up to"), required=False)
    currency = forms.ChoiceField(
        label=_("Currency"), required=False, choices=[("", _("any")), *CURRENCY_CHOICES]
    )
    policy = forms.ChoiceField(
        label=_("Link policy"), required=False, choices=[("", _("any")), *LinkPolicy.choices]
    )
    show = forms.ChoiceField(
        label=_("Show"),
        required=False,
        choices=[
            ("", _("in use")),
            ("no_contact", _("without a contact")),
            ("do_not_contact", _("do not contact")),
            ("archived", _("archived")),
            ("all", _("all")),
        ],
    )

    def apply(self, found: QuerySet[Site]) -> QuerySet[Site]:
        """The sites that fit; values that are wrong are told by the form and left out."""
        self.is_valid()
        given = self.cleaned_data
        found = _shown(found, given.get("show", ""))
        if words := given.get("q"):
            found = found.filter(_search(words))
        for name, condition in _CONDITIONS.items():
            if (value := given.get(name)) not in (None, ""):
                found = found.filter(**{condition: value})
        return self.by_custom(found)


_CONDITIONS = {
    "niche": "niche__iexact",
    "language": "language__iexact",
    "dr_min": "dr__gte",
    "da_min": "da__gte",
    "traffic_min": "traffic__gte",
    "price_max": "price__lte",
    "currency": "currency",
    "policy": "link_policy",
}


def _shown(found: QuerySet[Site], show: str) -> QuerySet[Site]:
    if show == "all":
        return found
    if show == "archived":
        return found.filter(archived=True)
    found = found.filter(archived=False)
    if show == "do_not_contact":
        return found.filter(do_not_contact=True)
    return found.filter(contacts=None) if show == "no_contact" else found


def _search(words: str) -> Q:
    condition = Q()
    for word in words.split()[:6]:
        one = Q(domain__icontains=word) | Q(niche__icontains=word) | Q(notes__icontains=word)
        if not word.isascii():
            with suppress(domains.DomainError):
                one |= Q(domain__icontains=domains.normalise(word))
        condition &= one
    return condition
