"""Every rule of the TenantExport's schema: a value that it accepts, one that it refuses, and its words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

CRD = Path(__file__).resolve().parents[3] / "crds/tenantexports.yaml"
EXPORT: dict[str, Any] = {
    "apiVersion": "guestpostcrm.com/v1alpha1",
    "kind": "TenantExport",
    "metadata": {"name": "before-leaving"},
    "spec": {"requestedBy": "Customer"},
}
CONDITION = {
    "type": "Complete",
    "status": "True",
    "observedGeneration": 1,
    "lastTransitionTime": "2026-11-24T12:00:00Z",
    "reason": "Complete",
    "message": "",
}
NINE = [{**CONDITION, "type": f"T{number}"} for number in range(9)]
TYPE = "must be of type date-time"

# place, keyword, what is accepted, what is refused (None: left out), what is said
SPEC: list[tuple[str, str, Any, Any, str]] = [
    ("metadata.name", "rule", "e" * 40, "e" * 41, "metadata.name must be at most 40 characters"),
    ("metadata.name", "rule", "a-1", "a.1", "metadata.name must be a DNS label"),
    ("spec", "required", EXPORT["spec"], None, "spec: Required value"),
    ("spec.requestedBy", "required", "Staff", None, "spec.requestedBy: Required value"),
    ("spec.requestedBy", "enum", "Erasure", "Somebody", 'supported values: "Customer", "Staff", "Erasure"'),
    ("spec.retentionSeconds", "minimum", 3600, 3599, "greater than or equal to 3600"),
    ("spec.retentionSeconds", "maximum", 1209600, 1209601, "less than or equal to 1209600"),
    ("spec.retentionSeconds", "format", 7200, 2**31, "less than or equal to 1209600"),
]
STATUS: list[tuple[str, str, Any, Any, str]] = [
    ("status.phase", "enum", "Expired", "Done", "supported values"),
    ("status.conditions", "maxItems", [CONDITION], NINE, "at most 8 items"),
    ("status.conditions", "x-kubernetes-list-type", [CONDITION], [CONDITION] * 2, "Duplicate value"),
    *[
        (f"status.conditions[].{name}", "required", CONDITION[name], None, f"{name}: Required value")
        for name in ("type", "status", "lastTransitionTime", "reason", "message")
    ],
    ("status.conditions[].type", "maxLength", "T" * 316, "T" * 317, "may not be more than 316"),
    ("status.conditions[].status", "enum", "Unknown", "Maybe", "supported values"),
    ("status.conditions[].observedGeneration", "minimum", 0, -1, "greater than or equal to 0"),
    ("status.conditions[].observedGeneration", "format", 1, "1", "must be of type integer"),
    ("status.conditions[].lastTransitionTime", "format", "2026-11-24T12:00:00Z", "now", TYPE),
    ("status.conditions[].reason", "minLength", "R", "", "at least 1 chars"),
    ("status.conditions[].reason", "maxLength", "R" * 1024, "R" * 1025, "may not be more than 1024"),
    ("status.conditions[].message", "maxLength", "m" * 32768, "m" * 32769, "may not be more than 32768"),
    ("status.volumeSize", "maxLength", "1" * 16, "1" * 17, "may not be more than 16"),
    ("status.sha256", "maxLength", "0" * 64, "0" * 65, "may not be more than 64"),
    *[
        (f"status.{name}", "format", "2026-11-24T12:00:00Z", "soon", TYPE)
        for name in ("completedAt", "expiresAt", "downloadedAt")
    ],
    *[
        row
        for name in (
            "bytes", "progress.messages", "progress.total", "progress.records",
            "counts.mailboxes", "counts.messages", "counts.records",
        )
        for row in (
            (f"status.{name}", "minimum", 0, -1, "greater than or equal to 0"),
            (f"status.{name}", "format", 2**40, "1", "must be of type integer"),
        )
    ],
]  # fmt: skip
CHANGED = "spec of a TenantExport cannot be changed"


@pytest.mark.parametrize("row", SPEC, ids=lambda row: f"{row[0]}-{row[1]}-{row[4]}")
def test_spec(exports: Any, put: Any, rule_holds: Any, row: tuple[str, str, Any, Any, str]) -> None:
    path, _, good, bad, says = row
    rule_holds(exports.try_create, put(EXPORT, path, good), put(EXPORT, path, bad), says)


@pytest.fixture(scope="module")
def existing(exports: Any) -> Iterator[dict[str, Any]]:
    yield exports.create(EXPORT)
    exports.delete(EXPORT["metadata"]["name"])


@pytest.mark.parametrize("row", STATUS, ids=lambda row: f"{row[0]}-{row[1]}")
def test_status(
    exports: Any, put: Any, rule_holds: Any, existing: Any, row: tuple[str, str, Any, Any, str]
) -> None:
    path, _, good, bad, says = row
    rule_holds(exports.replace_status, put(existing, path, good), put(existing, path, bad), says)


@pytest.mark.parametrize(("path", "value"), [("spec.requestedBy", "Staff"), ("spec.retentionSeconds", 7200)])
def test_what_was_asked_for_stays(
    exports: Any, put: Any, said: Any, existing: Any, path: str, value: Any
) -> None:
    assert existing["spec"]["retentionSeconds"] == 604800
    with pytest.raises(client.ApiException) as refused:
        exports.replace(put(existing, path, value))
    assert CHANGED in said(refused.value)


def test_every_rule_has_a_row(rules_without: Any) -> None:
    rows = [*SPEC, *STATUS]
    plain = {(path, keyword) for path, keyword, *_ in rows}
    assert rules_without(CRD, plain, [CHANGED, *(row[4] for row in rows)]) == []
