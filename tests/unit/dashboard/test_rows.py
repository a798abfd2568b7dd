"""What is kept of a tenant, and how times and states are said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from guestpost_dashboard import words
from guestpost_dashboard.rows import row, seconds


def test_a_tenant_as_a_row(tenant: Callable[..., Any]) -> None:
    found = row(tenant("acme", version="5", revision="r2"))
    assert (found.name, found.phase, found.ready, found.reason) == ("acme", "Running", "True", "Running")
    assert (found.plan, found.region, found.version, found.owner) == (
        "Starter", "europe-west1", "1.2.0", "Anna Reyes",
    )  # fmt: skip
    assert found.host == "acme.crm.example.com"
    assert found.ready_since - found.created == 40
    assert "anna@acme.example" in found.text
    assert found.seen == "5"


@pytest.mark.parametrize("body", [{}, {"spec": None, "status": None}, {"status": {"conditions": None}}])
def test_a_tenant_that_nobody_worked_on_yet(body: dict[str, Any]) -> None:
    found = row({"metadata": {"name": "new"}, **body})
    assert (found.phase, found.ready, found.version, found.blocks) == ("Pending", "Unknown", "", ())
    assert found.ready_since == 0


def test_what_blocks_is_the_reason_rather_than_what_follows_from_it(tenant: Callable[..., Any]) -> None:
    found = row(
        tenant(conditions={
            "Ready": ("False", "NotReady"), "DatabaseReady": ("False", "VolumePending"),
            "Stalled": ("True", "HostnameTaken"), "Paused": ("True", "Paused"),
            "UpgradeBlocked": ("False", "No"),
        })
    )  # fmt: skip
    assert found.reason == "HostnameTaken"
    assert found.blocks == ("Stalled", "Paused")


def test_a_part_that_is_not_ready_is_the_reason(tenant: Callable[..., Any]) -> None:
    conditions = {"Ready": ("False", "NotReady"), "DatabaseReady": ("False", "VolumePending")}
    assert row(tenant(conditions=conditions)).reason == "VolumePending"


@pytest.mark.parametrize(
    ("status", "moving"),
    [
        ({"revision": "r2", "app": {"revision": "r2"}}, False),
        ({"revision": "r2", "app": {"revision": "r1"}}, True),
        ({"release": {"movedAt": "2026-11-24T12:00:00Z"}}, True),
        ({"release": {"movedAt": "2026-11-24T12:00:00Z", "arrivedAt": "2026-11-24T12:03:00Z"}}, False),
        ({"release": {"movedAt": "2026-11-24T12:00:00Z", "arrivedAt": "2026-11-23T12:00:00Z"}}, True),
    ],
)
def test_whether_a_release_is_under_way(tenant: Callable[..., Any], status: Any, moving: bool) -> None:
    assert row(tenant(**status)).moving is moving


@pytest.mark.parametrize("stamp", [None, "", "yesterday", 5, {}])
def test_what_is_no_time_is_none(stamp: object) -> None:
    assert seconds(stamp) == 0


@pytest.mark.parametrize(
    ("length", "said"), [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (7199, "1 h"), (200_000, "2 d")]
)
def test_lengths_of_time(length: float, said: str) -> None:
    assert words.span(length) == said


def test_sizes_and_numbers() -> None:
    assert [words.size(each) for each in (0, 1, 1536, 2**20 - 1, 200 * 2**20, 3 * 2**40)] == [
        "0 bytes", "1 byte", "1.5 KiB", "1.0 MiB", "200 MiB", "3.0 TiB",
    ]  # fmt: skip
    assert words.number(12345) == "12\u202f345"


def test_a_phase_that_is_not_known_wants_to_be_looked_at() -> None:
    assert [words.tone(each) for each in ("Running", "Suspended", "Upgrading", "Degraded", "?")] == [
        "good", "calm", "busy", "bad", "bad",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sam@example.com", "sam@example.com"),
        ("oidc:sam@example.com", "oidc:sam@example.com"),
        ("system:serviceaccount:staff:demo", "demo (staff)"),
        ("system:serviceaccount:", "system:serviceaccount:"),
    ],
)
def test_a_person_is_called_by_what_is_their_own(name: str, said: str) -> None:
    assert words.called(name) == said
