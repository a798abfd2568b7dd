"""How long something lasts, in words."""

from __future__ import annotations

from django import template
from django.utils.translation import ngettext

register = template.Library()


@register.filter
def lasting(seconds: int) -> str:
    """A length of time in hours and minutes."""
    hours, minutes = divmod(int(seconds) // 60, 60)
    said = []
    if hours:
        said.append(ngettext("%(number)d hour", "%(number)d hours", hours) % {"number": hours})
    if minutes or not hours:
        said.append(ngettext("%(number)d minute", "%(number)d minutes", minutes) % {"number": minutes})
    return " ".join(said)
