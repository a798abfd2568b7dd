"""Every rule of the TenantUsage's schema, and that nothing but numbers fits into one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

CRD = Path(__file__).resolve().parents[3] / "crds/tenantusages.yaml"
NOON = "2026-11-24T12:00:00Z"
HELD = ("people", "mailboxes", "conversations", "messages", "sites", "contacts", "orders", "databaseBytes")
DONE = (
    "signIns", "conversationsOpened", "attachmentsOpened", "messagesSent", "mailboxesConnected",
    "exportsRequested",
)  # fmt: skip
USAGE: dict[str, Any] = {
    "apiVersion": "guestpostcrm.com/v1alpha1",
    "kind": "TenantUsage",
    "metadata": {"name": "usage"},
    "status": {"reportedAt": NOON, **dict.fromkeys(HELD, 1), "events": dict.fromkeys(DONE, 1)},
}
NUMBERS = [*(f"status.{each}" for each in HELD), *(f"status.events.{each}" for each in DONE)]

# place, keyword, what is accepted, what is refused (None: left out), what is said
ROWS: list[tuple[str, str, Any, Any, str]] = [
    ("metadata.name", "rule", "usage", "anna-at-acme", "its name must be usage"),
    ("status", "required", USAGE["status"], None, "status: Required value"),
    ("status.reportedAt", "required", NOON, None, "status.reportedAt: Required value"),
    ("status.reportedAt", "format", NOON, "at noon", "must be of type date-time"),
    *((path, "minimum", 0, -1, "should be greater than or equal to 0") for path in NUMBERS),
    *((path, "format", 2**63 - 1, "many", "must be of type integer") for path in NUMBERS),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1]}")
def test_rule(usages: Any, put: Any, rule_holds: Any, row: tuple[str, str, Any, Any, str]) -> None:
    path, _, good, bad, says = row
    rule_holds(usages.try_create, put(USAGE, path, good), put(USAGE, path, bad), says)


def leaves(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, child in schema.get("properties", {}).items():
        below = f"{path}.{name}".lstrip(".")
        if child["type"] == "object":
            yield from leaves(child, below)
        else:
            yield below, child


@pytest.mark.promise("P7.1")
def test_nothing_but_numbers_and_one_time_fits_into_it(usages: Any, put: Any) -> None:
    (version,) = yaml.safe_load(CRD.read_text(encoding="utf-8"))["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    found = dict(leaves(schema))
    assert found.pop("reportedAt")["format"] == "date-time"
    assert {(each["type"], each["format"]) for each in found.values()} == {("integer", "int64")}
    assert "additionalProperties" not in CRD.read_text(encoding="utf-8")
    assert "preserve-unknown-fields" not in CRD.read_text(encoding="utf-8")
    for path in ("status.subject", "status.events.subject", "spec.subject"):
        with pytest.raises(client.ApiException, match="unknown field"):
            usages.create(put(USAGE, path, "Guest post on site.example"), dry_run=True)


def test_every_rule_has_a_row(rules_without: Any) -> None:
    plain = {(path, keyword) for path, keyword, *_ in ROWS}
    assert rules_without(CRD, plain, [row[4] for row in ROWS]) == []
