"""Plots: figures in proportion, words that nobody can break out of, and the same said to who can't see."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from guestpost_crm.outreach.plots import Point, bars, columns
from lxml import etree

POINTS = [Point("May", Decimal(50), "€50"), Point("June", 100, "€100", "good"), Point("July", 0, "€0")]


def drawing(text: str) -> etree._Element:
    return etree.fromstring(text)


def test_bars_are_in_proportion_and_labelled() -> None:
    plot = drawing(bars(POINTS, "Spent"))
    widths = [bar.get("width") for bar in plot.iter("rect") if "plot-bar" in (bar.get("class") or "")]
    assert widths == ["50.00%", "100.00%", "0.00%"]
    assert plot.get("aria-label") == "Spent. May: €50; June: €100; July: €0"
    assert plot.get("role") == "img"


def test_columns_are_in_proportion_and_the_highest_is_named() -> None:
    plot = drawing(columns(POINTS, "Spent"))
    heights = [float(bar.get("height") or 0) for bar in plot.iter("rect")]
    assert heights == [90.0, 180.0, 0.0]
    assert [each.text for each in plot.iter("text") if each.get("class") == "plot-value"] == ["€100"]


@pytest.mark.parametrize("draw", [bars, columns])
def test_words_stay_words_and_there_is_no_style_of_its_own(draw: object) -> None:
    hostile = '"><script>alert(1)</script>&'
    text = draw([Point(hostile, 1, hostile, 'x" onload="y')], hostile)  # type: ignore[operator]
    plot = drawing(text)
    assert not list(plot.iter("script"))
    assert not re.search(r"\sstyle=", text)
    assert not any(name.startswith("on") for each in plot.iter() for name in each.attrib)


@pytest.mark.parametrize("draw", [bars, columns])
def test_nothing_and_nothing_but_zeros(draw: object) -> None:
    assert draw([], "x") == ""  # type: ignore[operator]
    assert drawing(draw([Point("a", 0, "0")], "x")) is not None  # type: ignore[operator]
