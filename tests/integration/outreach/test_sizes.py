"""Sizes are told the same in the CRM and in staff's pages: in binary units, as the API has them."""

from __future__ import annotations

from typing import Any

import pytest
from guestpost_dashboard import words


@pytest.mark.parametrize(
    ("count", "told", "in_german"),
    [
        (0, "0 bytes", "0 Bytes"),
        (1, "1 byte", "1 Byte"),
        (1536, "1.5 KiB", "1,5 KiB"),
        (2**20 - 1, "1.0 MiB", "1,0 MiB"),
        (200 * 2**20, "200 MiB", "200 MiB"),
        (1500 * 2**20, "1.5 GiB", "1,5 GiB"),
        (5000 * 2**40, "5000 TiB", "5000 TiB"),
    ],
)
def test_a_size_is_told_as_in_the_dashboard(crm_database: Any, count: int, told: str, in_german: str) -> None:
    from django.utils import translation
    from guestpost_crm.outreach.templatetags.outreach import size

    assert words.size(count) == told
    for language, expected in (("en", told), ("de", in_german)):
        with translation.override(language):
            assert size(count).replace("\xa0", " ") == expected
    assert size(None).replace("\xa0", " ") == "0 bytes"
