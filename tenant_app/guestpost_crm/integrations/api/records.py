"""Listing and storing records for the API: the same forms and services as the pages, so the same rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.db.models import QuerySet

from guestpost_crm.accounts.models import Person
from guestpost_crm.outreach.models import CustomField
from guestpost_crm.outreach.services import custom

LARGEST = 2**63 - 1


class InvalidError(Exception):
    """What was sent can't be stored; `errors` says why, by field."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__("invalid")
        self.errors = errors


def page(found: QuerySet[Any], after: int, limit: int) -> dict[str, Any]:
    """A page of a list by key, so that the thousandth costs what the first does.

    Args:
        found: the list.
        after: the last key of the page before; 0 for the first.
        limit: how many.
    """
    rows = list(found.filter(pk__gt=after).order_by("pk")[: limit + 1])
    following = rows[limit - 1].pk if len(rows) > limit else None
    return {"items": rows[:limit], "next": following}


def stored(
    form_class: type[forms.ModelForm[Any]], record: Any, given: dict[str, Any], target: str = ""
) -> Any:
    """A record with what was given, checked by the form of the pages, and not saved yet.

    Args:
        form_class: the form.
        record: new, or as it is stored.
        given: values by field; what is left out stays as it is.
        target: what the team's own fields are for, empty when the form has none.

    Raises:
        InvalidError: names the fields.
    """
    known = form_class(instance=record)
    data = {
        name: _typed(bound.value())
        for name, bound in ((each.name, each) for each in known)
        if bound.value() not in (None, False)
    }
    own = given.pop("custom", None)
    for name, value in given.items():
        data[name] = _typed(value)
    if own is not None:
        data |= _custom(own, custom.definitions(target))
    form = form_class({name: value for name, value in data.items() if value is not False}, instance=record)
    if not form.is_valid():
        raise InvalidError(
            {
                name.replace("custom_", "custom."): [str(message) for message in messages]
                for name, messages in form.errors.items()
            }
        )
    return form


def _typed(value: Any) -> Any:
    """A value as a browser would send it."""
    if isinstance(value, bool):
        return "on" if value else False
    if isinstance(value, list):
        return "\n".join(map(str, value))
    return (
        ""
        if value is None
        else str(value.pk if hasattr(value, "pk") and not hasattr(value, "domain") else value)
    )


def _custom(own: dict[str, str], fields: list[CustomField]) -> dict[str, str]:
    known = {each.key for each in fields}
    unknown = sorted(set(own) - known)
    if unknown:
        raise InvalidError({f"custom.{name}": ["There is no such field."] for name in unknown})
    return {f"custom_{name}": value for name, value in own.items()}


Saving = Callable[[Person, Any], Any]
