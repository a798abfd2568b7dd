"""Blanks of templates, such as {{first_name}}: which there are, and how they are filled."""

from __future__ import annotations

import re
from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

KNOWN: dict[str, str | Promise] = {
    "first_name": _("first name of whom you write to"),
    "name": _("name of whom you write to"),
    "site": _("their site"),
    "my_name": _("your name"),
    "my_address": _("the mailbox's address"),
    "anchor": _("anchor text of the order"),
    "target": _("target address of the order"),
    "price": _("price of the order"),
    "published": _("where the order was published"),
}
# Whatever stands between the braces: what nobody knows must not go out either.
_BLANK = re.compile(r"\{\{[^\S\n]*([^{}\n]{0,80}?)[^\S\n]*\}\}")


def unknown(text: str) -> list[str]:
    """The blanks of a text that nothing is known for, in order."""
    return [name for name in names(text) if name not in KNOWN]


def names(text: str) -> list[str]:
    """The blanks of a text, each once, in order."""
    return list(dict.fromkeys(_BLANK.findall(text)))


def fill(text: str, values: Mapping[str, str]) -> str:
    """A text with its blanks filled; what is not known stays a blank, which is never sent."""
    return _BLANK.sub(lambda found: values.get(found[1]) or f"{{{{{found[1]}}}}}", text)
