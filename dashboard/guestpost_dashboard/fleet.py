"""All tenants, as the watch tells of them: rows, counts, what was asked for, and who waits for changes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from guestpost_dashboard import words
from guestpost_dashboard.query import FACETS, PAGE, SHOWS, Query
from guestpost_dashboard.rows import Row, row

REMEMBERED = 64
# A day of minutes.
SAMPLES = 24 * 60
Change = tuple[Row | None, Row | None]


@dataclass(frozen=True)
class Results:
    """One page of what was asked for.

    Attributes:
        rows: at most PAGE of them.
        total: how many there are on all pages.
        page: from 1; the last one when a later one was asked for.
        pages: at least 1.
    """

    rows: tuple[Row, ...]
    total: int
    page: int
    pages: int

    def summary(self, of: int | None) -> str:
        """How many there are, such as "3 of 250 tenants" or "250 tenants, page 1 of 3".

        Args:
            of: how many the fleet has, where not all of it is asked for.
        """
        found = words.counted(self.total if of is None else of, "tenant")
        text = found if of is None else f"{words.number(self.total)} of {found}"
        return text + (f", page {self.page} of {self.pages}" if self.pages > 1 else "")


class Subscription:
    """What changed since one asked last; by name what it was at that time and what it is now."""

    def __init__(self) -> None:
        self._changes: dict[str, Change] = {}
        self._something = asyncio.Event()

    def tell(self, name: str, old: Row | None, new: Row | None) -> None:
        """Take note of a change."""
        before = self._changes[name][0] if name in self._changes else old
        self._changes[name] = (before, new)
        self._something.set()

    def wake(self) -> None:
        """Let it look, for the watch's health has changed."""
        self._something.set()

    async def changes(self, seconds: float, gather: float = 0) -> Mapping[str, Change]:
        """Wait for changes; empty when there were none in that time, or it was woken.

        Args:
            seconds: how long to wait for the first.
            gather: how long to wait for more after it.
        """
        if not self._something.is_set():
            try:
                await asyncio.wait_for(self._something.wait(), seconds)
            except TimeoutError:
                return {}
        await asyncio.sleep(gather)
        self._something.clear()
        found, self._changes = self._changes, {}
        return found


class Fleet:
    """The tenants. One thread alone uses it, that of the event loop.

    Args:
        clock: seconds since 1970.

    Attributes:
        listed: whether it has been complete once.
        problem: why it may be out of date; empty while the watch runs.
        problem_since: since when, in seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._rows: dict[str, Row] = {}
        self._counts: dict[str, Counter[str]] = {facet: Counter() for facet in (*FACETS, "show")}
        self._edition = 0
        self._found: OrderedDict[Query, tuple[int, list[Row]]] = OrderedDict()
        self._subscriptions: set[Subscription] = set()
        self.samples: deque[tuple[float, int, int]] = deque(maxlen=SAMPLES)
        self.listed = False
        self.problem = ""
        self.problem_since = 0.0

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    @property
    def edition(self) -> int:
        """Another number after each change."""
        return self._edition

    def get(self, name: str) -> Row | None:
        """A tenant by name."""
        return self._rows.get(name)

    def observe(self, tenant: Mapping[str, Any]) -> None:
        """Take note of a tenant."""
        new = row(tenant)
        old = self._rows.get(new.name)
        if old is None or old.seen != new.seen:
            self._put(new.name, old, new)

    def forget(self, name: str) -> None:
        """Take note that a tenant is gone."""
        if (old := self._rows.get(name)) is not None:
            self._put(name, old, None)

    def keep_only(self, names: Iterable[str]) -> None:
        """Take note that these are all, as a list says."""
        there = set(names)
        for name in [each for each in self._rows if each not in there]:
            self.forget(name)
        if not self.listed:
            self.listed = True
            self.sample()
            self._wake()

    def fares(self, problem: str) -> None:
        """Take note of how the watch fares: empty when well."""
        if problem != self.problem:
            self.problem_since = self._clock() if problem else 0.0
            self.problem = problem
            self._wake()

    def sample(self) -> None:
        """Take note, each minute, of how many are ready; not before they are known."""
        if not self.listed:
            return
        ready = len(self._rows) - self._counts["show"]["unready"]
        self.samples.append((self._clock(), ready, len(self._rows)))

    def count(self, facet: str) -> Counter[str]:
        """How many tenants have each value of a facet, or are in each of SHOWS ("show")."""
        return self._counts[facet]

    def find(self, query: Query) -> Results:
        """What is asked for."""
        found = self._all(query.filter)
        pages = max(1, -(-len(found) // PAGE))
        page = min(query.page, pages)
        return Results(tuple(found[(page - 1) * PAGE : page * PAGE]), len(found), page, pages)

    @contextmanager
    def subscribed(self) -> Iterator[Subscription]:
        """Be told of changes while the context lasts."""
        subscription = Subscription()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def _all(self, query: Query) -> list[Row]:
        remembered = self._found.get(query)
        if remembered is not None and remembered[0] == self._edition:
            self._found.move_to_end(query)
            return remembered[1]
        found = sorted(
            filter(query.matches, self._rows.values()) if query.narrow else self._rows.values(), key=query.key
        )
        if query.down:
            found.reverse()
        self._found[query] = (self._edition, found)
        self._found.move_to_end(query)
        while len(self._found) > REMEMBERED:
            self._found.popitem(last=False)
        return found

    def _put(self, name: str, old: Row | None, new: Row | None) -> None:
        self._edition += 1
        if old is not None:
            self._tally(old, -1)
        if new is None:
            del self._rows[name]
        else:
            self._rows[name] = new
            self._tally(new, 1)
        for each in self._subscriptions:
            each.tell(name, old, new)

    def _wake(self) -> None:
        for each in self._subscriptions:
            each.wake()

    def _tally(self, row: Row, by: int) -> None:
        for facet, value in FACETS.items():
            counter = self._counts[facet]
            counter[value(row)] += by
            if not counter[value(row)]:
                del counter[value(row)]
        for name, (_, holds) in SHOWS.items():
            if holds(row):
                self._counts["show"][name] += by
