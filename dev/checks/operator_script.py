"""What becomes of an operator's calls: which one it dies at, which one fails, and how."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

# What differs between two runs. Tenants of these tests are called t and ten hex digits.
TENANT = re.compile(r"\bt[0-9a-f]{10}\b")
UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
HASH = re.compile(r"(?<![0-9a-zA-Z])[0-9a-f]{8,64}(?![0-9a-zA-Z])(?:-[0-9a-f]{8,64}(?![0-9a-zA-Z]))*")


class Fate(Enum):
    """What becomes of a call. The values are how faults are called in reports."""

    PASS = "pass"  # noqa: S105
    DIE_BEFORE = "before"
    DIE_AFTER = "after"
    CONFLICT = "409"
    BUSY = "429"
    BROKEN = "500"
    # Carried out, but never answered.
    SILENT = "timeout"
    # The connection breaks: before the call is carried out, or before it is answered.
    CUT = "dropped"
    LOST = "answer lost"


DEATHS = (Fate.DIE_BEFORE, Fate.DIE_AFTER)
# Only of these a conflict or a lost answer says anything.
OF_WRITES = (Fate.CONFLICT, Fate.LOST)
FAULTS = (Fate.CONFLICT, Fate.BUSY, Fate.BROKEN, Fate.SILENT, Fate.CUT, Fate.LOST)


@dataclass(frozen=True)
class Call:
    """A call that leaves an operator.

    Attributes:
        what: such as "PATCH deployments/web", the same in each run.
        writes: whether it changes anything outside.
        tenant: whom it is about, "" when it is about nobody or everybody.
        messaging: it goes to Pub/Sub.
    """

    what: str
    writes: bool
    tenant: str = ""
    messaging: bool = False


@dataclass(frozen=True)
class Point:
    """Where something happens.

    Attributes:
        what: the call.
        nth: which of them, counting from 1.
    """

    what: str
    nth: int
    fate: Fate

    def __str__(self) -> str:
        return f"{self.fate.value} {self.what}" + (f" ({self.nth})" if self.nth > 1 else "")


def settled(text: str) -> str:
    """A text without what differs between two runs."""
    return HASH.sub("HASH", UUID.sub("UID", TENANT.sub("T", text)))


def api_call(method: str, path: str, *, watches: bool, ours: bool, body: bytes) -> Call:
    """A call of the Kubernetes API.

    Args:
        method: of HTTP.
        path: without the query.
        watches: whether it is a watch.
        ours: made by our own client, not by kopf's.
        body: as sent.
    """
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    if method == "POST":
        parts.append(json.loads(body).get("metadata", {}).get("name", ""))
    elif len(parts) == 1 and namespace:
        # One namespace's, which is another call than that for all of them.
        parts[0] += f" in {namespace}"
    writes = method != "GET"
    found = TENANT.search(path) or (TENANT.search(body.decode(errors="replace")) if writes else None)
    verb = "WATCH" if watches else method
    return Call(
        what=f"{'' if ours else 'kopf: '}{verb} {settled('/'.join(parts))}",
        writes=writes,
        tenant=found.group() if found else "",
    )


def messaging_call(method: str, resource: str) -> Call:
    """A call of Pub/Sub, by its method's name and the full name of what it is about."""
    found = TENANT.search(resource)
    return Call(
        what=f"{method} {settled('/'.join(resource.split('/')[2:]))}",
        writes=not method.startswith("Get"),
        tenant=found.group() if found else "",
        messaging=True,
    )


class Script:
    """Counts calls, and says what becomes of each. A dead program's calls never arrive.

    Attributes:
        dead: set when a point was reached at which the program dies; nothing passes until `revive`.
        away: Pub/Sub cannot be reached.
        watching: what becomes of watch events: "" for nothing, else dropped, delayed or repeated.
        kill: called when the program dies.
    """

    def __init__(self) -> None:
        self.dead = threading.Event()
        self.away = False
        self.watching = ""
        self.kill: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._plans: Mapping[str, Sequence[Point]] = {}
        self._calls: dict[str, Counter[str]] = {}
        self._writes: set[str] = set()
        self._met: dict[str, list[Point]] = {}
        self._wrote: dict[str, float] = {}

    def begin(self, plans: Mapping[str, Sequence[Point]]) -> None:
        """Count anew for these tenants, each with its points."""
        with self._lock:
            self._plans = plans
            self._met = {name: [] for name in plans}
            for name in ("", *plans):
                self._calls[name] = Counter()

    def meet(self, call: Call) -> Fate:
        """What becomes of a call that is made now. A dead program's calls are cut."""
        with self._lock:
            if self.dead.is_set() or (self.away and call.messaging):
                return Fate.CUT
            calls = self._calls.setdefault(call.tenant, Counter())
            calls[call.what] += 1
            if call.writes:
                self._writes.add(call.what)
                self._wrote[call.tenant] = time.monotonic()
            for name in (call.tenant,) if call.tenant else self._plans:
                for point in self._plans.get(name, ()):
                    if (point.what, point.nth) == (call.what, calls[call.what]):
                        self._met[name].append(point)
                        if point.fate is Fate.DIE_BEFORE:
                            self._die()
                        return point.fate
            return Fate.PASS

    def die(self) -> None:
        """Let the program die here and now."""
        with self._lock:
            self._die()

    def _die(self) -> None:
        self.dead.set()
        self.kill()

    def revive(self) -> None:
        """Let calls pass again: another program makes them, and the one before is killed by now."""
        with self._lock:
            self.dead.clear()

    def met(self, tenant: str) -> list[Point]:
        """The points of a tenant that were reached."""
        with self._lock:
            return list(self._met.get(tenant, ()))

    def calls(self, tenant: str) -> Counter[str]:
        """How often each call was made for a tenant or for nobody in particular; watches aside."""
        with self._lock:
            mine, nobodys = self._calls.get(tenant, Counter()), self._calls.get("", Counter())
            if twice := mine.keys() & nobodys.keys():
                raise AssertionError(f"a point would be met twice: {sorted(twice)}")
            return Counter({what: n for what, n in (mine + nobodys).items() if "WATCH " not in what})

    def writes(self, what: str) -> bool:
        """Whether a call of this name was seen to change anything."""
        return what in self._writes

    def quiet(self, tenant: str) -> float:
        """Seconds since anything was written for a tenant."""
        with self._lock:
            return time.monotonic() - self._wrote.get(tenant, 0.0)


def deaths(writes: Mapping[str, int]) -> list[Point]:
    """Before and after each write."""
    return [
        Point(what, nth, fate)
        for what, number in sorted(writes.items())
        for nth in range(1, number + 1)
        for fate in DEATHS
    ]


def faults(calls: Mapping[str, int], writes: Container[str], fate: Fate) -> list[Point]:
    """One kind of fault at each call."""
    return [
        Point(what, nth, fate)
        for what, number in sorted(calls.items())
        if fate not in OF_WRITES or what in writes
        for nth in range(1, number + 1)
    ]


def spread(points: Sequence[Point], each: int) -> list[tuple[Point, ...]]:
    """Points dealt to as many tenants as needed, so that none gets more than so many, far from each other."""
    tenants = -(-len(points) // each)
    return [tuple(points[first::tenants]) for first in range(tenants)]
