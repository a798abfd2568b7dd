"""Every rule of the TenantRequest's schema: a value that it accepts, one that it refuses, and its words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

CRD = Path(__file__).resolve().parents[3] / "crds/tenantrequests.yaml"
CONTACT = {"name": "Anna Reyes", "email": "anna@acme.example"}
REQUEST: dict[str, Any] = {
    "apiVersion": "guestpostcrm.com/v1alpha1",
    "kind": "TenantRequest",
    "metadata": {"name": "contact-1"},
    "spec": {"type": "ContactChange", "contact": CONTACT},
}
ERASE = {**REQUEST, "spec": {"type": "Erase"}}
CONDITION = {
    "type": "Accepted",
    "status": "True",
    "observedGeneration": 1,
    "lastTransitionTime": "2026-11-24T12:00:00Z",
    "reason": "Accepted",
    "message": "",
}
NINE = [{**CONDITION, "type": f"T{number}"} for number in range(9)]
LONG = f"a@{'.'.join(['d' * 60] * 4)}"

# place, keyword, what is accepted, what is refused (None: left out), what is said
SPEC: list[tuple[str, str, Any, Any, str]] = [
    ("metadata.name", "rule", "e" * 63, "e" * 64, "metadata.name must be at most 63 characters"),
    ("metadata.name", "rule", "a-1", "a.1", "metadata.name must be a DNS label"),
    ("spec", "required", REQUEST["spec"], None, "spec: Required value"),
    ("spec.type", "required", "ContactChange", None, "spec.type: Required value"),
    (
        "spec.type",
        "enum",
        "ContactChange",
        "Move",
        'supported values: "Erase", "CancelErasure", "ContactChange"',
    ),
    ("spec.contact", "rule", CONTACT, None, "spec.contact goes with type ContactChange, and only with it"),
    ("spec.contact.name", "required", "Anna", None, "spec.contact.name: Required value"),
    ("spec.contact.name", "minLength", "A", "", "at least 1 chars long"),
    ("spec.contact.name", "maxLength", "ä" * 100, "ä" * 101, "may not be more than 100"),
    ("spec.contact.name", "rule", "Reyes & Søn", "Anna\nBcc: x", "must be one line without control"),
    ("spec.contact.name", "rule", " A ", " ", "must not be blank"),
    ("spec.contact.email", "required", "a@b.example", None, "spec.contact.email: Required value"),
    ("spec.contact.email", "minLength", "a@b.co", "a@b.c", "at least 6 chars long"),
    ("spec.contact.email", "maxLength", f"{LONG}.{'c' * 8}", f"{LONG}.{'c' * 9}", "may not be more than 254"),
    ("spec.contact.email", "rule", "o'neil@acme.example", "Anna <anna@acme.example>", "one bare address"),
]
OF_ERASE: list[tuple[str, str, Any, Any, str]] = [
    ("spec.finalExport", "enum", "Skip", "Never", 'supported values: "Required", "Skip"'),
    ("spec", "rule", {"type": "Erase", "finalExport": "Required"},
     {"type": "CancelErasure", "finalExport": "Skip"}, "spec.finalExport is for type Erase only"),
    ("spec.contact", "rule", None, CONTACT, "spec.contact goes with type ContactChange, and only with it"),
]  # fmt: skip
STATUS: list[tuple[str, str, Any, Any, str]] = [
    ("status.phase", "enum", "Refused", "Done", "supported values"),
    ("status.eraseAfter", "format", "2026-11-24T12:00:00Z", "soon", "must be of type date-time"),
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
    ("status.conditions[].lastTransitionTime", "format", "2026-11-24T12:00:00Z", "now", "type date-time"),
    ("status.conditions[].reason", "minLength", "R", "", "at least 1 chars"),
    ("status.conditions[].reason", "maxLength", "R" * 1024, "R" * 1025, "may not be more than 1024"),
    ("status.conditions[].message", "maxLength", "m" * 32768, "m" * 32769, "may not be more than 32768"),
]
CHANGED = "spec of a TenantRequest cannot be changed"
Row = tuple[dict[str, Any], tuple[str, str, Any, Any, str]]
ROWS: list[Row] = [*((REQUEST, row) for row in SPEC), *((ERASE, row) for row in OF_ERASE)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[1][0]}-{row[1][1]}-{row[1][4]}")
def test_spec(requests: Any, put: Any, rule_holds: Any, row: Row) -> None:
    request, (path, _, good, bad, says) = row
    rule_holds(requests.try_create, put(request, path, good), put(request, path, bad), says)


@pytest.fixture(scope="module")
def existing(requests: Any) -> Iterator[dict[str, Any]]:
    yield requests.create(REQUEST)
    requests.delete(REQUEST["metadata"]["name"])


@pytest.mark.parametrize("row", STATUS, ids=lambda row: f"{row[0]}-{row[1]}")
def test_status(
    requests: Any, put: Any, rule_holds: Any, existing: Any, row: tuple[str, str, Any, Any, str]
) -> None:
    path, _, good, bad, says = row
    rule_holds(requests.replace_status, put(existing, path, good), put(existing, path, bad), says)


@pytest.mark.promise("P9.2")
@pytest.mark.parametrize(
    ("path", "value"), [("spec.contact.email", "bob@acme.example"), ("spec", {"type": "Erase"})], ids=str
)
def test_what_was_asked_for_stays(
    requests: Any, put: Any, said: Any, existing: Any, path: str, value: Any
) -> None:
    with pytest.raises(client.ApiException) as refused:
        requests.replace(put(existing, path, value))
    assert CHANGED in said(refused.value)


def test_every_rule_has_a_row(rules_without: Any) -> None:
    rows = [*(row for _, row in ROWS), *STATUS]
    plain = {(path, keyword) for path, keyword, *_ in rows}
    assert rules_without(CRD, plain, [CHANGED, *(row[4] for row in rows)]) == []
