"""YAML as people type it: read with care, written as it is kept in Git."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from guestpost_dashboard import yamltext
from hypothesis import given
from hypothesis import strategies as st

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


@given(JSON)
def test_what_is_written_is_read_again(value: Any) -> None:
    text = yamltext.dump(value)
    # Characters that YAML does not allow in a stream are escaped, and come back.
    assert yamltext.load(text) == value


@given(st.text())
def test_any_text_is_read_or_told(text: str) -> None:
    with contextlib.suppress(yamltext.UnreadableError):
        yamltext.load(text)


def test_times_stay_text() -> None:
    assert yamltext.load("on: 2026-11-24") == {True: "2026-11-24"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: &x [1]\nb: *x", "aliases"),
        ("a: [1", "no YAML in line"),
        ("a: !!python/object:os.system x", "no YAML"),
        ("x" * (yamltext.MOST + 1), "longer than"),
        ("[" * 5000, "no YAML"),
    ],
)
def test_what_is_not_read_is_told_in_words(text: str, told: str) -> None:
    with pytest.raises(yamltext.UnreadableError, match=told):
        yamltext.load(text)


def test_an_object_is_asked_for() -> None:
    assert yamltext.load_object("kind: A") == {"kind": "A"}
    with pytest.raises(yamltext.UnreadableError, match="no object"):
        yamltext.load_object("- a")


def test_lists_are_indented_and_aliases_written_out() -> None:
    same = {"step": "Keys"}
    assert yamltext.dump({"abandon": [same, same]}) == "abandon:\n  - step: Keys\n  - step: Keys\n"
