"""Words of mail and of searches are taken apart alike."""

from __future__ import annotations

import re

import pytest
from guestpost_crm.inbox import words
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Our price: 120 USD/post", ["our", "price", "120", "usd", "post"]),
        ("bob.smith@site-one.example", ["bob", "smith", "site", "one", "example"]),
        ("Größe ÉTÉ naïve", ["grosse", "ete", "naive"]),
        ("\ufb01le \uff26\uff55\uff4c\uff4c", ["file", "full"]),
        ("価格は", ["価", "格", "は"]),
        ("snake_case 1e5 0x1f", ["snake", "case", "1e5", "0x1f"]),
        ("", []),
        ("— … !", []),
    ],
)
def test_words(text: str, found: list[str]) -> None:
    assert list(words.words(text)) == found


def test_a_vector_has_places_and_weights() -> None:
    assert words.vector([("A", "Guest post"), ("D", "post it")]) == "'guest':1A 'post':2A,5D 'it':6D"


def test_queries() -> None:
    assert words.phrase("bob@site.example", "B") == "('bob':B <-> 'site':B <-> 'example':B)"
    assert words.phrase("guest po", prefix=True) == "('guest' <-> 'po')"
    assert words.phrase("price", prefix=True) == "'price':*"
    assert words.phrase("...") == ""


@given(st.text(max_size=500), st.text(max_size=500))
def test_nothing_gets_out_of_its_quotes(one: str, other: str) -> None:
    term = re.compile(r"'[^'\\]+':\d+[AD](,\d+[AD])*")
    vector = words.vector([("A", one), ("D", other)])
    assert not vector or re.fullmatch(rf"{term.pattern}( {term.pattern})*", vector)
    query = words.phrase(one, prefix=True)
    assert not query or re.fullmatch(r"\(?'[^'\\]+'(:\*)?( <-> '[^'\\]+'(:\*)?)*\)?", query)


def test_a_long_text_is_bounded() -> None:
    vector = words.vector([("D", " ".join(f"w{number}" for number in range(50_000)))])
    assert len(vector) < 200_000
    assert words.vector([("D", "a " * 50_000)]).count("D") == words.MOST_POSITIONS
    assert max(len(word) for word in words.words("x" * 1000)) == 60
