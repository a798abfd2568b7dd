"""What the API server refuses around exports, requests, usage and erasures, and to whom."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

import pytest
import yaml

NAMESPACE = "gpt-ending"
OPERATOR = "operator"


def body(kind: str, name: str, namespace: str = NAMESPACE, **spec: Any) -> str:
    metadata = {"name": name, "namespace": namespace}
    return yaml.safe_dump(
        {"apiVersion": "guestpostcrm.com/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
    )


class People:
    """kubectl with tokens of the accounts that matter; an admin besides."""

    def __init__(self, installed: Any) -> None:
        self.installed = installed
        self._tokens: dict[str, str] = {}

    def know(self, account: str, namespace: str) -> None:
        self._tokens[account] = self.installed.token(account, namespace)

    def run(self, who: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        as_whom = () if who == "admin" else (self.installed.kubeconfig_with(self._tokens[who]),)
        done: subprocess.CompletedProcess[str] = self.installed.run(
            "kubectl", *as_whom, *arguments, stdin=stdin
        )
        return done

    def may(self, who: str, *arguments: str, stdin: str = "") -> str:
        done = self.run(who, *arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, who: str, *arguments: str, stdin: str = "") -> str:
        done = self.run(who, *arguments, stdin=stdin)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def patch(self, who: str, path: str, status: dict[str, Any]) -> int:
        code: int = self.installed.patch_status(self._tokens[who], path, status)
        return code


@pytest.fixture(scope="module")
def people(installed: Any) -> People:
    """A tenant's namespace as the operator makes it, once the policies are in force."""
    kubelet = getattr(installed, "KUBELET", ())
    installed.tenant("ending")
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {"guestpostcrm.com/tenant": "ending"}},
    }
    operator = "--as=system:serviceaccount:guestpost-system:operator"
    installed.kubectl("create", operator, "-f", "-", stdin=yaml.safe_dump(namespace))
    found = People(installed)
    for account in ("web", "export"):
        installed.kubectl("create", "serviceaccount", account, "-n", NAMESPACE, *kubelet)
        role = f"--clusterrole=guestpost-tenant-{account}"
        subject = f"--serviceaccount={NAMESPACE}:{account}"
        installed.kubectl("create", "rolebinding", account, role, subject, "-n", NAMESPACE, *kubelet)
        found.know(account, NAMESPACE)
    found.know(OPERATOR, "guestpost-system")
    deadline = time.monotonic() + 30
    probe = body("TenantRequest", "probe", type="Erase")
    while found.run("admin", "create", "--dry-run=server", "-f", "-", stdin=probe).returncode == 0:
        assert time.monotonic() < deadline, "the policies are not in force"
        time.sleep(0.1)
    return found


DRY = ("create", "--dry-run=server", "-f", "-")


@pytest.mark.promise("P9.2")
def test_only_the_tenants_own_web_makes_requests(people: People) -> None:
    asked = body("TenantRequest", "one", type="Erase")
    said = people.refused("admin", *DRY, stdin=asked)
    assert "only the tenant's own web makes it; staff sets spec.deletion.requested" in said
    # Who only says that they are the web has no token of it.
    pretending = (f"--as=system:serviceaccount:{NAMESPACE}:web", "--as-group=system:masters")
    assert "only the tenant's own web" in people.refused("admin", *DRY, *pretending, stdin=asked)
    people.may("web", *DRY, stdin=asked)
    elsewhere = body("TenantRequest", "one", "default", type="Erase")
    assert "forbidden" in people.refused("web", *DRY, stdin=elsewhere)
    assert "forbidden" in people.refused("export", *DRY, stdin=asked)


@pytest.mark.promise("P9.2")
def test_only_the_operator_answers(people: People) -> None:
    people.may("web", "create", "-f", "-", stdin=body("TenantRequest", "answered", type="CancelErasure"))
    patch = ("patch", "gpr", "answered", "-n", NAMESPACE, "--subresource=status", "--type=merge", "-p")
    said = people.refused("admin", *patch, '{"status": {"phase": "Accepted"}}')
    assert "the operator's answer to the customer" in said
    path = f"/apis/guestpostcrm.com/v1alpha1/namespaces/{NAMESPACE}/tenantrequests/answered/status"
    assert people.patch(OPERATOR, path, {"phase": "Accepted"}) == 200
    assert people.patch("web", path, {"phase": "Refused"}) == 403


def usage(namespace: str = NAMESPACE, **metadata: Any) -> str:
    head = {"name": "usage", "namespace": namespace, **metadata}
    status = {"reportedAt": "2026-11-24T12:00:00Z", "people": 3}
    kind = {"apiVersion": "guestpostcrm.com/v1alpha1", "kind": "TenantUsage"}
    return yaml.safe_dump({**kind, "metadata": head, "status": status})


@pytest.mark.promise("P7.1")
def test_only_the_tenants_own_web_tells_its_numbers_and_nothing_else(people: People) -> None:
    told = usage()
    for who in ("admin", OPERATOR, "export"):
        said = people.refused(who, *DRY, stdin=told)
        assert "told by the tenant's own web" in said if who == "admin" else "forbidden" in said
    pretending = (f"--as=system:serviceaccount:{NAMESPACE}:web", "--as-group=system:masters")
    assert "told by the tenant's own web" in people.refused("admin", *DRY, *pretending, stdin=told)
    for words in ({"labels": {"subject": "Offer"}}, {"annotations": {"subject": "Offer"}}):
        said = people.refused("web", *DRY, stdin=usage(**words))
        assert "no labels and no annotations" in said
    apply = ("apply", "--server-side", "--field-manager=guestpost-crm-usage", "-f", "-")
    people.may("web", *apply, stdin=told)
    people.may("web", *apply, stdin=told.replace("people: 3", "people: 4"))
    assert "told by the tenant's own web" in people.refused(
        "admin",
        "patch",
        "tenantusage",
        "usage",
        "-n",
        NAMESPACE,
        "--type=merge",
        "-p",
        '{"status": {"people": 9}}',
    )


@pytest.mark.promise("P9.1")
@pytest.mark.parametrize(
    ("who", "by", "allowed"),
    [
        ("web", "Customer", True),
        ("web", "Staff", False),
        ("web", "Erasure", False),
        ("admin", "Staff", True),
        ("admin", "Customer", False),
        (OPERATOR, "Erasure", True),
        (OPERATOR, "Customer", False),
    ],
)
def test_who_asks_for_an_export_is_who_it_says(people: People, who: str, by: str, allowed: bool) -> None:
    asked = body("TenantExport", "one", requestedBy=by)
    if allowed:
        people.may(who, *DRY, stdin=asked)
    else:
        assert "spec.requestedBy says who asks" in people.refused(who, *DRY, stdin=asked)


def test_an_export_is_made_where_its_tenant_is(people: People) -> None:
    said = people.refused("admin", *DRY, stdin=body("TenantExport", "one", "default", requestedBy="Staff"))
    assert "make it in the namespace of the tenant, gpt-…, not in default" in said


@pytest.mark.promise("P9.2")
def test_the_name_of_the_last_export_is_the_operators(people: People) -> None:
    last = body("TenantExport", "final-export", requestedBy="Staff")
    assert "is for the last export of a tenant that is erased" in people.refused("admin", *DRY, stdin=last)
    people.may(OPERATOR, *DRY, stdin=body("TenantExport", "final-export", requestedBy="Erasure"))


@pytest.mark.promise("P9.2")
def test_how_far_an_export_is_comes_from_its_own_pod(people: People) -> None:
    """An erasure goes by whether its last export was downloaded."""
    people.may("admin", "create", "-f", "-", stdin=body("TenantExport", "told", requestedBy="Staff"))
    path = f"/apis/guestpostcrm.com/v1alpha1/namespaces/{NAMESPACE}/tenantexports/told/status"
    downloaded = {"phase": "Complete", "downloadedAt": "2026-11-24T12:00:00Z"}
    patch = ("patch", "gpx", "told", "-n", NAMESPACE, "--subresource=status", "--type=merge", "-p")
    assert "from its own pod" in people.refused("admin", *patch, json.dumps({"status": downloaded}))
    assert people.patch("web", path, downloaded) == 403
    assert people.patch("export", path, downloaded) == 200
    assert people.patch(OPERATOR, path, {"phase": "Expired"}) == 200


@pytest.mark.promise("P9.2")
def test_an_export_of_a_tenant_being_erased_is_refused(people: People) -> None:
    operator = ("--as=system:serviceaccount:guestpost-system:operator", "--as-group=system:masters")
    people.may("admin", "label", "namespace", NAMESPACE, "guestpostcrm.com/erasing=true", *operator)
    try:
        for who, by in (("admin", "Staff"), ("web", "Customer")):
            said = people.refused(who, *DRY, stdin=body("TenantExport", "late", requestedBy=by))
            assert "tenant ending is being erased: no other export is made" in said
        people.may(OPERATOR, *DRY, stdin=body("TenantExport", "final-export", requestedBy="Erasure"))
    finally:
        people.may("admin", "label", "namespace", NAMESPACE, "guestpostcrm.com/erasing-", *operator)


@pytest.mark.promise("P9.2")
def test_a_state_that_contradicts_a_deletion_is_refused(people: People) -> None:
    people.installed.tenant("contradiction")
    patch = ("patch", "gpt", "contradiction", "--type=merge", "-p")
    people.may("admin", *patch, '{"metadata": {"finalizers": ["guestpostcrm.com/erasure"]}}')
    people.may("admin", *patch, '{"spec": {"deletion": {"requested": true}}}')
    people.may("admin", "delete", "gpt", "contradiction", "--wait=false")
    for change in (
        {"state": "Hibernated"},
        {"plan": "Growth"},
        {"hostname": "crm.elsewhere.example"},
        {"state": "Suspended", "suspendReason": "unpaid"},
    ):
        said = people.refused("admin", *patch, json.dumps({"spec": change}))
        assert "tenant contradiction is being erased: only spec.deletion can still be changed" in said
    said = people.refused("admin", *patch, '{"spec": {"deletion": {"requested": false}}}')
    assert "has begun and can't be taken back" in said
    # What an erasure still goes by can be changed, and it can be stopped where it is.
    abandon = [{"step": "Messaging", "reason": "the project was shut down"}]
    for deletion in ({"finalExport": "Skip"}, {"abandon": abandon}, {"gracePeriodSeconds": 60}):
        people.may("admin", *patch, json.dumps({"spec": {"deletion": deletion}}))
    people.may("admin", *patch, '{"metadata": {"finalizers": null}}')


@pytest.mark.promise("P9.2")
def test_receipts_are_the_operators_word(people: People) -> None:
    uid = "0b7c4d1e-0000-4000-8000-000000000001"
    statement = {
        "tenantUID": uid,
        "requestedBy": "Customer",
        "startedAt": "2026-11-24T12:00:00Z",
        "completedAt": "2026-11-24T12:00:01Z",
        "verified": True,
        "finalExport": {"outcome": "Skipped"},
        "removed": [],
        "steps": [{"step": "Keys", "outcome": "Verified"}],
        "operator": "1.0.0",
    }
    signature = {"algorithm": "Ed25519", "keyID": "0" * 16, "value": "A" * 86 + "=="}
    receipt = yaml.safe_dump(
        {
            "apiVersion": "guestpostcrm.com/v1alpha1",
            "kind": "ErasureReceipt",
            "metadata": {"name": f"erasure-{uid}"},
            "spec": {"statement": statement, "signature": signature},
        }
    )
    assert "written by the operator" in people.refused("admin", *DRY, stdin=receipt)
    people.may(OPERATOR, *DRY, stdin=receipt)
