"""The figures above the list: numbers, and plots as SVG's coordinates. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from guestpost_dashboard.fleet import Fleet
from guestpost_dashboard.query import Query
from guestpost_dashboard.rows import BLOCKS, Row

WIDTH, HEIGHT = 300, 64
# A tenant that becomes Ready later than this after it was made was Ready before, most likely.
FIRST_READY = 3600
BINS = ((30, "≤ 30 s"), (60, "1 min"), (120, "2 min"), (300, "5 min"), (600, "10 min"), (FIRST_READY, "1 h"))


@dataclass(frozen=True)
class Bar:
    """A bar of a plot; x, y and sizes in the plot's own units."""

    label: str
    value: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Line:
    """A line over time.

    Attributes:
        points: as SVG's polyline takes them.
        least: of the values.
        most: of the values.
        begins: time of the first value, in seconds since 1970.
    """

    points: str
    least: int
    most: int
    begins: float


@dataclass(frozen=True)
class Release:
    """Where a version of the CRM is: how many have it, and how many are on their way from it."""

    version: str
    here: int
    leaving: int
    share: float
    address: str


@dataclass(frozen=True)
class Figures:
    """Everything above the list.

    Attributes:
        tiles: (title, number, tone, address).
        ready: how many were ready, while this program ran; None before the second sample.
        provisioning: how long the first Ready took.
        median: of that, in seconds; None when there is none.
        releases: by version, the most used first.
        blocked: (condition, number, address).
    """

    tiles: tuple[tuple[str, int, str, str], ...]
    ready: Line | None
    provisioning: tuple[Bar, ...]
    median: float | None
    releases: tuple[Release, ...]
    blocked: tuple[tuple[str, int, str], ...]


def figures(fleet: Fleet) -> Figures:
    """The figures of the fleet as it is."""
    shows = fleet.count("show")
    times = provisioning_times(fleet)
    return Figures(
        tiles=(
            ("Tenants", len(fleet), "calm", "/"),
            ("Ready", len(fleet) - shows["unready"], "good", "/"),
            (
                "Not ready",
                shows["unready"],
                "bad" if shows["unready"] else "calm",
                Query(show="unready").address(),
            ),
            (
                "Releases under way",
                shows["moving"],
                "busy" if shows["moving"] else "calm",
                Query(show="moving").address(),
            ),
            (
                "Blocked",
                shows["blocked"],
                "bad" if shows["blocked"] else "calm",
                Query(show="blocked").address(),
            ),
        ),
        ready=line([(at, ready) for at, ready, _ in fleet.samples]),
        provisioning=bars(times),
        median=sorted(times)[len(times) // 2] if times else None,
        releases=releases(fleet),
        blocked=blocked(fleet),
    )


def provisioning_times(rows: Iterable[Row]) -> list[float]:
    """Seconds from made to Ready, of tenants that became Ready within the first hour and stayed so."""
    times = (each.ready_since - each.created for each in rows if each.ready_since)
    return [each for each in times if 0 <= each <= FIRST_READY]


def bars(times: Sequence[float]) -> tuple[Bar, ...]:
    """How many took how long."""
    counts = [0] * len(BINS)
    for each in times:
        counts[next(place for place, (most, _) in enumerate(BINS) if each <= most)] += 1
    most, width = max([1, *counts]), WIDTH / len(BINS)
    return tuple(
        Bar(
            label,
            count,
            place * width + 3,
            HEIGHT * (1 - count / most),
            width - 6,
            max(HEIGHT * count / most, 1),
        )
        for place, ((_, label), count) in enumerate(zip(BINS, counts, strict=True))
    )


def line(samples: Sequence[tuple[float, int]]) -> Line | None:
    """Values over time; None for fewer than two."""
    if len(samples) < 2:
        return None
    begins, ends = samples[0][0], samples[-1][0]
    values = [value for _, value in samples]
    least, most = min(values), max(values)
    room = max(most - least, 1)
    points = " ".join(
        f"{(at - begins) / max(ends - begins, 1) * WIDTH:.1f},"
        f"{(HEIGHT - 6) * (1 - (value - least) / room) + 3:.1f}"
        for at, value in samples
    )
    return Line(points, least, most, begins)


def releases(fleet: Fleet, most: int = 6) -> tuple[Release, ...]:
    """By version, how many tenants are there, and how many of those are on their way to another."""
    here, leaving = (
        Counter(each.version for each in fleet),
        Counter(each.version for each in fleet if each.moving),
    )
    return tuple(
        Release(
            version or "none yet",
            count,
            leaving[version],
            count / max(len(fleet), 1),
            Query(chosen=(("version", (version,)),)).address() if version else "/",
        )
        for version, count in here.most_common(most)
    )


def blocked(fleet: Fleet) -> tuple[tuple[str, int, str], ...]:
    """How many tenants each blocking condition holds."""
    counts = Counter(kind for each in fleet for kind in each.blocks)
    return tuple(
        (kind, counts[kind], Query(words=(kind.lower(),), show="blocked").address())
        for kind in BLOCKS
        if counts[kind]
    )
