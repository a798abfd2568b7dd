"""Plots as SVG, drawn on the server. Pure.

Lengths are percentages and places of text are pixels, so that a plot fits any width and its words stay
readable; colours are classes of outreach.css, for the page's policy allows no styles of an element's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape

Number = int | Decimal


@dataclass(frozen=True)
class Point:
    """A value; `text` is how people read it, `mark` a class of its bar."""

    label: str
    value: Number
    text: str
    mark: str = ""


def bars(points: Sequence[Point], title: str) -> str:
    """Bars from left to right, each below its label: for names. Empty for no points."""
    if not points:
        return ""
    most = max((point.value for point in points), default=0)
    row, pieces = 44, []
    for number, point in enumerate(points):
        top = number * row
        width = _share(point.value, most) * 100
        pieces.append(
            f'<text class="plot-label" x="0" y="{top + 15}">{escape(point.label)}</text>'
            f'<text class="plot-value" x="100%" y="{top + 15}" text-anchor="end">{escape(point.text)}</text>'
            f'<rect class="plot-ground" x="0" y="{top + 21}" width="100%" height="10" rx="5"/>'
            f'<rect class="plot-bar {escape(point.mark)}" x="0" y="{top + 21}" '
            f'width="{width:.2f}%" height="10" rx="5">'
            f"<title>{escape(point.label)}: {escape(point.text)}</title></rect>"
        )
    return _svg(title, points, len(points) * row, pieces)


def columns(points: Sequence[Point], title: str) -> str:
    """Columns from bottom to top, one beside the other: for time. Empty for no points."""
    if not points:
        return ""
    most = max((point.value for point in points), default=0)
    height, foot, head = 180, 24, 20
    step = 100 / len(points)
    pieces = [f'<line class="plot-axis" x1="0" x2="100%" y1="{head + height}" y2="{head + height}"/>']
    for number, point in enumerate(points):
        tall = _share(point.value, most) * height
        # On a narrow screen every other label is left out; the table has them all.
        alternate = " alternate" if number % 2 and len(points) > 8 else ""
        left, middle = number * step + step * 0.15, number * step + step / 2
        pieces.append(
            f'<rect class="plot-bar {escape(point.mark)}" x="{left:.3f}%" y="{head + height - tall:.1f}" '
            f'width="{step * 0.7:.3f}%" height="{tall:.1f}" rx="3">'
            f"<title>{escape(point.label)}: {escape(point.text)}</title></rect>"
            f'<text class="plot-label{alternate}" x="{middle:.3f}%" y="{head + height + 17}" '
            f'text-anchor="middle">{escape(point.label)}</text>'
        )
        if point.value == most and most > 0:
            pieces.append(
                f'<text class="plot-value" x="{min(max(middle, 8), 92):.3f}%" y="14" text-anchor="middle">'
                f"{escape(point.text)}</text>"
            )
    return _svg(title, points, head + height + foot, pieces)


def _share(value: Number, most: Number) -> float:
    return max(0.0, min(1.0, float(value) / float(most))) if most > 0 else 0.0


def _svg(title: str, points: Sequence[Point], height: int, pieces: Sequence[str]) -> str:
    said = "; ".join(f"{point.label}: {point.text}" for point in points)
    return (
        f'<svg class="plot" role="img" width="100%" height="{height}" '
        f'aria-label="{escape(title)}. {escape(said)}">'
        f"{''.join(pieces)}</svg>"
    )
