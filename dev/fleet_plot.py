"""Draws docs/images/fleet.svg: how time and memory grow with the number of tenants.

    python dev/fleet_plot.py

Reads what `make bench NAME=fleet` printed, kept in benchmarks/fleet.jsonl: lines fleet.wall and fleet.memory.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA, PLOT = ROOT / "benchmarks/fleet.jsonl", ROOT / "docs/images/fleet.svg"
WIDTH, HEIGHT, LEFT, TOP, GAP = 360, 240, 64, 48, 96
# Told apart by colour and by dashes; of Okabe and Ito's palette.
OPERATOR, FLOOR = ("#0072b2", ""), ("#d55e00", "5 4")

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """One line of a chart; `style` is its colour and its dashes."""

    name: str
    points: Points
    style: tuple[str, str]


def ticks(most: float, count: int = 5) -> list[float]:
    """Round numbers from 0 to at least `most`."""
    step = 10.0 ** math.floor(math.log10(most / count))
    step = next(step * factor for factor in (1, 2, 2.5, 5, 10) if step * factor * count >= most)
    return [step * number for number in range(math.ceil(most / step) + 1)]


def chart(at: int, title: str, unit: str, lines: Sequence[Line], bound: float = 0) -> Iterable[str]:
    """A chart over the number of tenants, `at` so many pixels from the left; a bound is a grey line."""
    across = ticks(max(point[0] for line in lines for point in line.points), 4)
    upwards = ticks(max([bound, *(point[1] for line in lines for point in line.points)]))

    def x(value: float) -> float:
        return at + value / across[-1] * WIDTH

    def y(value: float) -> float:
        return TOP + HEIGHT - value / upwards[-1] * HEIGHT

    yield f'<text x="{at}" y="{TOP - 22}" class="title">{escape(title)}</text>'
    for value in upwards:
        yield f'<path d="M{at} {y(value):.1f}h{WIDTH}" class="grid"/>'
        yield f'<text x="{at - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:,.0f}</text>'
    for value in across:
        place = f'x="{x(value):.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle"'
        yield f"<text {place}>{value:,.0f}</text>"
    yield f'<text x="{at + WIDTH / 2}" y="{TOP + HEIGHT + 38}" text-anchor="middle">tenants</text>'
    yield f'<text x="{at - 8}" y="{TOP - 12}" text-anchor="end">{unit}</text>'
    if bound:
        yield f'<path d="M{at} {y(bound):.1f}h{WIDTH}" stroke="#777"/>'
        yield f'<text x="{at + 6}" y="{y(bound) - 5:.1f}">bound {bound:,.0f} {unit}</text>'
    for number, line in enumerate(lines):
        colour, dashes = line.style
        style = f'stroke="{colour}" stroke-dasharray="{dashes}" stroke-width="2"'
        path = "L".join(f"{x(tenants):.1f} {y(value):.1f}" for tenants, value in line.points)
        yield f'<path d="M{path}" {style}/>'
        row = TOP + HEIGHT + 60 + 18 * number
        yield f'<path d="M{at} {row - 4}h26" {style}/>'
        yield f'<text x="{at + 34}" y="{row}">{escape(line.name)}</text>'


def draw(figures: Sequence[dict[str, Any]]) -> str:
    """The page of both charts."""
    walls = [each for each in figures if each["name"] == "fleet.wall"]
    memories = [each for each in figures if each["name"] == "fleet.memory"]
    times = [
        line
        for each in walls
        for line in (
            Line(f"operator, {each['tenants']:,} at once", [(0, 0), *each["curve"]], OPERATOR),
            Line(f"bare client, {each['tenants']:,}", [(0, 0), *each["floor_curve"]], FLOOR),
        )
    ]
    sizes = [Line(f"operator, {each['tenants']:,} at once", each["curve"], OPERATOR) for each in memories]
    width = LEFT + 2 * WIDTH + GAP + 32
    height = TOP + HEIGHT + 60 + 18 * max(len(times), len(sizes))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
            "<title>Time until so many tenants are Ready, and the operator's memory meanwhile</title>",
            "<style>text{font:12px sans-serif;fill:#333}.title{font-weight:bold}"
            "path{fill:none}.grid{stroke:#ddd}</style>",
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
            *chart(LEFT, "Time until so many tenants are Ready", "s", times),
            *chart(LEFT + WIDTH + GAP, "Memory of the operator's process", "MiB", sizes, 400),
            "</svg>\n",
        ]
    )


def main() -> None:
    """Draw it."""
    lines = DATA.read_text(encoding="utf-8").splitlines()
    PLOT.write_text(draw([json.loads(line) for line in lines]), encoding="utf-8")


if __name__ == "__main__":
    main()
