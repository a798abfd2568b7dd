"""Every rule of the TenantExport's schema: a value that it accepts, one that it refuses, and its words."""

from __future__ import annotations

import copy
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


def put(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with a field set, or left out; `x[]` is the first item of a list."""
    document = copy.deepcopy(document)
    *parents, last = path.split(".")
    place: Any = document
    for parent in parents:
        if parent.endswith("[]"):
            place = place.setdefault(parent[:-2], [copy.deepcopy(CONDITION)])[0]
        else:
            place = place.setdefault(parent, {})
    if value is None:
        place.pop(last, None)
    else:
        place[last] = value
    return document


@pytest.mark.parametrize("row", SPEC, ids=lambda row: f"{row[0]}-{row[1]}-{row[4]}")
def test_spec(exports: Any, said: Any, row: tuple[str, str, Any, Any, str]) -> None:
    path, _, good, bad, says = row
    exports.create(put(EXPORT, path, good), dry_run=True)
    with pytest.raises(client.ApiException) as refused:
        exports.create(put(EXPORT, path, bad), dry_run=True)
    assert refused.value.status == 422
    assert says in said(refused.value)


@pytest.fixture(scope="module")
def existing(exports: Any) -> Iterator[dict[str, Any]]:
    yield exports.create(EXPORT)
    exports.delete(EXPORT["metadata"]["name"])


@pytest.mark.parametrize("row", STATUS, ids=lambda row: f"{row[0]}-{row[1]}")
def test_status(exports: Any, said: Any, existing: Any, row: tuple[str, str, Any, Any, str]) -> None:
    path, _, good, bad, says = row
    exports.replace_status(put(existing, path, good))
    with pytest.raises(client.ApiException) as refused:
        exports.replace_status(put(existing, path, bad))
    assert refused.value.status == 422
    assert says in said(refused.value)


@pytest.mark.parametrize(("path", "value"), [("spec.requestedBy", "Staff"), ("spec.retentionSeconds", 7200)])
def test_what_was_asked_for_stays(exports: Any, said: Any, existing: Any, path: str, value: Any) -> None:
    assert existing["spec"]["retentionSeconds"] == 604800
    with pytest.raises(client.ApiException) as refused:
        exports.replace(put(existing, path, value))
    assert CHANGED in said(refused.value)


def test_every_rule_has_a_row(rules_without: Any) -> None:
    rows = [*SPEC, *STATUS]
    plain = {(path, keyword) for path, keyword, *_ in rows}
    assert rules_without(CRD, plain, [CHANGED, *(row[4] for row in rows)]) == []
