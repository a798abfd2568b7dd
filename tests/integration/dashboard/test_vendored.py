"""What the dashboard serves of others is what they published."""

from __future__ import annotations

from pathlib import Path

import browsing
import guestpost_dashboard
import pytest

VENDOR = Path(guestpost_dashboard.__file__).parent / "static/vendor"


@pytest.mark.parametrize(
    ("ours", "theirs"), [("htmx.min.js", "dist/htmx.min.js"), ("htmx.LICENSE", "LICENSE")]
)
def test_htmx_is_the_pinned_package(ours: str, theirs: str) -> None:
    try:
        folder = browsing.node_package("htmx.org")
    except browsing.MissingNodeError as missing:
        pytest.skip(str(missing))
    assert (VENDOR / ours).read_bytes() == (folder / theirs).read_bytes()
