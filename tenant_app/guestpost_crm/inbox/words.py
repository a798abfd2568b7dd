"""Words of mail and of searches, taken apart in the same way, so that one finds the other in any language.

PostgreSQL's own parser is not asked: it takes addresses, numbers and scripts without spaces apart in its own
ways, and stems in one language. Literals: https://www.postgresql.org/docs/current/datatype-textsearch.html
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

# Weights of a tsvector: where a word stands.
SUBJECT, SENDER, RECIPIENTS, BODY = "A", "B", "C", "D"
MOST_WORDS = 8_000
MOST_CHARACTERS = 200_000
MOST_POSITIONS = 100
_LONGEST = 60
# Chinese, Japanese and Thai are written without spaces: each character is a word, a phrase finds several.
_WORD = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|[^\W_\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")  # fmt: skip # noqa: E501


def fold(text: str) -> str:
    """Text without the differences that nobody searches by: case, accents, width."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(each for each in decomposed if not unicodedata.combining(each))


def words(text: str) -> Iterator[str]:
    """The words of a text in their order, folded; what is too long to be a word is cut."""
    for found in _WORD.finditer(fold(text[:MOST_CHARACTERS])):
        yield found[0][:_LONGEST]


def vector(texts: Iterable[tuple[str, str]]) -> str:
    """A tsvector of texts, each with its weight, as PostgreSQL reads it.

    Args:
        texts: weight and text; no phrase is found across two of them.
    """
    places: dict[str, list[str]] = {}
    position = 0
    for weight, text in texts:
        for word in words(text):
            position += 1
            if position > MOST_WORDS:
                break
            known = places.setdefault(word, [])
            if len(known) < MOST_POSITIONS:
                known.append(f"{position}{weight}")
        position += 2
    return " ".join(f"'{word}':{','.join(at)}" for word, at in places.items())


def phrase(text: str, weight: str = "", *, prefix: bool = False) -> str:
    """A tsquery for words one after the other, empty when there are none.

    Args:
        text: the words.
        weight: where they stand, anywhere when empty.
        prefix: whether the last may go on.
    """
    found = list(words(text))
    marks = [""] * len(found)
    if found and prefix and len(found[-1]) > 2:
        marks[-1] = "*"
    terms = [
        f"'{word}':{mark}{weight}" if mark or weight else f"'{word}'"
        for word, mark in zip(found, marks, strict=True)
    ]
    return f"({' <-> '.join(terms)})" if len(terms) > 1 else "".join(terms)
