"""What tests of pages ask of every page, whoever serves it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import browsing
import pytest


@pytest.fixture(scope="session")
def chromium_there() -> None:
    """Whoever opens a browser needs it."""
    if not Path(browsing.CHROMIUM).exists():
        pytest.skip("Chromium is not installed: run dev/bootstrap")


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core, to be run in a page."""
    try:
        folder = browsing.node_package("axe-core")
    except browsing.MissingNodeError as missing:
        pytest.skip(str(missing))
    return (folder / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def faults(axe: str) -> Callable[[Any], list[str]]:
    """What axe-core finds against WCAG 2.2 AA on a page, and whether it scrolls sideways."""
    return lambda page: browsing.faults(page, axe)


@pytest.fixture
def faults_everywhere(axe: str) -> Callable[[Any], list[str]]:
    """The same at every width, light and dark."""
    return lambda page: browsing.faults_everywhere(page, axe)
