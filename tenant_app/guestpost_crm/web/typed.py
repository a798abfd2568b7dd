"""What somebody typed into a form that was not taken, for the page that says why: nobody writes it twice.

Browsers that go back to one of our pages find its fields empty, for pages are not to be stored.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParserError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# Fields that people write in; what else a form has are keys and choices.
_WRITTEN: dict[str, str | Promise] = {
    "to": _("To"), "cc": _("Cc"), "bcc": _("Bcc"), "subject": _("Subject"), "body": _("Message"),
    "domain": _("Domain"), "site": _("Site"), "name": _("Name"), "contact": _("Contact"),
    "addresses": _("E-mail addresses"), "site_domains": _("Sites"), "niche": _("Niche"),
    "language": _("Language"), "price": _("Price"), "amount": _("Amount"), "number": _("Number"),
    "anchor": _("Anchor text"), "target_url": _("Target address"), "draft_url": _("Draft"),
    "published_url": _("Published at"), "url": _("Address"), "reference": _("Reference"),
    "label": _("Label"), "choice_lines": _("Choices"), "terms": _("Terms"), "notes": _("Notes"),
}  # fmt: skip
_OWN = "custom_"
# A card that is moved has a `to` as well, which nobody wrote.
_OF_MAIL = ("to", "cc", "bcc")
_MOST_ROWS = 20


@dataclass(frozen=True)
class Typed:
    """A field, and what was written in it."""

    label: str
    text: str

    @property
    def rows(self) -> int:
        """As high as the text, about."""
        return min(_MOST_ROWS, 1 + self.text.count("\n") + len(self.text) // 80)


def typed(request: HttpRequest) -> list[Typed]:
    """What was written into the form that a request brought; nothing when it can't be read."""
    if request.method != "POST":
        return []
    try:
        given = request.POST
    except (SuspiciousOperation, MultiPartParserError, OSError):
        return []
    labels = {name: str(label) for name, label in _WRITTEN.items() if "body" in given or name not in _OF_MAIL}
    labels |= {name: name.removeprefix(_OWN) for name in given if name.startswith(_OWN)}
    return [Typed(label, text) for name, label in labels.items() if (text := given.get(name, "")).strip()]
