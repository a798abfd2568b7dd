"""What a person asks of the fleet, as the address of the page says it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from guestpost_dashboard.rows import Row

PAGE = 100
LONGEST = 200


@dataclass(frozen=True)
class Column:
    """A column of the fleet's table.

    Attributes:
        title: its heading.
        key: what it sorts by.
        usual: whether it is shown unless the address says otherwise.
    """

    title: str
    key: Callable[[Row], str | float]
    usual: bool = True


# By name, in the order of the page; the tenant's name itself always comes first.
COLUMNS: dict[str, Column] = {
    "phase": Column("Phase", lambda row: row.phase),
    "reason": Column("Reason", lambda row: row.reason),
    "plan": Column("Plan", lambda row: row.plan),
    "region": Column("Region", lambda row: row.region),
    "version": Column("Version", lambda row: row.version),
    "owner": Column("Owner", lambda row: row.owner.lower()),
    # The youngest first is the larger time.
    "age": Column("Age", lambda row: -row.created),
    "state": Column("State", lambda row: row.state, usual=False),
    "channel": Column("Channel", lambda row: row.channel, usual=False),
    "project": Column("Project", lambda row: row.project, usual=False),
    "revision": Column("Revision", lambda row: row.revision, usual=False),
    "host": Column("Host", lambda row: row.host, usual=False),
}
USUAL = tuple(name for name, column in COLUMNS.items() if column.usual)
# What can be chosen by value, by the name in the address.
FACETS: dict[str, Callable[[Row], str]] = {
    "phase": lambda row: row.phase,
    "plan": lambda row: row.plan,
    "region": lambda row: row.region,
    "version": lambda row: row.version,
    "state": lambda row: row.state,
    "channel": lambda row: row.channel,
}
SHOWS: dict[str, tuple[str, Callable[[Row], bool]]] = {
    "unready": ("Not ready", lambda row: row.ready != "True"),
    "blocked": ("Blocked", lambda row: bool(row.blocks)),
    "moving": ("Release under way", lambda row: row.moving),
}


@dataclass(frozen=True)
class Query:
    """What is shown, and how.

    Attributes:
        words: all of which have to be found.
        chosen: (facet, values), of each facet one of the values.
        show: one of SHOWS, or empty.
        sort: name of a column, or "name".
        down: whether the largest comes first.
        columns: what is shown beside the name.
        page: from 1.
    """

    words: tuple[str, ...] = ()
    chosen: tuple[tuple[str, tuple[str, ...]], ...] = ()
    show: str = ""
    sort: str = "name"
    down: bool = False
    columns: tuple[str, ...] = USUAL
    page: int = 1

    def matches(self, row: Row) -> bool:
        """Whether a tenant is among what is asked for."""
        return (
            all(word in row.text for word in self.words)
            and all(FACETS[facet](row) in values for facet, values in self.chosen)
            and (not self.show or SHOWS[self.show][1](row))
        )

    def key(self, row: Row) -> tuple[str | float, str]:
        """What a tenant is sorted by; names make it certain."""
        return (row.name if self.sort == "name" else COLUMNS[self.sort].key(row), row.name)

    def values(self, facet: str) -> tuple[str, ...]:
        """The values that are chosen of a facet."""
        return dict(self.chosen).get(facet, ())

    @property
    def narrow(self) -> bool:
        """Whether not everything is asked for."""
        return bool(self.words or self.chosen or self.show)

    @property
    def filter(self) -> Query:
        """The same without what only concerns how it is shown: what results are remembered by."""
        return replace(self, columns=(), page=1)

    def parameters(self) -> list[tuple[str, str]]:
        """As an address says it; what is usual is left out."""
        said = [("q", " ".join(self.words))] if self.words else []
        said += [(facet, value) for facet, values in self.chosen for value in values]
        said += [("show", self.show)] if self.show else []
        said += (
            [("sort", ("-" if self.down else "") + self.sort)]
            if (self.sort, self.down) != ("name", False)
            else []
        )
        said += [("columns", ",".join(self.columns))] if self.columns != USUAL else []
        return said + ([("page", str(self.page))] if self.page > 1 else [])

    def address(self, **changes: object) -> str:
        """The page with this, or with changes of it."""
        encoded = replace(self, **changes).encoded  # type: ignore[arg-type]
        return f"/?{encoded}" if encoded else "/"

    @property
    def encoded(self) -> str:
        """What follows the question mark."""
        return urlencode(self.parameters())

    def by(self, column: str) -> str:
        """The page sorted by a column, or the other way round."""
        return self.address(sort=column, down=not self.down if self.sort == column else False, page=1)

    def toggled(self, facet: str, value: str) -> str:
        """The page with a value of a facet chosen, or no longer."""
        now = self.values(facet)
        values = tuple(each for each in now if each != value) if value in now else (*now, value)
        others = [(name, had) for name, had in self.chosen if name != facet]
        chosen = tuple(sorted([*others, (facet, values)] if values else others))
        return self.address(chosen=chosen, page=1)


def parse(parameters: Sequence[tuple[str, str]]) -> Query:
    """What an address says; what makes no sense is as if it were not said.

    Args:
        parameters: names and values of the address's query.
    """
    said: dict[str, list[str]] = {}
    for name, value in parameters:
        said.setdefault(name, []).append(value[:LONGEST])

    def last(name: str) -> str:
        return said.get(name, [""])[-1]

    sort, columns, page = last("sort"), last("columns"), last("page")
    # A form's boxes say `column` each; an address says `columns` once.
    wanted = set(columns.split(",")) | set(said.get("column", []))
    return Query(
        words=tuple(last("q").lower().split()[:10]),
        chosen=_chosen(said),
        show=last("show") if last("show") in SHOWS else "",
        sort=sort.lstrip("-") if sort.lstrip("-") in COLUMNS else "name",
        down=sort.startswith("-"),
        columns=tuple(name for name in COLUMNS if name in wanted) or USUAL,
        page=int(page) if page.isascii() and page.isdigit() and int(page[:6]) > 0 else 1,
    )


def _chosen(said: Mapping[str, list[str]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found = {facet: tuple(dict.fromkeys(filter(None, said.get(facet, []))))[:50] for facet in FACETS}
    return tuple(sorted((facet, values) for facet, values in found.items() if values))
