"""Numbers as they come in addresses and forms."""

from __future__ import annotations

# Fewer than any key of the database has room for, and than Python takes for a number.
_MOST_DIGITS = 17


def number(text: str) -> int | None:
    """The whole number that a text is; None for any other text.

    Args:
        text: what came. Digits of other scripts, and superscripts, which `str.isdigit` takes for digits and
            `int` does not, are no number.
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None
