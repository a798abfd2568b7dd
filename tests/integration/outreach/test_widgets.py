"""Fields of forms are what Django's own templates write."""

from __future__ import annotations

from typing import Any

BAD = "\"><script>alert('&amp;')</script>"


def test_fields_are_written_as_django_writes_them(crm_database: Any) -> None:
    from django import forms
    from django.forms.renderers import DjangoTemplates, get_default_renderer
    from django.utils.safestring import mark_safe
    from django.utils.translation import gettext_lazy

    attributes = {
        "id": "x", "required": True, "disabled": False, "data-most": 7, "title": BAD,
        "data-word": gettext_lazy("Save"),
    }  # fmt: skip
    choices = [
        ("", "none"), (BAD, BAD), (3, gettext_lazy("three")),
        ("Group <&>", [("a", "A"), ("b", mark_safe("<b>"))]),
    ]  # fmt: skip
    lists: list[Any] = ["a", BAD, 3, "", None]
    values: dict[forms.Widget, list[Any]] = {
        forms.TextInput(): ["plain", BAD, "", None, gettext_lazy("Save")],
        forms.NumberInput(): [12, 0, "1,5"],
        forms.EmailInput(): ["a@b.example"],
        forms.URLInput(): ["https://a.example/?a=1&b=2"],
        forms.HiddenInput(): [mark_safe("<b>")],
        forms.DateInput(attrs={"type": "date"}): ["2026-05-31"],
        forms.DateTimeInput(attrs={"type": "datetime-local"}): [None],
        forms.CheckboxInput(): [True, False],
        forms.FileInput(): [None],
        forms.Textarea(attrs={"rows": 4}): [f"\nfirst\n{BAD}", "", None],
        forms.Select(choices=choices): lists,
        forms.Select(): [None],
        forms.CheckboxSelectMultiple(choices=choices): [["a", BAD]],
    }
    both = (get_default_renderer(), DjangoTemplates())
    for widget, some in values.items():
        for value in some:
            for more in ({}, attributes):
                written, expected = (_lines(widget.render("na&me", value, more, each)) for each in both)
                assert written == expected


def _lines(html: str) -> list[str]:
    """Without blank lines, of which Django's lists have one after each option."""
    return [line for line in html.splitlines() if line.strip()]
