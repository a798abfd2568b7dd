"""Spreadsheets: whatever programs write is read, and nothing that is written is taken for a formula."""

from __future__ import annotations

import csv
import io
from contextlib import suppress

import pytest
from guestpost_crm.outreach import csvfiles
from hypothesis import given
from hypothesis import strategies as st


def written(*rows: list[object]) -> str:
    return b"".join(csvfiles.write(["a", "b"], rows)).decode("utf-8-sig")


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20x"]
)
def test_a_cell_that_spreadsheets_would_calculate_is_shown_as_it_is(cell: str) -> None:
    assert csvfiles.safe(cell) == f"'{cell}"
    assert csvfiles.plain(csvfiles.safe(cell)) == cell.strip() or cell[0] in "\t\r"


def test_numbers_and_words_are_written_plainly() -> None:
    assert written([-5, None], [True, False], ["plain", "two\nlines"]) == (
        'a,b\r\n-5,\r\nyes,no\r\nplain,"two\nlines"\r\n'
    )


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)))
def test_no_cell_begins_a_formula_whatever_is_in_it(cells: list[str]) -> None:
    for row in csv.reader(io.StringIO(written(*([each, ""] for each in cells)), newline="")):
        for cell in row:
            assert not cell.startswith(
                ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
            )


@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20).map(str.strip),
            min_size=2,
            max_size=2,
        ).filter(any),
        max_size=20,
    )
)
def test_what_is_written_is_read_back(rows: list[list[str]]) -> None:
    text = csvfiles.decode(b"".join(csvfiles.write(["a", "b"], rows)))
    found = [cells for _line, cells in csvfiles.read(text)][1:]
    expected = [[csvfiles.plain(csvfiles.safe(cell)) for cell in row] for row in rows]
    assert found == expected


def test_rows_keep_the_line_where_they_begin() -> None:
    found = csvfiles.read('a,b\n\n"two\nlines",x\n,,\nlast,y\n')
    assert [(line, cells[0]) for line, cells in found] == [(1, "a"), (3, "two\nlines"), (6, "last")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_whichever_delimiter_the_heading_has(delimiter: str) -> None:
    text = f"a{delimiter}b\n1{delimiter}2\n"
    assert [cells for _line, cells in csvfiles.read(text)] == [["a", "b"], ["1", "2"]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16", "cp1252"])
def test_encodings(encoding: str) -> None:
    content = "name\nCafé\n".encode(encoding)
    if encoding == "utf-16-le":
        content = b"\xff\xfe" + content
    assert csvfiles.decode(content) == "name\nCafé\n"


def test_a_long_file_comes_in_pieces() -> None:
    pieces = list(csvfiles.write(["a"], (["x" * 1000] for _ in range(100))))
    assert 2 < len(pieces) < 20
    assert max(map(len, pieces)) < 20_000


@given(st.binary(max_size=500))
def test_no_file_breaks_it(content: bytes) -> None:
    with suppress(csvfiles.CsvError):
        csvfiles.read(csvfiles.decode(content))
