"""Lists in pages: a count and a page of rows, however long the list is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import F, Model, QuerySet

SIZE = 50
Record = TypeVar("Record", bound=Model)


@dataclass(frozen=True)
class Page(Generic[Record]):
    """A page of a list.

    Attributes:
        items: its records.
        number: from 1.
        pages: how many there are, at least 1.
        total: records of the whole list.
        sort: the order in use, such as `-dr`.
    """

    items: Sequence[Record]
    number: int
    pages: int
    total: int
    sort: str

    @property
    def before(self) -> int:
        """The number of the page before, 0 on the first."""
        return self.number - 1

    @property
    def after(self) -> int:
        """The number of the page that follows, 0 on the last."""
        return self.number + 1 if self.number < self.pages else 0


def page(
    found: QuerySet[Record], sorts: Mapping[str, str], sort: str, default: str, number: str
) -> Page[Record]:
    """A page of a list in the order that was asked for.

    Args:
        found: the list.
        sorts: field to sort by for each word that may be asked for.
        sort: what was asked for, `-` before it turns it round; anything unknown is the default.
        default: a word, perhaps with `-`.
        number: of the page as it stands in the address; anything else is the first, beyond is the last.
    """
    chosen = sort if sort.removeprefix("-") in sorts else default
    field = F(sorts[chosen.removeprefix("-")])
    down = chosen.startswith("-")
    order = field.desc(nulls_last=True) if down else field.asc(nulls_last=True)
    total = found.count()
    pages = max(1, -(-total // SIZE))
    at = min(int(number) if number.isascii() and number.isdigit() and len(number) < 9 else 1, pages) or 1
    rows: Any = found.order_by(order, "-pk" if down else "pk")[(at - 1) * SIZE : at * SIZE]
    return Page(list(rows), at, pages, total, chosen)
