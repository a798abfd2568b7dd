"""Very many ids of messages in little memory."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import groupby

_NUMBER = re.compile(r"[1-9a-f][0-9a-f]{15}\Z")


class Ids:
    """Ids, nine bytes each, and which of them were seen."""

    def __init__(self) -> None:
        self._numbers = array("Q")
        self._seen = bytearray()
        self._sorted = False
        # Gmail's ids are numbers of 64 bits in sixteen hexadecimal digits; others are kept as they are.
        self._others: dict[str, bool] = {}

    def add(self, identifiers: Iterable[str]) -> None:
        """More of them, each once or more often."""
        self._sorted = False
        for each in identifiers:
            if _NUMBER.match(each):
                self._numbers.append(int(each, 16))
            else:
                self._others[each] = False

    def seen(self, identifier: str) -> bool:
        """Note that one was seen; whether it is among them."""
        if identifier in self._others or not _NUMBER.match(identifier):
            known = identifier in self._others
            if known:
                self._others[identifier] = True
            return known
        self._sort()
        number = int(identifier, 16)
        place = bisect_left(self._numbers, number)
        if place == len(self._numbers) or self._numbers[place] != number:
            return False
        self._seen[place] = 1
        return True

    def unseen(self) -> Iterator[str]:
        """Those that were not seen."""
        self._sort()
        yield from (
            f"{number:016x}" for number, seen in zip(self._numbers, self._seen, strict=True) if not seen
        )
        yield from (each for each, seen in self._others.items() if not seen)

    def _sort(self) -> None:
        if not self._sorted:
            self._numbers = array("Q", (number for number, _ in groupby(sorted(self._numbers))))
            self._seen = bytearray(len(self._numbers))
            self._sorted = True
