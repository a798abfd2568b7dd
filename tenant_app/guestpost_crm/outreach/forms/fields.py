"""Fields that several forms have."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, ClassVar, TypeVar

from django import forms
from django.db.models import Model, QuerySet
from django.utils.translation import gettext_lazy as _

from guestpost_crm.outreach import domains, money
from guestpost_crm.outreach.models import Contact, CustomField, Order, Site
from guestpost_crm.outreach.services import custom

Record = TypeVar("Record", bound=Model)
DATE = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


def address_field(label: Any, help_text: Any = "", *, required: bool = False) -> forms.URLField:
    """The address of a page; https when no scheme was written."""
    widget = forms.TextInput(attrs={"inputmode": "url", "spellcheck": "false", "autocapitalize": "off"})
    return forms.URLField(
        label=label, required=required, max_length=2000, assume_scheme="https", widget=widget,
        help_text=help_text,
    )  # fmt: skip


class AmountField(forms.CharField):
    """An amount of money, grouped in whichever way a person writes it."""

    def __init__(self, *, least: Decimal = Decimal(0), **options: Any) -> None:
        super().__init__(max_length=30, **options)
        self._least = least
        self.widget.attrs["inputmode"] = "decimal"

    def clean(self, value: Any) -> Any:
        """The amount, None for none."""
        text = str(super().clean(value))
        if not text:
            return None
        try:
            found = money.amount(text)
        except money.AmountError as error:
            raise forms.ValidationError(error.shown()) from None
        if found < self._least:
            raise forms.ValidationError(_("At least %(least)s."), params={"least": self._least})
        return found


class DomainField(forms.CharField):
    """A domain, however it is written."""

    def clean(self, value: Any) -> str:
        """The domain in its stored form, empty for none."""
        text = str(super().clean(value))
        try:
            return domains.normalise(text) if text else ""
        except domains.DomainError as error:
            raise forms.ValidationError(error.shown()) from None


class SiteField(DomainField):
    """A site by its domain; what is typed is looked up, and made only when the form says so.

    Args:
        make: whether a domain that is not known yet is allowed; the form then has the domain as text.
    """

    def __init__(self, *, make: bool = False, **options: Any) -> None:
        super().__init__(max_length=300, **options)
        self._make = make
        self.widget.attrs.update({"list": "known-sites", "autocomplete": "off", "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        """A site, its key or what was typed, as text."""
        return domains.shown(value.domain) if isinstance(value, Site) else value

    def clean(self, value: Any) -> Any:
        """The site; not stored yet when it is new; None for none."""
        domain = super().clean(value)
        if not domain:
            return None
        known = Site.objects.filter(domain=domain).first()
        if known is None and not self._make:
            problem = _("There is no site %(site)s here yet: add it first.")
            raise forms.ValidationError(problem, params={"site": domains.shown(domain)})
        return known or Site(domain=domain)


class AddressesField(forms.CharField):
    """E-mail addresses, one on each line."""

    widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocapitalize": "off"})

    def clean(self, value: Any) -> list[str]:
        """The addresses in their stored form, each once."""
        pieces = [each for each in re.split(r"[\s,;]+", str(super().clean(value))) if each]
        try:
            return list(dict.fromkeys(domains.address(each) for each in pieces))
        except domains.DomainError as error:
            raise forms.ValidationError(error.shown()) from None


class WithCustomFields(forms.BaseForm):
    """Adds the fields that the team made for a kind of record."""

    definitions: list[CustomField]

    def add_custom(self, target: str, record: Site | Contact | Order) -> None:
        """Add them, with the record's values."""
        self.definitions = custom.definitions(target)
        for each in self.definitions:
            field = custom.form_field(each)
            field.initial = custom.typed(each, record.custom.get(each.key))
            self.fields[f"custom_{each.key}"] = field

    def keep_custom(self, record: Site | Contact | Order) -> None:
        """Put the values of a valid form into the record; those of archived fields stay."""
        for each in self.definitions:
            value = custom.stored(each, self.cleaned_data.get(f"custom_{each.key}"))
            if value is None:
                record.custom.pop(each.key, None)
            else:
                record.custom[each.key] = value


class Filter(forms.Form):
    """What a list can be narrowed by: its own fields, then those that the team made for its records."""

    target: ClassVar[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.own: dict[str, tuple[CustomField, str]] = {}
        for each in custom.definitions(self.target):
            for end, field in custom.filter_fields(each).items():
                name = f"custom_{each.key}{end}"
                self.fields[name], self.own[name] = field, (each, end)

    def by_custom(self, found: QuerySet[Record]) -> QuerySet[Record]:
        """The records whose values of the team's own fields fit, once the form was checked."""
        for name, (definition, end) in self.own.items():
            if (value := self.cleaned_data.get(name)) not in (None, ""):
                found = found.filter(custom.fits(definition, end, value))
        return found
