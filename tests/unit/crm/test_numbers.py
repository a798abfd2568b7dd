"""What stands in an address as a number is one, or is none; nothing of it raises."""

from __future__ import annotations

import pytest
from guestpost_crm.web.numbers import number
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(0, 10**17 - 1))
def test_a_number_is_read(value: int) -> None:
    assert number(str(value)) == value


@pytest.mark.parametrize(
    "text", ["", "²", "1²", "१", "٣", "-1", "+1", "1_0", " 1", "1\n", "1.0", "0x1", "9" * 18]
)
def test_what_is_no_number_is_none(text: str) -> None:
    assert number(text) is None


@given(st.text(alphabet=st.characters(categories=["Nd", "No", "Nl"]), min_size=1))
def test_digits_of_other_scripts_are_none(text: str) -> None:
    assert (number(text) is not None) == (text.isascii() and len(text) <= 17)


def test_more_digits_than_python_takes_are_none() -> None:
    assert number("9" * 5000) is None
