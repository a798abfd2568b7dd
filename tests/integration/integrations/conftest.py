"""A CRM with records, asked by other programs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

SCOPES = ("outreach:read", "outreach:write", "mail:read")


@pytest.fixture(autouse=True)
def clean(clean_crm: None) -> None:
    """Every test begins with empty tables, and with nothing counted."""
    from django.core.cache import cache

    cache.clear()


@pytest.fixture
def program(person: Callable[..., Any]) -> Callable[..., Any]:
    """A program with a token: Django's test client that sends it."""
    from django.test import Client
    from guestpost_crm.integrations import tokens

    def make(*scopes: str, whose: Any = None, days: int = 30) -> Any:
        _token, text = tokens.make(
            whose or person("manager"), "a program", scopes or SCOPES, dt.timedelta(days=days)
        )
        return Client(headers={"host": "acme.localhost", "authorization": f"Bearer {text}"})

    return make
