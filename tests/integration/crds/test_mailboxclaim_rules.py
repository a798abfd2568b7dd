"""Every rule of the MailboxClaim's schema, and that a mailbox is claimed once."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

CRD = Path(__file__).resolve().parents[3] / "crds/mailboxclaims.yaml"
UID = "0b7c4d1e-0000-4000-8000-000000000001"
CLAIM: dict[str, Any] = {
    "apiVersion": "guestpostcrm.com/v1alpha1",
    "kind": "MailboxClaim",
    "metadata": {"name": "mailbox-" + "0a" * 20},
    "spec": {"tenant": {"name": "acme", "uid": UID}},
}

# place, keyword, what is accepted, what is refused (None: left out), what is said
ROWS: list[tuple[str, str, Any, Any, str]] = [
    ("metadata.name", "rule", "mailbox-" + "f" * 40, "mailbox-anna-acme.example", "40 hexadecimal digits"),
    ("spec", "required", CLAIM["spec"], None, "spec: Required value"),
    ("spec.tenant", "required", CLAIM["spec"]["tenant"], None, "spec.tenant: Required value"),
    ("spec.tenant.name", "required", "acme", None, "spec.tenant.name: Required value"),
    ("spec.tenant.name", "minLength", "a", "", "at least 1 chars long"),
    ("spec.tenant.name", "maxLength", "a" * 63, "a" * 64, "may not be more than 63"),
    ("spec.tenant.name", "pattern", "acme-2", "Acme", "spec.tenant.name in body should match"),
    ("spec.tenant.uid", "required", UID, None, "spec.tenant.uid: Required value"),
    ("spec.tenant.uid", "minLength", UID, UID[:-1], "at least 36 chars long"),
    ("spec.tenant.uid", "maxLength", UID, UID + "1", "may not be more than 36"),
    ("spec.tenant.uid", "pattern", UID, UID.upper(), "spec.tenant.uid in body should match"),
]
CHANGES = [("spec.tenant.name", "beta"), ("spec.tenant.uid", UID.replace("1", "2"))]
CHANGED = "a claim never changes hands"


def claim(path: str, value: Any) -> dict[str, Any]:
    body = copy.deepcopy(CLAIM)
    *parents, last = path.split(".")
    place = body
    for parent in parents:
        place = place[parent]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return body


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1]}")
def test_rule(claims: Any, said: Any, row: tuple[str, str, Any, Any, str]) -> None:
    path, _, good, bad, says = row
    claims.create(claim(path, good), dry_run=True)
    with pytest.raises(client.ApiException) as refused:
        claims.create(claim(path, bad), dry_run=True)
    assert refused.value.status == 422
    assert says in said(refused.value)


@pytest.fixture
def made(claims: Any) -> Any:
    yield claims.create(CLAIM)
    claims.delete(CLAIM["metadata"]["name"])


@pytest.mark.promise("P5.2")
@pytest.mark.parametrize(("path", "value"), CHANGES, ids=str)
def test_a_claim_never_changes_hands(claims: Any, said: Any, made: Any, path: str, value: str) -> None:
    version = {"resourceVersion": made["metadata"]["resourceVersion"]}
    changed = claim(path, value)
    changed["metadata"] = {**changed["metadata"], **version}
    with pytest.raises(client.ApiException) as refused:
        claims.replace(changed)
    assert CHANGED in said(refused.value)


@pytest.mark.promise("P5.2")
def test_a_mailbox_is_claimed_once(claims: Any, made: Any) -> None:
    """Creation of a name is atomic: a second tenant is told that it is taken."""
    other = claim("spec.tenant.name", "beta")
    with pytest.raises(client.ApiException) as refused:
        claims.create(other)
    assert refused.value.status == 409


def test_every_rule_has_a_row(rules_without: Any) -> None:
    plain = {(path, keyword) for path, keyword, *_ in ROWS}
    assert rules_without(CRD, plain, [CHANGED, *(row[4] for row in ROWS)]) == []
