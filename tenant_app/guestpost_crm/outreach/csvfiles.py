"""Spreadsheets as CSV: read whatever programs write, write what no program takes for a formula. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from guestpost_crm.told import ToldError
from guestpost_crm.told import gettext_noop as _

MOST_ROWS = 20_000
MOST_COLUMNS = 100
MOST_CELL = 20_000
_PIECE = 16_384
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class CsvError(ToldError):
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
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    buffer.write("\ufeff")
    writer.writerow([safe(each) for each in header])
    for row in rows:
        writer.writerow([safe(each) for each in row])
        if buffer.tell() > _PIECE:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


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
                    problem = _("Line %(line)s: %(count)s columns; at most %(most)s are read.")
                    raise CsvError(problem, line=line, count=len(cells), most=MOST_COLUMNS)
                rows.append((line, [plain(cell)[:MOST_CELL] for cell in cells]))
            if len(rows) > MOST_ROWS + 1:
                problem = _("More than %(most)s rows: split the file and import its parts.")
                raise CsvError(problem, most=f"{MOST_ROWS:,}")
            line = reader.line_num + 1
    except csv.Error as error:
        raise CsvError(_("Line %(line)s: %(problem)s."), line=line, problem=str(error)) from None
    return rows


def _delimiter(text: str) -> str:
    """What separates the heading's cells; comma, semicolon or tab, whichever is there most often."""
    heading = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t|", key=heading.count)
