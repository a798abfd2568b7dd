"""Days as lists show them."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

from django.utils.formats import date_format
from django.utils.translation import get_language


def day(date: dt.date, form: str) -> str:
    """A day in the person's language: few days stand in a list many times, and writing one takes long."""
    return _day(dt.date(date.year, date.month, date.day), form, get_language())


@lru_cache(maxsize=4096)
def _day(date: dt.date, form: str, _language: str | None) -> str:
    return date_format(date, form)
