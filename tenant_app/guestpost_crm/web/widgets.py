"""Fields of forms as HTML.

Django renders a template for each of them, another for its attributes, and two more for each option of a
list: a sixth of a page's time. So what most forms are made of is written here, as those templates do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.forms.renderers import DjangoTemplates
from django.http import HttpRequest
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe


class Renderer(DjangoTemplates):
    """Writes inputs, lists and text areas directly; anything else by its template."""

    def render(self, template_name: str, context: dict[str, Any], request: HttpRequest | None = None) -> str:
        """A field, or a form, as HTML."""
        write = _WRITTEN.get(template_name)
        if write is None:
            return super().render(template_name, context, request)
        return mark_safe(write(context["widget"]))  # noqa: S308 - what is written escapes all values


def _value(value: Any) -> SafeString:
    return conditional_escape(str(value))


def _attributes(widget: dict[str, Any]) -> str:
    return "".join(
        f" {_value(name)}" if value is True else f' {_value(name)}="{_value(value)}"'
        for name, value in widget["attrs"].items()
        if value is not False
    )


def _input(widget: dict[str, Any]) -> str:
    value = "" if widget["value"] is None else f' value="{_value(widget["value"])}"'
    kind, name = _value(widget["type"]), _value(widget["name"])
    return f'<input type="{kind}" name="{name}"{value}{_attributes(widget)}>'


def _text_area(widget: dict[str, Any]) -> str:
    # A line's end right after the tag is none of the text.
    text = _value(widget["value"] or "")
    return f'<textarea name="{_value(widget["name"])}"{_attributes(widget)}>\n{text}</textarea>'


def _list(widget: dict[str, Any]) -> str:
    lines = [f'<select name="{_value(widget["name"])}"{_attributes(widget)}>']
    for group, options, _index in widget["optgroups"]:
        if group:
            lines.append(f'  <optgroup label="{_value(group)}">')
        lines += (
            f'  <option value="{_value(each["value"])}"{_attributes(each)}>{_value(each["label"])}</option>'
            for each in options
        )
        if group:
            lines.append("  </optgroup>")
    return "\n".join([*lines, "</select>"])


_INPUTS = ("text", "number", "email", "url", "hidden", "date", "datetime", "checkbox", "file")
_WRITTEN: dict[str, Callable[[dict[str, Any]], str]] = {
    **{f"django/forms/widgets/{kind}.html": _input for kind in _INPUTS},
    "django/forms/widgets/textarea.html": _text_area,
    "django/forms/widgets/select.html": _list,
}
