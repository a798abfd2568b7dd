"""The CRM in a real Chromium: what a person sees, by mouse and by keyboard, wide and narrow.

The server runs in this process, so a test makes its records itself. Nothing but 127.0.0.1 is reached:
Chromium resolves no other name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import browsing
import pytest
from crm_fixtures import URL
from playwright.sync_api import Page

HOST = URL.removeprefix("http://")


@pytest.fixture(autouse=True)
def clean(clean_crm: None) -> None:
    """Every test begins with empty tables, and with nothing counted."""
    from django.core.cache import cache

    cache.clear()


# Of a module: as long as it is open, its event loop keeps asyncio's tests of the same process from running.
@pytest.fixture(scope="module")
def chromium(crm_database: dict[str, str], chromium_there: None) -> Iterator[browsing.Visitors]:
    """Chromium, for which the CRM's address is the server of this process."""
    from django.db import connections
    from guestpost_crm.wsgi import application

    with browsing.served(application) as port, browsing.chromium(HOST, port) as browser:
        yield browsing.Visitors(browser)
        # Where Playwright's loop runs, Django has a connection of its own, which a restart of PostgreSQL by
        # other tests would leave broken for the next module.
        connections.close_all()


@pytest.fixture
def at(chromium: browsing.Visitors) -> Iterator[Callable[..., Page]]:
    """A person at a browser; every error of a script and every foreign request fails the test."""
    with chromium.at(URL) as visit:

        def open_page(person: Any = None, **options: Any) -> Page:
            page = visit(**options)
            if person is not None:
                page.context.add_cookies([{**browsing.session_of(person), "url": URL}])  # type: ignore[list-item]
            return page

        yield open_page
