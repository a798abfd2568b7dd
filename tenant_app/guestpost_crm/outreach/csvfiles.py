"""Spreadsheets as CSV: read whatever programs write, write what no program takes for a formula. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

MOST_ROWS = 20_000
MOST_COLUMNS = 100
MOST_CELL = 20_000
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class CsvError(ValueError):
    """The file can't be read; the message says why and in which line."""


def safe(value: Any) -> str:
    """A cell that spreadsheets show as it is: an apostrophe stands before what they would calculate."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text


def plain(cell: str) -> str:
    """A cell without the apostrophe that `safe` put before it."""
    text = cell.strip()
    return text[1:] if text[:1] == "'" and text[1:].startswith(_FORMULA) else text


def write(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """A file, piece by piece: RFC 4180 in UTF-8, with the mark that makes spreadsheets take it for UTF-8."""
    yield b"\xef\xbb\xbf" + _line([safe(each) for each in header])
    for row in rows:
        yield _line([safe(each) for each in row])


def _line(cells: list[str]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue().encode()


def decode(content: bytes) -> str:
    """The text of a file: UTF-8 or UTF-16 by its mark, else UTF-8, else Windows-1252."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace").replace("\x00", "")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")
    return text.replace("\x00", "")


def read(text: str) -> list[tuple[int, list[str]]]:
    """The rows that are not empty, each with the line where it begins; the first is the heading.

    Raises:
        CsvError: it is no CSV, or too large.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=False)
    rows: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if len(cells) > MOST_COLUMNS:
                    raise CsvError(f"Line {line}: {len(cells)} columns; at most {MOST_COLUMNS} are read.")
                rows.append((line, [plain(cell)[:MOST_CELL] for cell in cells]))
            if len(rows) > MOST_ROWS + 1:
                raise CsvError(f"More than {MOST_ROWS:,} rows: split the file and import its parts.")
            line = reader.line_num + 1
    except csv.Error as error:
        raise CsvError(f"Line {line}: {error}.") from None
    return rows


def _delimiter(text: str) -> str:
    """What separates the heading's cells; comma, semicolon or tab, whichever is there most often."""
    heading = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t|", key=heading.count)
