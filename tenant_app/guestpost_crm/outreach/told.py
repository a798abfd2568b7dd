"""Errors of what is pure, told in whichever language the page is in. Pure itself until somebody asks."""

from __future__ import annotations


def gettext_noop(text: str) -> str:
    """Mark a text for translation, as `makemessages` finds it; what is pure knows no settings."""
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
