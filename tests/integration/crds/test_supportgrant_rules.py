"""Every rule of the SupportGrant's schema: a value that it accepts, one that it refuses, and its words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

CRD = Path(__file__).resolve().parents[3] / "crds/supportgrants.yaml"
GRANT: dict[str, Any] = {
    "apiVersion": "guestpostcrm.com/v1alpha1",
    "kind": "SupportGrant",
    "metadata": {"name": "ticket-4711"},
    "spec": {
        "subject": "sam@support.example",
        "reason": "Ticket 4711: new mail has not arrived since Monday.",
        "level": "Browse",
        "durationSeconds": 3600,
    },
}
SHELL = {**GRANT, "metadata": {"name": "ticket-4712"}, "spec": {**GRANT["spec"], "level": "Shell"}}
APPROVAL = {
    "decision": "Approved",
    "level": "Browse",
    "decidedAt": "2026-11-24T12:00:00Z",
    "expiresAt": "2026-11-24T13:00:00Z",
    "signature": "s" * 88,
}
DENIED = {"decision": "Denied", "decidedAt": "2026-11-24T12:00:00Z"}
CONDITION = {
    "type": "Active",
    "status": "True",
    "observedGeneration": 1,
    "lastTransitionTime": "2026-11-24T12:00:00Z",
    "reason": "Approved",
    "message": "",
}
NINE = [{**CONDITION, "type": f"T{number}"} for number in range(9)]
ADDRESS = f"a@{'d' * 244}.example"


def changed(key: str, value: Any) -> dict[str, Any]:
    """The approval with a field changed, or left out."""
    return {name: each for name, each in {**APPROVAL, key: value}.items() if each is not None}


# place, keyword, what is accepted, what is refused (None: left out), what is said
SPEC: list[tuple[str, str, Any, Any, str]] = [
    ("metadata.name", "rule", "e" * 40, "e" * 41, "metadata.name must be at most 40 characters"),
    ("metadata.name", "rule", "a-1", "a.1", "metadata.name must be a DNS label"),
    ("spec", "required", GRANT["spec"], None, "spec: Required value"),
    ("spec.subject", "required", "sam@support.example", None, "spec.subject: Required value"),
    ("spec.subject", "minLength", "a@b.c", "a@", "at least 3 chars long"),
    ("spec.subject", "maxLength", ADDRESS, f"{ADDRESS}s", "may not be more than 254"),
    ("spec.subject", "rule", "sam+help@support.example", "Sam <sam@support.example>", "without spaces"),
    ("spec.subject", "rule", "systems@support.example", "system:serviceaccount:a:b@c.d", "must be a person"),
    (
        "spec.subject",
        "rule",
        "sam@support.example",
        "sam",
        "a Google account's address where level is Browse",
    ),
    ("spec.reason", "required", "Ticket 4711.", None, "spec.reason: Required value"),
    ("spec.reason", "minLength", "Ticket 123", "Ticket 12", "at least 10 chars long"),
    ("spec.reason", "maxLength", "r" * 500, "r" * 501, "may not be more than 500"),
    ("spec.reason", "rule", "Größer als nötig", "Ticket 4711\nBcc: x", "one line without control"),
    ("spec.reason", "rule", "ab" + " " * 10, " " * 12, "must say something"),
    ("spec.level", "required", "Shell", None, "spec.level: Required value"),
    ("spec.level", "enum", "Shell", "Root", 'supported values: "Browse", "Shell"'),
    ("spec.durationSeconds", "minimum", 300, 299, "greater than or equal to 300"),
    ("spec.durationSeconds", "maximum", 28800, 28801, "less than or equal to 28800"),
    ("spec.durationSeconds", "format", 7200, 2**31, "less than or equal to 28800"),
]
OF_SHELL: list[tuple[str, str, Any, Any, str]] = [
    ("spec.subject", "rule", "oidc:sam", "sam reyes", "without spaces"),
]
STATUS: list[tuple[str, str, Any, Any, str]] = [
    ("status.phase", "enum", "Expired", "Done", "supported values"),
    (
        "status.approval",
        "rule",
        APPROVAL,
        changed("expiresAt", None),
        "Approved needs level, expiresAt and sig",
    ),
    ("status.approval", "rule", APPROVAL, changed("level", None), "Approved needs level, expiresAt and sig"),
    (
        "status.approval",
        "rule",
        APPROVAL,
        changed("signature", None),
        "Approved needs level, expiresAt and sig",
    ),
    (
        "status.approval",
        "rule",
        DENIED,
        {**DENIED, "level": "Browse"},
        "Denied has neither level nor expiresAt",
    ),
    (
        "status.approval",
        "rule",
        DENIED,
        {**APPROVAL, "decision": "Denied"},
        "Denied has neither level nor exp",
    ),
    (
        "status.approval",
        "rule",
        changed("expiresAt", "2026-11-24T12:00:01Z"),
        changed("expiresAt", "2026-11-24T12:00:00Z"),
        "expiresAt must be later than decidedAt",
    ),
    (
        "status.approval",
        "rule",
        APPROVAL,
        changed("expiresAt", "2026-11-24T13:00:01Z"),
        "must not be later than spec.durationSeconds after decidedAt",
    ),
    ("status.approval", "rule", APPROVAL, changed("level", "Shell"), "must not be more than spec.level"),
    ("status.approval.decision", "required", APPROVAL, changed("decision", None), "decision: Required value"),
    ("status.approval.decision", "enum", APPROVAL, changed("decision", "Maybe"), "supported values"),
    (
        "status.approval.decidedAt",
        "required",
        APPROVAL,
        changed("decidedAt", None),
        "decidedAt: Required value",
    ),
    (
        "status.approval.decidedAt",
        "format",
        APPROVAL,
        changed("decidedAt", "now"),
        "must be of type date-time",
    ),
    (
        "status.approval.expiresAt",
        "format",
        APPROVAL,
        changed("expiresAt", "soon"),
        "must be of type date-time",
    ),
    ("status.approval.level", "enum", APPROVAL, changed("level", "Root"), "supported values"),
    ("status.approval.signature", "minLength", APPROVAL, changed("signature", "s" * 87), "at least 88 chars"),
    (
        "status.approval.signature",
        "maxLength",
        APPROVAL,
        changed("signature", "s" * 89),
        "not be more than 88",
    ),
    ("status.shell.job", "required", {"job": "support-1"}, {}, "status.shell.job: Required value"),
    ("status.shell.job", "maxLength", {"job": "j" * 63}, {"job": "j" * 64}, "may not be more than 63"),
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
# What cannot be taken back: rows of the tests below.
FINAL = [
    "spec of a SupportGrant cannot be changed",
    "status.approval is final",
    "status.revokedAt is final",
    "status.revokedAt goes with what was approved",
]
Row = tuple[str, str, Any, Any, str]
ROWS = [*((GRANT, row) for row in SPEC), *((SHELL, row) for row in OF_SHELL)]


@pytest.mark.parametrize(("grant", "row"), ROWS, ids=lambda each: str(each[0::2]) if len(each) == 5 else "")
def test_spec(grants: Any, put: Any, rule_holds: Any, grant: dict[str, Any], row: Row) -> None:
    path, _, good, bad, says = row
    rule_holds(grants.try_create, put(grant, path, good), put(grant, path, bad), says)


@pytest.fixture(scope="module")
def existing(grants: Any) -> Iterator[dict[str, Any]]:
    yield grants.create(GRANT)
    grants.delete(GRANT["metadata"]["name"])


@pytest.mark.parametrize("row", STATUS, ids=lambda row: f"{row[0]}-{row[1]}-{row[4]}")
def test_status(grants: Any, put: Any, rule_holds: Any, existing: Any, row: Row) -> None:
    path, _, good, bad, says = row
    # A part of an object that is tried as a whole.
    for whole in ("status.approval", "status.shell"):
        path = whole if path.startswith(f"{whole}.") else path
    rule_holds(grants.replace_status, put(existing, path, good), put(existing, path, bad), says)


@pytest.mark.promise("P6.1")
@pytest.mark.parametrize(
    ("path", "value"),
    [("spec.level", "Shell"), ("spec.durationSeconds", 28800), ("spec.subject", "eve@support.example")],
)
def test_what_the_customer_has_read_stays(
    grants: Any, put: Any, said: Any, existing: Any, path: str, value: Any
) -> None:
    with pytest.raises(client.ApiException) as refused:
        grants.replace(put(existing, path, value))
    assert FINAL[0] in said(refused.value)


@pytest.mark.promise("P6.1")
def test_a_decision_is_final_and_an_end_is_an_end(grants: Any, put: Any, said: Any) -> None:
    grant = grants.create(put(GRANT, "metadata.name", "final"))

    def refused(path: str, value: Any) -> str:
        with pytest.raises(client.ApiException) as error:
            grants.replace_status(put(grant, path, value))
        return str(said(error.value))

    try:
        assert FINAL[3] in refused("status.revokedAt", "2026-11-24T12:10:00Z")
        grant = grants.write_status(put(grant, "status.approval", APPROVAL))
        for value in (None, DENIED, changed("expiresAt", "2026-11-24T12:30:00Z")):
            assert FINAL[1] in refused("status.approval", value)
        grant = grants.write_status(put(grant, "status.revokedAt", "2026-11-24T12:10:00Z"))
        for moment in (None, "2026-11-24T12:50:00Z"):
            assert FINAL[2] in refused("status.revokedAt", moment)
    finally:
        grants.delete("final")


def test_an_hour_unless_something_else_is_asked_for(grants: Any, put: Any) -> None:
    made = grants.create(
        put(GRANT | {"metadata": {"name": "an-hour"}}, "spec.durationSeconds", None), dry_run=True
    )
    assert made["spec"]["durationSeconds"] == 3600


def test_every_rule_has_a_row(rules_without: Any) -> None:
    rows = [*(row for _, row in ROWS), *STATUS]
    plain = {(path, keyword) for path, keyword, *_ in rows}
    plain.add(("status.revokedAt", "format"))
    assert rules_without(CRD, plain, [*FINAL, *(row[4] for row in rows)]) == []
