"""Custom fields: their definitions, and values that fit them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.db import transaction
from django.db.models import DecimalField, Q
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.db.models.lookups import GreaterThanOrEqual, IContains, LessThanOrEqual
from django.utils.dateparse import parse_date
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from guestpost_crm.accounts.models import Person
from guestpost_crm.outreach.models import CustomField
from guestpost_crm.outreach.models.custom import Kind
from guestpost_crm.outreach.services.acting import acted

MOST_FIELDS = 40


def definitions(target: str) -> list[CustomField]:
    """The fields in use for a kind of record, in order."""
    return list(CustomField.objects.filter(target=target, archived=False))


def form_field(definition: CustomField) -> forms.Field:
    """A field that takes a person's word for a value and says what is wrong with it."""
    common: dict[str, Any] = {"label": definition.label, "required": definition.required}
    if definition.kind == Kind.NUMBER:
        return forms.DecimalField(max_digits=20, decimal_places=6, **common)
    if definition.kind == Kind.DATE:
        return forms.DateField(widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), **common)
    if definition.kind == Kind.CHOICE:
        return forms.ChoiceField(
            choices=[("", "—"), *((each, each) for each in definition.choices)], **common
        )
    if definition.kind == Kind.YES_NO:
        answers = [("", "—"), ("yes", _("Yes")), ("no", _("No"))]
        return forms.ChoiceField(choices=answers, **common)
    if definition.kind == Kind.URL:
        return forms.URLField(max_length=2000, assume_scheme="https", **common)
    return forms.CharField(max_length=1000, **common)


def filter_fields(definition: CustomField) -> dict[str, forms.Field]:
    """The fields that narrow a list by a field of the team's own, by what stands after its key."""
    label = definition.label
    if definition.kind in (Kind.NUMBER, Kind.DATE):
        ends = {"-min": _("%(field)s from"), "-max": _("%(field)s up to")}
        found = {end: form_field(definition) for end in ends}
        for end, field in found.items():
            field.label, field.required = ends[end] % {"field": label}, False
        return found
    if definition.kind in (Kind.CHOICE, Kind.YES_NO):
        answers = form_field(definition).choices[1:]  # type: ignore[attr-defined]
        return {"": forms.ChoiceField(label=label, choices=[("", _("any")), *answers], required=False)}
    return {"": forms.CharField(label=label, max_length=200, required=False)}


def fits(definition: CustomField, end: str, value: Any) -> Any:
    """The condition for records whose value fits what was given to one of `filter_fields`.

    A choice is found by the index of all values. The others are read, as notes are by the search.
    """
    text = KeyTextTransform(definition.key, "custom")
    if definition.kind in (Kind.CHOICE, Kind.YES_NO):
        return Q(custom__contains={definition.key: stored(definition, value)})
    if not end:
        return IContains(text, value)
    comparison = GreaterThanOrEqual if end == "-min" else LessThanOrEqual
    if definition.kind == Kind.NUMBER:
        return comparison(Cast(text, DecimalField(max_digits=20, decimal_places=6)), value)
    # Days as text are in the order of time.
    return comparison(text, value.isoformat())


def stored(definition: CustomField, value: Any) -> Any:
    """A clean value as JSON has it; None for none."""
    if value in (None, ""):
        return None
    if definition.kind == Kind.YES_NO:
        return value == "yes"
    return str(value)


def typed(definition: CustomField, value: Any) -> str:
    """A stored value as a form shows it."""
    if value is None:
        return ""
    if definition.kind == Kind.YES_NO:
        return "yes" if value else "no"
    return str(value)


def shown(fields: Iterable[CustomField], values: Mapping[str, Any]) -> list[tuple[CustomField, str]]:
    """The values of a record for people, those that there are."""
    return [
        (each, _for_people(each, values[each.key])) for each in fields if values.get(each.key) is not None
    ]


def _for_people(definition: CustomField, value: Any) -> str:
    if definition.kind == Kind.YES_NO:
        return _("Yes") if value else _("No")
    if definition.kind == Kind.DATE and (day := parse_date(str(value))) is not None:
        return date_format(day, "j M Y")
    return str(value)


def key_for(label: str, taken: Iterable[str]) -> str:
    """A key made of a label that no other field has."""
    plain = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")[:30] or "field"
    plain = plain if plain[0].isalpha() else f"f_{plain}"
    known, key, number = set(taken), plain, 2
    while key in known:
        key, number = f"{plain}_{number}", number + 1
    return key


@transaction.atomic
def save(person: Person, definition: CustomField) -> CustomField:
    """Store a definition; a new one gets a key of its own."""
    new = definition.pk is None
    if new:
        known = CustomField.objects.filter(target=definition.target).values_list("key", flat=True)
        definition.key = key_for(definition.label, known)
    definition.save()
    acted(person, "custom-field.created" if new else "custom-field.changed", f"custom-field:{definition.pk}")
    return definition
