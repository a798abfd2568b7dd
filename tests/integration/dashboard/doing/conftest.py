"""Staff at work: who does it, what is there, and what a page has to be like."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from dashboard_world import World
from playwright.sync_api import Page
from staff_at_work import Cluster


@pytest.fixture
def world(api_server: World) -> Cluster:
    return Cluster(api_server)


@pytest.fixture
def signed_in(at: Callable[..., Page]) -> Callable[..., Page]:
    return at


@pytest.fixture
def name() -> str:
    """Of a tenant of the test's own."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture
def is_fine(faults: Callable[[Page], list[str]]) -> Callable[[Page], None]:
    """Nothing for axe-core to find, and no scrolling sideways."""

    def check(page: Page) -> None:
        assert faults(page) == []

    return check
