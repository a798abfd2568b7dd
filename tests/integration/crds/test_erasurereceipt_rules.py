"""Every rule of the ErasureReceipt's schema: a value that it accepts, one that it refuses, and its words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

CRD = Path(__file__).resolve().parents[3] / "crds/erasurereceipts.yaml"
UID = "0b7c4d1e-0000-4000-8000-000000000001"
NOON, LATER = "2026-11-24T12:00:00Z", "2026-11-24T12:00:01Z"
STEP = {"step": "Keys", "outcome": "Verified"}
LEFT = {"step": "Keys", "outcome": "NotVerified", "reason": "the project was shut down"}
COUNT = {"kind": "Topic", "count": 1}
RECEIPT: dict[str, Any] = {
    "apiVersion": "guestpostcrm.com/v1alpha1",
    "kind": "ErasureReceipt",
    "metadata": {"name": f"erasure-{UID}"},
    "spec": {
        "statement": {
            "tenantUID": UID,
            "requestedBy": "Customer",
            "requestedAt": NOON,
            "startedAt": NOON,
            "completedAt": LATER,
            "verified": True,
            "finalExport": {"outcome": "Downloaded", "sha256": "0a" * 32},
            "removed": [COUNT],
            "steps": [STEP],
            "operator": "1.0.0",
        },
        "signature": {"algorithm": "Ed25519", "keyID": "0123456789abcdef", "value": "A" * 86 + "=="},
    },
}
STATEMENT = RECEIPT["spec"]["statement"]
SIGNATURE = RECEIPT["spec"]["signature"]
TYPE = "must be of type date-time"
S, G = "spec.statement", "spec.signature"

# place, keyword, what is accepted, what is refused (None: left out), what is said
ROWS: list[tuple[str, str, Any, Any, str]] = [
    ("metadata.name", "rule", f"erasure-{UID}", "erasure-acme", "metadata.name must be erasure- and the uid"),
    ("spec", "required", RECEIPT["spec"], None, "spec: Required value"),
    *[(f"spec.{key}", "required", RECEIPT["spec"][key], None, "Required value") for key in RECEIPT["spec"]],
    *[
        (f"{S}.{key}", "required", value, None, "Required value")
        for key, value in STATEMENT.items()
        if key != "requestedAt"
    ],
    *[(f"{G}.{key}", "required", value, None, "Required value") for key, value in SIGNATURE.items()],
    (f"{S}.tenantUID", "maxLength", UID, f"{UID}0", "may not be more than 36"),
    (f"{S}.tenantUID", "rule", UID, "acme", "spec.statement.tenantUID must be a uid such as"),
    (f"{S}.requestedBy", "enum", "Staff", "anna@acme.example", 'supported values: "Customer", "Staff"'),
    *[(f"{S}.{key}", "format", NOON, "now", TYPE) for key in ("requestedAt", "startedAt")],
    (f"{S}.completedAt", "format", LATER, "now", TYPE),
    (S, "rule", STATEMENT, {**STATEMENT, "startedAt": LATER, "completedAt": NOON},
     "must not be before startedAt"),
    (S, "rule", {**STATEMENT, "verified": False, "steps": [LEFT]}, {**STATEMENT, "steps": [LEFT]},
     "must be true exactly when every step was verified"),
    (f"{S}.finalExport.outcome", "required", "Expired", None, "Required value"),
    (f"{S}.finalExport.outcome", "enum", "Expired", "Lost", "supported values"),
    (f"{S}.finalExport", "rule", {"outcome": "Skipped"}, {"outcome": "Expired"},
     "sha256 goes with an archive"),
    (f"{S}.finalExport.sha256", "maxLength", "0a" * 32, "0a" * 33, "may not be more than 64"),
    (f"{S}.finalExport.sha256", "rule", "0b" * 32, "0B" * 32, "sha256 must be 64 hexadecimal digits"),
    (f"{S}.removed", "maxItems", [COUNT], [{"kind": f"K{n}", "count": 0} for n in range(33)],
     "at most 32 items"),
    (f"{S}.removed", "x-kubernetes-list-type", [COUNT], [COUNT, COUNT], "Duplicate value"),
    (f"{S}.removed[].kind", "required", "Topic", None, "Required value"),
    (f"{S}.removed[].kind", "minLength", "T", "", "at least 1 chars"),
    (f"{S}.removed[].kind", "maxLength", "T" * 63, "T" * 64, "may not be more than 63"),
    (f"{S}.removed[].count", "required", 0, None, "Required value"),
    (f"{S}.removed[].count", "minimum", 0, -1, "greater than or equal to 0"),
    (f"{S}.removed[].count", "format", 1, "1", "must be of type integer"),
    (f"{S}.steps", "minItems", [STEP], [], "at least 1 items"),
    (f"{S}.steps", "maxItems", [STEP], [{**STEP, "step": f"S{n}"} for n in range(17)], "at most 16 items"),
    (f"{S}.steps", "x-kubernetes-list-type", [STEP], [STEP, STEP], "Duplicate value"),
    (f"{S}.steps[].step", "required", "Keys", None, "Required value"),
    (f"{S}.steps[].step", "minLength", "K", "", "at least 1 chars"),
    (f"{S}.steps[].step", "maxLength", "K" * 63, "K" * 64, "may not be more than 63"),
    (f"{S}.steps[].outcome", "required", "Verified", None, "Required value"),
    (f"{S}.steps[].outcome", "enum", "Verified", "Probably", "supported values"),
    (S, "rule", {**STATEMENT, "verified": False, "steps": [LEFT]},
     {**STATEMENT, "verified": False, "steps": [{"step": "Keys", "outcome": "NotVerified"}]},
     "a step that was not verified needs the reason"),
    (f"{S}.operator", "minLength", "1", "", "at least 1 chars"),
    (f"{S}.operator", "maxLength", "1" * 64, "1" * 65, "may not be more than 64"),
    (f"{G}.algorithm", "enum", "Ed25519", "RSA", "supported values"),
    (f"{G}.keyID", "maxLength", "0" * 16, "0" * 17, "may not be more than 16"),
    (f"{G}.keyID", "rule", "f" * 16, "f" * 15, "keyID must be 16 hexadecimal digits"),
    (f"{G}.value", "maxLength", "A" * 86 + "==", "A" * 87 + "==", "may not be more than 88"),
    (f"{G}.value", "rule", "+" * 86 + "==", "A" * 88, "value must be 64 bytes in base 64"),
]  # fmt: skip
REASONS: list[tuple[str, str, Any, Any, str]] = [
    (f"{S}.steps[].reason", "minLength", "r", "", "at least 1 chars"),
    (f"{S}.steps[].reason", "maxLength", "r" * 500, "r" * 501, "may not be more than 500"),
]
CHANGED = "a receipt cannot be changed"


@pytest.mark.parametrize("row", [*ROWS, *REASONS], ids=lambda row: f"{row[0]}-{row[1]}-{row[4]}")
def test_rule(receipts: Any, put: Any, rule_holds: Any, row: tuple[str, str, Any, Any, str]) -> None:
    path, _, good, bad, says = row
    receipt = RECEIPT
    if row in REASONS:
        receipt = put(put(receipt, f"{S}.steps", [LEFT]), f"{S}.verified", False)
    rule_holds(receipts.try_create, put(receipt, path, good), put(receipt, path, bad), says)


@pytest.fixture(scope="module")
def existing(receipts: Any) -> Iterator[dict[str, Any]]:
    yield receipts.create(RECEIPT)
    receipts.delete(RECEIPT["metadata"]["name"])


@pytest.mark.promise("P9.2")
@pytest.mark.parametrize(
    ("path", "value"), [(f"{S}.completedAt", "2027-01-01T00:00:00Z"), (f"{G}.keyID", "f" * 16)]
)
def test_a_receipt_never_changes(
    receipts: Any, put: Any, said: Any, existing: Any, path: str, value: Any
) -> None:
    with pytest.raises(client.ApiException) as refused:
        receipts.replace(put(existing, path, value))
    assert CHANGED in said(refused.value)


def test_every_rule_has_a_row(rules_without: Any) -> None:
    rows = [*ROWS, *REASONS]
    plain = {(path, keyword) for path, keyword, *_ in rows}
    assert rules_without(CRD, plain, [CHANGED, *(row[4] for row in rows)]) == []
