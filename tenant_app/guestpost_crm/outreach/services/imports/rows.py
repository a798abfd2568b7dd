"""What every import shares: guessed columns, checked lines, and what would become of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from guestpost_crm.accounts.models import Person
from guestpost_crm.outreach.models import CustomField
from guestpost_crm.outreach.services import custom
from guestpost_crm.told import ToldError

Lines = list[tuple[int, dict[str, str]]]
Customs = dict[str, CustomField]
_YES, _NO = {"yes", "y", "true", "1", "x"}, {"no", "n", "false", "0", ""}


@dataclass(frozen=True)
class Problem:
    """What is wrong in a line of the file, and in which column."""

    line: int
    column: str
    text: str


@dataclass
class Preview:
    """What an import would do.

    Attributes:
        header: the columns of the file.
        mapping: field by number of the column.
        key: the field without which nothing can be imported.
        records: what is new or changed, each with its line; kinds of imports know what they are.
        made, changed, unchanged: how many records would be.
        problems: lines that can't be imported.
        sample: the first rows, for choosing the mapping.
    """

    header: list[str]
    mapping: dict[int, str]
    key: str
    records: list[tuple[int, Any]] = field(default_factory=list)
    made: int = 0
    changed: int = 0
    unchanged: int = 0
    problems: list[Problem] = field(default_factory=list)
    sample: list[list[str]] = field(default_factory=list)

    @property
    def has_key(self) -> bool:
        """Whether a column holds what records are known by."""
        return self.key in self.mapping.values()

    @property
    def ready(self) -> bool:
        """Whether it can be done: records are known, no line is wrong, and something would happen."""
        return self.has_key and not self.problems and bool(self.made or self.changed)


@dataclass(frozen=True)
class Importer:
    """How one kind of record is imported.

    Attributes:
        fields: labels by name, in the order in which they are offered.
        names: for each field the headings that it goes by, written small and without signs.
        key: the field that records are known by.
        check: fills a preview from the lines.
        store: writes what a preview found, for a person; called inside a transaction.
    """

    fields: Mapping[str, Any]
    names: Mapping[str, str]
    key: str
    check: Callable[[Preview, Lines, Customs], None]
    store: Callable[[Preview, Person], None]


def guess(importer: Importer, header: Sequence[str], customs: Sequence[CustomField] = ()) -> dict[int, str]:
    """Which field each column is, by its name; each field once."""
    names = {name: each for each, known in importer.names.items() for name in known.split()}
    names |= {_plain(each.label): f"custom.{each.key}" for each in customs if _plain(each.label) not in names}
    mapping: dict[int, str] = {}
    for number, title in enumerate(header):
        found = names.get(_plain(title))
        if found and found not in mapping.values():
            mapping[number] = found
    return mapping


def _plain(title: str) -> str:
    return re.sub(r"[^a-z0-9]", "", title.lower())


def cells(row: Sequence[str], mapping: Mapping[int, str]) -> dict[str, str]:
    """What a line says, by field."""
    return {name: row[number].strip() for number, name in mapping.items() if number < len(row)}


def why(error: Exception) -> str:
    """What is wrong with a cell, for people."""
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    return error.shown() if isinstance(error, ToldError) else str(error)


def own(definition: CustomField, text: str) -> Any:
    """The value of a cell for one of the team's own fields (ValidationError)."""
    return custom.stored(definition, custom.form_field(definition).clean(text))


def yes_or_no(text: str) -> bool:
    """What a cell says (ValueError tells what is wrong with it)."""
    if text.lower() not in _YES | _NO:
        raise ValueError(_("“%(text)s” is neither yes nor no.") % {"text": text[:40]})
    return text.lower() in _YES


def short(text: str, most: int) -> str:
    """A text that fits (ValueError)."""
    if len(text) > most:
        raise ValueError(_("Longer than %(most)s letters.") % {"most": most})
    return text
