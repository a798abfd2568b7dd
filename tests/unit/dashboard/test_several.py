"""Several tenants at once: what a page carries between two steps, and what is tried while nobody answers."""

from __future__ import annotations

from typing import Any

import pytest
from guestpost_dashboard.backends.errors import AwayError
from guestpost_dashboard.calls import Given
from guestpost_dashboard.jobs import JOBS
from guestpost_dashboard.pages import several
from guestpost_dashboard.pages.several import Chosen
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("acme:3,beta:0", (Chosen("acme", 3), Chosen("beta"))),
        ("acme", (Chosen("acme"),)),
        ("../pods:1,Acme:1,:4,acme:x,", (Chosen("acme"),)),
        ("acme:" + "9" * 19, (Chosen("acme"),)),
    ],
)
def test_what_is_left_is_read_from_the_page(text: str, chosen: tuple[Chosen, ...]) -> None:
    assert several._read(text) == chosen


@given(st.text())
def test_whatever_a_page_carries_is_names_or_nothing(text: str) -> None:
    found = several._read(text)
    assert several._read(",".join(map(str, found))) == found


async def test_while_nobody_answers_the_rest_is_not_even_tried() -> None:
    """Each try takes ten seconds to fail; a page waits for twenty."""
    asked: list[str] = []

    class Away:
        async def get(self, kind: Any, name: str) -> Any:
            asked.append(name)
            raise AwayError

    chosen = [Chosen(f"t{number}") for number in range(8)]
    found = await several._several(Away(), JOBS["hibernate"], chosen, Given())  # type: ignore[arg-type]
    assert [each.kind for each in found] == ["away"] * 8
    assert len(asked) <= several.AT_ONCE
