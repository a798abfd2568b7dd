"""What is told in whichever language the page is in, also of long ago. Pure itself until somebody asks."""

from __future__ import annotations

import json
from collections.abc import Mapping

_SEPARATOR = "\t"


def gettext_noop(text: str) -> str:
    """Mark a text for translation, as `makemessages` finds it; what is pure knows no settings."""
    return text


def kept(text: str, values: Mapping[str, str | int] | None = None) -> str:
    """A text and what stands in its places, to be stored: who reads it may speak another language."""
    return f"{text}{_SEPARATOR}{json.dumps(values, ensure_ascii=False)}" if values else text


def shown(stored: str) -> str:
    """What `kept` gave, in the language in use; any other text as it is."""
    from django.utils.translation import gettext

    text, _tab, values = stored.partition(_SEPARATOR)
    if not text:
        return ""
    try:
        return gettext(text) % json.loads(values) if values else gettext(text)
    except (ValueError, TypeError, KeyError):
        return text


class ToldError(ValueError):
    """Something a person wrote can't be read.

    Args:
        text: why, in English, with places for `values`.
        **values: what stands in those places.
    """

    def __init__(self, text: str, /, **values: str | int) -> None:
        super().__init__(text % values)
        self._text, self._values = text, values

    def shown(self) -> str:
        """Why, in the language in use."""
        from django.utils.translation import gettext

        return gettext(self._text) % self._values

    def kept(self) -> str:
        """The same, to be stored."""
        return kept(self._text, self._values)
