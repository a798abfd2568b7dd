"""A CRM with records and no mail at Google: everything here is the team's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def clean(clean_crm: None) -> None:
    """Every test begins with empty tables."""


@pytest.fixture
def member(person: Callable[..., Any]) -> Any:
    """Somebody who may write."""
    return person("member")


@pytest.fixture
def page(member: Any, browser: Callable[[Any], Any]) -> Any:
    """The browser of somebody who may write."""
    return browser(member)
