"""Forms of contacts."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from guestpost_crm.outreach import domains
from guestpost_crm.outreach.forms.fields import AddressesField, Filter, WithCustomFields
from guestpost_crm.outreach.models import Contact, ContactAddress
from guestpost_crm.outreach.models.custom import Target


class SitesField(forms.CharField):
    """Sites by their domains, one on each line; those that are not known yet are made."""

    widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocapitalize": "off"})

    def clean(self, value: Any) -> list[str]:
        """The domains, each once."""
        pieces = [each for each in re.split(r"[\s,;]+", str(super().clean(value))) if each]
        try:
            return list(dict.fromkeys(domains.normalise(each) for each in pieces))
        except domains.DomainError as error:
            raise forms.ValidationError(error.shown()) from None


class ContactForm(WithCustomFields, forms.ModelForm):  # type: ignore[type-arg]
    """A contact with its addresses and sites."""

    addresses = AddressesField(
        label=_("E-mail addresses"), max_length=5000, required=False, help_text=_("One on each line.")
    )
    site_domains = SitesField(
        label=_("Sites"), max_length=20_000, required=False,
        help_text=_("Domains, one on each line. A site that is not here yet is added."),
    )  # fmt: skip

    class Meta:
        model = Contact
        fields = ["name", "addresses", "site_domains", "notes", "do_not_contact"]
        widgets = {"notes": forms.Textarea(attrs={"rows": 4})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_custom(Target.CONTACT, self.instance)
        if self.instance.pk:
            known = self.instance.addresses.values_list("address", flat=True)
            self.initial.setdefault("addresses", "\n".join(known))
            self.initial.setdefault(
                "site_domains", "\n".join(str(site) for site in self.instance.sites.all())
            )

    def clean(self) -> dict[str, Any]:
        """Everything; the team's own fields go into the record."""
        found = super().clean() or {}
        self.keep_custom(self.instance)
        return found


class ContactFilter(Filter):
    """What a list of contacts can be narrowed by."""

    target = Target.CONTACT
    q = forms.CharField(label=_("Search"), required=False, max_length=200)
    show = forms.ChoiceField(
        label=_("Show"),
        required=False,
        choices=[
            ("", _("in use")),
            ("do_not_contact", _("do not contact")),
            ("no_site", _("without a site")),
            ("archived", _("archived")),
            ("all", _("all")),
        ],
    )

    def apply(self, found: QuerySet[Contact]) -> QuerySet[Contact]:
        """The contacts that fit."""
        self.is_valid()
        show = self.cleaned_data.get("show", "")
        if show != "all":
            found = found.filter(archived=show == "archived")
        if show == "do_not_contact":
            found = found.filter(do_not_contact=True)
        if show == "no_site":
            found = found.filter(sites=None)
        for word in self.cleaned_data.get("q", "").split()[:6]:
            at = ContactAddress.objects.filter(contact=OuterRef("pk"), address__icontains=word)
            of = Contact.sites.through.objects.filter(contact=OuterRef("pk"), site__domain__icontains=word)
            found = found.filter(Q(name__icontains=word) | Q(Exists(at)) | Q(Exists(of)))
        return self.by_custom(found)
