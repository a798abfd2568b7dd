"""Ids of messages in little memory: what is among them, and what was not seen."""

from __future__ import annotations

from guestpost_crm.gmail.ids import Ids
from hypothesis import given
from hypothesis import strategies as st

NUMBERS = st.integers(1 << 60, (1 << 64) - 1).map(lambda number: f"{number:016x}")
IDS = st.sets(st.one_of(NUMBERS, st.text("0123456789abcdefxyz-", min_size=1, max_size=20)), max_size=60)


@given(IDS, IDS, st.integers(1, 5))
def test_they_behave_like_a_set(there: set[str], here: set[str], pages: int) -> None:
    ids = Ids()
    listed = sorted(there)
    for page in range(pages):
        ids.add(listed[page::pages])
    ids.add(listed[:3])
    assert {each for each in sorted(here) if ids.seen(each)} == there & here
    assert set(ids.unseen()) == there - here
