"""Every rule of the GuestPostTenant's schema: one value that it accepts, one that it refuses, and its words.

Each row names the place and the keyword that it tests; `test_every_rule_has_a_row` reads the schema and
fails when a rule has none.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kubernetes import client

CRD = Path(__file__).resolve().parents[3] / "crds/guestposttenants.yaml"
names = (f"rules-{count}" for count in itertools.count())

TENANT: dict[str, Any] = {
    "apiVersion": "guestpostcrm.com/v1alpha1",
    "kind": "GuestPostTenant",
    "metadata": {"name": "acme"},
    "spec": {
        "owner": {"name": "Anna Reyes", "email": "anna@acme.example"},
        "region": "europe-west1",
        "googleProject": "acme-crm-prod",
    },
}
REMOVED = object()


class Row(NamedTuple):
    """One rule: `path` with `good` is accepted, with `bad` refused with a message that contains `says`.

    keyword: the schema's keyword, or "rule" for CEL (then the rule is the one whose message contains `says`).
    extra: other fields that both values need, by path.
    """

    path: str
    keyword: str
    good: Any
    bad: Any
    says: str
    extra: dict[str, Any] = {}


class Change(NamedTuple):
    """A rule about changes of `path`: from `old` to `good` is accepted, to `bad` refused."""

    path: str
    old: Any
    good: Any
    bad: Any
    says: str


def long_hostname(length: int) -> str:
    """A DNS name of this many characters, 250 to 310."""
    labels = ".".join(["d" * 60] * 4) + ".com"
    return "x" * (length - len(labels) - 1) + "." + labels


def long_address(length: int) -> str:
    """An e-mail address of this many characters, 202 to 262."""
    domain = ".".join(["d" * 60] * 3) + ".com"
    local = "a" * 10
    return f"{local}@{'x' * (length - len(domain) - len(local) - 2)}.{domain}"


STEP = {"step": "Volumes", "reason": "the cloud account was closed"}
STEPS = [
    "FinalExport",
    "Application",
    "GoogleAccess",
    "Messaging",
    "Database",
    "Volumes",
    "Keys",
    "Namespace",
]
FOUND = {"kind": "Topic", "count": 1}
SUM = {"status.deletion.export.sha256": "0"}
MADE = {"status.deletion.export.outcome": "Expired"}
SUSPENDED = {"spec.state": "Suspended"}
PINNED = {"spec.release.channel": "Pinned"}

SPEC = [
    Row("metadata.name", "rule", "a" * 50, "a" * 51, "metadata.name must be at most 50 characters"),
    Row("metadata.name", "rule", "3-acme-media", "acme.media", "must be a DNS label"),
    Row("metadata.name", "rule", "xn-acme", "xn--acme", "must not begin with xn--"),
    Row("metadata.name", "rule", "broker-crm", "broker", "is reserved"),
    Row("spec", "required", TENANT["spec"], REMOVED, "spec: Required value"),
    Row("spec.owner", "required", TENANT["spec"]["owner"], REMOVED, "spec.owner: Required value"),
    Row("spec.owner.name", "required", "Anna", REMOVED, "spec.owner.name: Required value"),
    Row("spec.owner.name", "minLength", "A", "", "at least 1 chars long"),
    Row("spec.owner.name", "maxLength", "ä" * 100, "ä" * 101, "may not be more than 100"),
    Row("spec.owner.name", "rule", "Reyes & Søn", "Anna\nBcc: x", "must be one line without control"),
    Row("spec.owner.name", "rule", " A ", " ", "must not be blank"),
    Row("spec.owner.email", "required", "a@b.example", REMOVED, "spec.owner.email: Required value"),
    Row("spec.owner.email", "minLength", "a@b.co", "a@b.c", "at least 6 chars long"),
    Row("spec.owner.email", "maxLength", long_address(254), long_address(255), "may not be more than 254"),
    Row(
        "spec.owner.email", "rule", "o'neil+crm@acme.example", "Anna <anna@acme.example>", "one bare address"
    ),
    Row("spec.hostname", "minLength", "a.b", "ab", "at least 3 chars long"),
    Row("spec.hostname", "maxLength", long_hostname(253), long_hostname(254), "may not be more than 253"),
    Row("spec.hostname", "rule", "crm.acme.example", "https://crm.acme.example/", "must be a full DNS name"),
    Row("spec.region", "required", "europe-west1", REMOVED, "spec.region: Required value"),
    Row("spec.region", "minLength", "a-b1", "a-b", "at least 4 chars long"),
    Row("spec.region", "maxLength", "e-" + "w" * 29 + "1", "e-" + "w" * 30 + "1", "may not be more than 32"),
    Row("spec.region", "rule", "northamerica-northeast1", "europe-west1-b", "not a zone"),
    Row("spec.googleProject", "required", "acme-crm", REMOVED, "spec.googleProject: Required value"),
    Row("spec.googleProject", "minLength", "acme-1", "acme1", "at least 6 chars long"),
    Row("spec.googleProject", "maxLength", "a" * 30, "a" * 31, "may not be more than 30"),
    Row("spec.googleProject", "rule", "acme-crm-2", "123456789012", "must be a project id"),
    Row("spec.plan", "enum", "Growth", "Huge", 'supported values: "Starter", "Growth", "Scale"'),
    Row("spec.state", "enum", "Hibernated", "Stopped", 'supported values: "Running"'),
    Row("spec.suspendReason", "minLength", "x", "", "at least 1 chars long", SUSPENDED),
    Row("spec.suspendReason", "maxLength", "x" * 500, "x" * 501, "may not be more than 500", SUSPENDED),
    Row("spec.suspendReason", "rule", "Pay, please.", "Pay,\nplease.", "must be one line", SUSPENDED),
    Row("spec.suspendReason", "rule", "?", " ", "must not be blank", SUSPENDED),
    Row("spec.state", "rule", "Hibernated", "Suspended", "spec.state Suspended needs"),
    Row(
        "spec.state",
        "rule",
        "Hibernated",
        "Running",
        "for tenants that do not run",
        {"spec.suspendReason": "x"},
    ),
    Row("spec.release.channel", "enum", "Canary", "Nightly", 'supported values: "Stable"'),
    Row(
        "spec.release",
        "rule",
        {"channel": "Pinned", "version": "1.4.2"},
        {"channel": "Pinned"},
        "Pinned needs",
    ),
    Row("spec.release", "rule", {}, {"channel": "Canary", "version": "1.4.2"}, "for channel Pinned only"),
    Row("spec.release.version", "minLength", "1.0.0", "1.0.", "at least 5 chars long", PINNED),
    Row(
        "spec.release.version", "maxLength", "1.0.0-" + "r" * 58, "1.0.0-" + "r" * 59, "more than 64", PINNED
    ),
    Row("spec.release.version", "rule", "1.4.2-rc.1", "v1.4.2", "must be a semantic version", PINNED),
    Row("spec.storage.className", "minLength", "x", "", "at least 1 chars long"),
    Row("spec.storage.className", "maxLength", "x" * 253, "x" * 254, "may not be more than 253"),
    Row(
        "spec.storage.className",
        "rule",
        "premium-rwo.v2",
        "Premium RWO",
        "must be the name of a StorageClass",
    ),
    Row("spec.storage.database", "minLength", "1Gi", "1G", "at least 3 chars long"),
    Row("spec.storage.database", "maxLength", "64000Gi", "000064000Gi", "may not be more than 8"),
    Row("spec.storage.database", "rule", "20Gi", "20GB", "must be a whole number of Gi or Ti"),
    Row("spec.storage.database", "rule", "64Ti", "65Ti", "must be at most 64Ti"),
    Row("spec.deletion.requested", "rule", False, True, "contradicts", {"spec.deletion.protected": True}),
    Row("spec.deletion.gracePeriodSeconds", "minimum", 0, -1, "greater than or equal to 0"),
    Row("spec.deletion.gracePeriodSeconds", "maximum", 2592000, 2592001, "less than or equal to 2592000"),
    Row("spec.deletion.gracePeriodSeconds", "format", 1, 2**31, "less than or equal to 2592000"),
    Row("spec.deletion.finalExport", "enum", "Skip", "Never", 'supported values: "Required", "Skip"'),
    Row("spec.deletion.abandon", "maxItems", [STEP], [STEP] * 9, "must have at most 8 items"),
    Row("spec.deletion.abandon", "x-kubernetes-list-type", [STEP], [STEP, STEP], "Duplicate value"),
    Row("spec.deletion.abandon[].step", "required", "Keys", REMOVED, "step: Required value"),
    Row("spec.deletion.abandon[].step", "enum", "Messaging", "Topic", 'supported values: "FinalExport"'),
    Row("spec.deletion.abandon[].reason", "required", "gone for good", REMOVED, "reason: Required value"),
    Row("spec.deletion.abandon[].reason", "minLength", "x" * 10, "x" * 9, "at least 10 chars long"),
    Row("spec.deletion.abandon[].reason", "maxLength", "x" * 500, "x" * 501, "may not be more than 500"),
    Row(
        "spec.deletion.abandon[].reason",
        "rule",
        "gone for good",
        "gone\nfor good",
        "must be one line of plain",
    ),
]

CHANGES = [
    Change("spec.region", "europe-west1", "europe-west1", "us-east4", "spec.region cannot be changed"),
    Change(
        "spec.googleProject", "acme-crm", "acme-crm", "acme-crm-2", "spec.googleProject cannot be changed"
    ),
    Change("spec.storage.className", "fast", "fast", "slow", "className cannot be set, changed or removed"),
    Change("spec.storage.className", "fast", "fast", REMOVED, "className cannot be set, changed or removed"),
    Change("spec.storage.className", REMOVED, REMOVED, "fast", "className cannot be set, changed or removed"),
    Change("spec.storage", {"className": "fast"}, {"className": "fast"}, REMOVED, "className cannot be set"),
    Change("spec.storage.database", "20Gi", "1Ti", "19Gi", "spec.storage.database only grows"),
    Change("spec.storage.database", "1Ti", "1024Gi", "1023Gi", "spec.storage.database only grows"),
    Change("spec.storage.database", "20Gi", "20Gi", REMOVED, "spec.storage.database cannot be removed"),
    Change("spec.storage.database", REMOVED, "20Gi", "20", "must be a whole number of Gi or Ti"),
]


def condition(**changes: Any) -> dict[str, Any]:
    fields = {
        "type": "Ready",
        "status": "True",
        "reason": "Running",
        "message": "",
        "lastTransitionTime": "2026-03-01T12:00:00Z",
    }
    return {name: value for name, value in {**fields, **changes}.items() if value is not REMOVED}


CONDITION = "status.conditions[]"
TIME = "2026-03-01T12:00:00Z"
STATUS = [
    Row("status.observedGeneration", "minimum", 0, -1, "greater than or equal to 0"),
    Row("status.observedGeneration", "format", 2**31, "1", "must be of type integer"),
    Row("status.phase", "maxLength", "P" * 32, "P" * 33, "may not be more than 32"),
    Row(
        "status.conditions", "maxItems", [], [condition(type=f"T{i}") for i in range(33)], "at most 32 items"
    ),
    Row("status.conditions", "x-kubernetes-list-type", [condition()], [condition()] * 2, "Duplicate value"),
    Row(f"{CONDITION}.type", "required", "Ready", REMOVED, "type: Required value"),
    Row(f"{CONDITION}.type", "maxLength", "T" * 316, "T" * 317, "may not be more than 316"),
    Row(f"{CONDITION}.type", "pattern", "guestpostcrm.com/Ready", "Not ready", "type in body should match"),
    Row(f"{CONDITION}.status", "required", "False", REMOVED, "status: Required value"),
    Row(f"{CONDITION}.status", "enum", "Unknown", "Maybe", 'supported values: "True", "False", "Unknown"'),
    Row(f"{CONDITION}.observedGeneration", "minimum", 0, -1, "greater than or equal to 0"),
    Row(f"{CONDITION}.observedGeneration", "format", 2**31, "1", "must be of type integer"),
    Row(f"{CONDITION}.lastTransitionTime", "required", TIME, REMOVED, "Required value"),
    Row(
        f"{CONDITION}.lastTransitionTime",
        "format",
        TIME,
        "yesterday",
        "must be of type date-time",
    ),
    Row(f"{CONDITION}.reason", "required", "Running", REMOVED, "reason: Required value"),
    Row(f"{CONDITION}.reason", "minLength", "R", "", "at least 1 chars long"),
    Row(f"{CONDITION}.reason", "maxLength", "R" * 1024, "R" * 1025, "may not be more than 1024"),
    Row(f"{CONDITION}.reason", "pattern", "DatabaseNotReady", "not ready", "reason in body should match"),
    Row(f"{CONDITION}.message", "required", "", REMOVED, "message: Required value"),
    Row(f"{CONDITION}.message", "maxLength", "m" * 32768, "m" * 32769, "may not be more than 32768"),
    Row("status.revision", "maxLength", "r" * 63, "r" * 64, "may not be more than 63"),
    Row("status.release.previousRevision", "maxLength", "r" * 63, "r" * 64, "may not be more than 63"),
    Row("status.release.movedAt", "format", TIME, "yesterday", "must be of type date-time"),
    Row("status.release.arrivedAt", "format", TIME, "yesterday", "must be of type date-time"),
    Row("status.namespace.name", "maxLength", "n" * 63, "n" * 64, "may not be more than 63"),
    Row("status.namespace.uid", "maxLength", "u" * 64, "u" * 65, "may not be more than 64"),
    Row("status.database.name", "maxLength", "n" * 63, "n" * 64, "may not be more than 63"),
    Row("status.database.uid", "maxLength", "u" * 64, "u" * 65, "may not be more than 64"),
    Row("status.database.size", "maxLength", "1" * 16, "1" * 17, "may not be more than 16"),
    Row("status.database.storageClassName", "maxLength", "s" * 253, "s" * 254, "may not be more than 253"),
    Row("status.app.revision", "maxLength", "r" * 63, "r" * 64, "may not be more than 63"),
    Row("status.messaging.topic", "maxLength", "t" * 384, "t" * 385, "may not be more than 384"),
    Row("status.messaging.subscription", "maxLength", "t" * 384, "t" * 385, "may not be more than 384"),
    Row("status.keys.stage", "enum", "Introduced", "Begun", "supported values"),
    Row("status.keys.since", "format", TIME, "yesterday", "must be of type date-time"),
    Row("status.keys.requested", "maxLength", "r" * 64, "r" * 65, "may not be more than 64"),
    Row("status.keys.rotatedAt", "format", TIME, "yesterday", "must be of type date-time"),
    Row("status.keys.kmsKey", "maxLength", "k" * 384, "k" * 385, "may not be more than 384"),
    Row("status.keys.login", "enum", "crm_b", "postgres", 'supported values: "crm", "crm_b"'),
    Row("status.volumes", "maxItems", [], [{"name": f"v{i}"} for i in range(65)], "at most 64 items"),
    Row("status.volumes", "x-kubernetes-list-type", [{"name": "v"}], [{"name": "v"}] * 2, "Duplicate value"),
    Row("status.volumes[].name", "required", "v", REMOVED, "name: Required value"),
    Row("status.volumes[].name", "maxLength", "v" * 253, "v" * 254, "may not be more than 253"),
    Row(
        "status.volumes[].claim",
        "maxLength",
        "v" * 253,
        "v" * 254,
        "may not be more than 253",
        {"status.volumes[].name": "v"},
    ),
    Row("status.app.url", "maxLength", "u" * 512, "u" * 513, "may not be more than 512"),
    Row("status.app.version", "maxLength", "v" * 128, "v" * 129, "may not be more than 128"),
    Row("status.contact.name", "maxLength", "n" * 100, "n" * 101, "may not be more than 100"),
    Row("status.contact.email", "maxLength", "e" * 254, "e" * 255, "may not be more than 254"),
    *[
        Row(f"status.deletion.{name}", "format", TIME, "soon", "must be of type date-time")
        for name in ("requestedAt", "eraseAfter", "startedAt")
    ],
    Row("status.deletion.requestedBy", "enum", "Staff", "Anna", 'supported values: "Customer", "Staff"'),
    Row("status.deletion.finalExport", "enum", "Skip", "Never", 'supported values: "Required", "Skip"'),
    Row("status.deletion.abandoned", "maxItems", STEPS, [f"s{i}" for i in range(17)], "at most 16 items"),
    Row("status.deletion.abandoned", "x-kubernetes-list-type", STEPS, ["Keys", "Keys"], "Duplicate value"),
    Row("status.deletion.abandoned[]", "maxLength", "s" * 63, "s" * 64, "may not be more than 63"),
    Row(
        "status.deletion.found",
        "maxItems",
        [FOUND],
        [{**FOUND, "kind": f"k{i}"} for i in range(33)],
        "32 items",
    ),
    Row("status.deletion.found", "x-kubernetes-list-type", [FOUND], [FOUND, FOUND], "Duplicate value"),
    Row("status.deletion.found[].kind", "required", "Topic", REMOVED, "kind: Required value"),
    Row("status.deletion.found[].kind", "maxLength", "k" * 63, "k" * 64, "may not be more than 63"),
    Row("status.deletion.found[].count", "required", 0, REMOVED, "count: Required value"),
    Row("status.deletion.found[].count", "minimum", 0, -1, "greater than or equal to 0"),
    Row("status.deletion.found[].count", "format", 1, "1", "must be of type integer"),
    Row("status.deletion.export.outcome", "required", "Empty", REMOVED, "outcome: Required value", SUM),
    Row("status.deletion.export.outcome", "enum", "Expired", "Lost", "supported values"),
    Row("status.deletion.export.sha256", "maxLength", "0" * 64, "0" * 65, "more than 64", MADE),
    Row("status.deletion.completed", "maxItems", STEPS, [f"s{i}" for i in range(17)], "at most 16 items"),
    Row("status.deletion.completed", "x-kubernetes-list-type", STEPS, ["Keys", "Keys"], "Duplicate value"),
    Row("status.deletion.completed[]", "maxLength", "s" * 63, "s" * 64, "may not be more than 63"),
    Row("status.deletion.blockedBy", "maxLength", "s" * 63, "s" * 64, "may not be more than 63"),
]


def put(document: dict[str, Any], path: str, value: Any) -> None:
    """Set a field by path; `x[]` means the only item of list x, REMOVED takes the field away."""
    *parents, last = path.split(".")
    for parent in parents:
        if parent.endswith("[]"):
            items = document.setdefault(parent[:-2], [first(parent, path)])
            document = items[0]
        else:
            document = document.setdefault(parent, {})
    if last.endswith("[]"):
        document[last[:-2]] = [value]
    elif value is REMOVED:
        document.pop(last, None)
    else:
        document[last] = copy.deepcopy(value)


def first(parent: str, path: str) -> dict[str, Any]:
    """The item that a list gets when a field in it is set."""
    if parent == "abandon[]":
        return dict(STEP)
    if parent == "found[]":
        return dict(FOUND)
    return condition() if parent == "conditions[]" else {}


def tenant(fields: dict[str, Any]) -> dict[str, Any]:
    body = copy.deepcopy(TENANT)
    for path, value in fields.items():
        put(body, path, value)
    return body


def label(row: Row | Change) -> str:
    return f"{row.path}-{row.says}".replace(" ", "-")


@pytest.mark.parametrize("row", SPEC, ids=label)
def test_spec(tenants: Any, rule_holds: Any, row: Row) -> None:
    good, bad = (tenant({**row.extra, row.path: value}) for value in (row.good, row.bad))
    rule_holds(tenants.try_create, good, bad, row.says)


@pytest.mark.parametrize("row", CHANGES, ids=label)
@pytest.mark.promise("P5.3")
def test_change(tenants: Any, rule_holds: Any, row: Change) -> None:
    name = next(names)
    made = tenants.create(tenant({"metadata.name": name, row.path: row.old}))
    try:
        good, bad = copy.deepcopy(made), copy.deepcopy(made)
        put(good, row.path, row.good)
        put(bad, row.path, row.bad)
        rule_holds(tenants.replace, good, bad, row.says)
    finally:
        tenants.delete(name)


@pytest.fixture(scope="module")
def existing(tenants: Any) -> Iterator[dict[str, Any]]:
    name = next(names)
    yield tenants.create(tenant({"metadata.name": name}))
    tenants.delete(name)


@pytest.mark.parametrize("row", STATUS, ids=label)
def test_status(tenants: Any, said: Any, existing: dict[str, Any], row: Row) -> None:
    for value in (row.good, row.bad):
        body = copy.deepcopy(existing)
        for path, other in {**row.extra, row.path: value}.items():
            put(body, path, other)
        if value is row.good:
            tenants.replace_status(body)
            continue
        with pytest.raises(client.ApiException) as refused:
            tenants.replace_status(body)
        assert refused.value.status == 422
        assert row.says in said(refused.value)


def test_every_rule_has_a_row(rules_without: Any) -> None:
    rows: list[Row | Change] = [*SPEC, *STATUS, *CHANGES]
    plain = {(row.path, row.keyword) for row in rows if isinstance(row, Row)}
    assert rules_without(CRD, plain, [row.says for row in rows]) == []
