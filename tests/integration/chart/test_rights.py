"""The operator at work with just the rights that the chart gives it, and with each of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from guestpost_operator import checks
from guestpost_operator.api import names
from guestpost_operator.backends.kinds import OWNED

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent
PATIENCE = 60.0
GATEWAY = {"routing.kind": '"HTTPRoute"', "routing.gateway": '{"name": "g", "namespace": "gateway"}'}

Right = tuple[str, str, str]


def until(met: Callable[[], object], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < deadline, what()
        time.sleep(0.2)


class Tenant:
    """The tenant `rights`, as people see it."""

    def __init__(self, installed: Any) -> None:
        self.installed = installed
        installed.tenant("rights")

    def get(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.installed.kubectl("get", "gpt", "rights", "-o", "json"))
        return body

    def conditions(self) -> dict[str, Any]:
        return {each["type"]: each for each in self.get().get("status", {}).get("conditions", [])}

    def wait(self, condition: str, status: str = "True") -> None:
        def so() -> bool:
            return bool(self.conditions().get(condition, {}).get("status") == status)

        until(so, lambda: f"{condition} {status}: {json.dumps(self.conditions(), indent=1)}")

    def has(self, *names: str) -> bool:
        done = self.installed.run("kubectl", "get", *names, "-n", "gpt-rights", "-o", "name")
        return len(done.stdout.split()) == len(names)


def used(log: Path, since: int) -> tuple[set[Right], list[str]]:
    """Rights by API group, resource and verb that the operator made use of, and what it was refused.

    Args:
        log: the API server's audit log of the operator's account.
        since: bytes of it that are from before; other tests borrow the account, to be refused.
    """
    rights: set[Right] = set()
    refused: list[str] = []
    for line in log.read_bytes()[since:].decode().splitlines():
        event = json.loads(line)
        ref, code = event.get("objectRef"), event.get("responseStatus", {}).get("code", 0)
        if not ref:
            continue
        resource = ref["resource"] + (f"/{ref['subresource']}" if ref.get("subresource") else "")
        if code == 403:
            refused.append(f"{event['verb']} {resource}: {event['responseStatus'].get('message')}")
        rights.add((ref.get("apiGroup", ""), resource, event["verb"]))
        if event["verb"] == "patch" and code == 201:
            # Applying what is not there needs both.
            rights.add((ref.get("apiGroup", ""), resource, "create"))
    return rights, refused


def granted() -> set[Right]:
    rights = {
        (kind.api_version.rpartition("/")[0], kind.plural, verb)
        for kind, verbs in checks.RIGHTS
        for verb in verbs
    }
    return rights | {
        (names.GROUP, f"{each}/status", "patch") for each in (names.TENANTS, names.EXPORTS, names.REQUESTS)
    }


@pytest.mark.promise("P8.2")
@pytest.mark.usefixtures("pubsub")
def test_each_right_is_used_and_none_is_missing(installed: Any, tmp_path: Path) -> None:
    for crds in ("cluster-crd", "snapshot-crds"):
        path = ROOT / f"tests/integration/operator/{crds}.yaml"
        installed.kubectl("apply", "--server-side", "-f", str(path))
    log, audit = tmp_path / "operator.log", installed.folder / "audit.log"
    before = audit.stat().st_size
    with installed.operator(tmp_path, log):
        tenant = Tenant(installed)
        tenant.wait("MessagingReady")
        until(lambda: tenant.has("deployment/web", "deployment/sync", "ingress/web"), log.read_text)
        change(installed, tenant)
    # From now on by Gateway API.
    with installed.operator(tmp_path, log, **GATEWAY):
        until(lambda: tenant.has("httproute/web", "backendtlspolicy/web"), log.read_text)
    # A start that finds its revision stored already.
    with installed.operator(tmp_path, log, **GATEWAY):
        ask(installed, tenant)
        leave(installed, tenant)
        erase(installed)
    rights, refused = used(audit, before)
    assert refused == []
    assert granted() - rights == set(), "granted and not used"
    kinds = {kind.plural for kind in OWNED}
    assert {each for each in rights - granted() if each[1].partition("/")[0] in kinds} == set()


def change(installed: Any, tenant: Tenant) -> None:
    """Give the operator everything to do that it does to a tenant that runs."""
    uid = tenant.get()["metadata"]["uid"]
    ours = {names.LABEL_MANAGED_BY: names.FIELD_MANAGER, names.LABEL_TENANT_UID: uid}
    left = (HERE / "left-overs.yaml").read_text().replace("LABELS", json.dumps(ours)).replace("UID", uid)
    installed.kubectl("apply", "-f", "-", *installed.KUBELET, stdin=left)
    label = f"{names.LABEL_TENANT_UID}-"
    installed.kubectl("label", "secret", "db-credentials", "-n", "gpt-rights", label, *installed.KUBELET)
    # Who could turn the policies off, could do this too.
    operator = ("--as=system:serviceaccount:guestpost-system:operator", "--as-group=system:masters")
    installed.kubectl("label", "namespace", "gpt-rights", "pod-security.kubernetes.io/warn-", *operator)
    labels = "jsonpath={.metadata.labels}"

    def settled() -> bool:
        kinds = "resourcequota,limitrange,networkpolicy,serviceaccount,configmap,deployment,service,ingress"
        routes = "httproute,backendtlspolicy,rolebinding,statefulset,job"
        found = installed.kubectl("get", f"{kinds},{routes}", "-n", "gpt-rights", "-o", "name")
        secret = installed.kubectl("get", "secret", "db-credentials", "-n", "gpt-rights", "-o", labels)
        namespace = installed.kubectl("get", "namespace", "gpt-rights", "-o", labels)
        return "left-over" not in found and uid in secret and "kubernetes.io/warn" in namespace

    until(settled, lambda: "left-overs are there, or labels are missing")
    installed.kubectl("annotate", "gpt", "rights", f"{names.ANNOTATION_PAUSED}=true")
    tenant.wait("Paused")
    installed.kubectl("annotate", "gpt", "rights", f"{names.ANNOTATION_PAUSED}-")
    tenant.wait("Paused", "False")


def put(kind: str, name: str, **spec: Any) -> str:
    """An object of ours in the tenant's namespace, for kubectl."""
    metadata = {"name": name, "namespace": "gpt-rights"}
    api = f"{names.GROUP}/{names.VERSION}"
    return json.dumps({"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec})


def say(installed: Any, what: str, name: str, status: dict[str, Any]) -> None:
    """Be the controller or the pod that says how far something is."""
    patch = ("patch", what, name, "-n", "gpt-rights", "--subresource=status", "--type=merge", "-p")
    installed.kubectl(*patch, json.dumps({"status": status}), *installed.KUBELET)


def ask(installed: Any, tenant: Tenant) -> None:
    """Ask for an export and take it back, and ask for the erasure as the customer does."""
    ready = {"type": "Ready", "status": "True", "reason": "Ready", "message": ""}
    say(installed, "clusters.postgresql.cnpg.io", "db", {"readyInstances": 1, "conditions": [ready]})
    tenant.wait("DatabaseReady")
    installed.kubectl("create", "-f", "-", stdin=put("TenantExport", "probe", requestedBy="Staff"))
    until(lambda: tenant.has("statefulset/export-probe"), lambda: "no pod for the export")
    installed.kubectl("delete", "gpx", "probe", "-n", "gpt-rights")
    until(lambda: not tenant.has("statefulset/export-probe"), lambda: "a pod without its export")
    patch = {"spec": {"deletion": {"gracePeriodSeconds": 1}}}
    installed.kubectl("patch", "gpt", "rights", "--type=merge", "-p", json.dumps(patch))
    web = installed.token("web", "gpt-rights")
    for name, kind in (("request-1", "CancelErasure"), ("request-2", "Erase")):
        request = put("TenantRequest", name, type=kind)
        installed.kubectl(installed.kubeconfig_with(web), "create", "-f", "-", stdin=request)
    until(lambda: not tenant.has("gpr/request-1"), lambda: "a request that counts no more")


def leave(installed: Any, tenant: Tenant) -> None:
    """Be the owner who downloads the last export, and the Job that revokes the consents."""
    until(lambda: tenant.has("gpx/final-export"), lambda: "no last export")
    export = installed.token("export", "gpt-rights")
    path = f"/apis/{names.GROUP}/{names.VERSION}/namespaces/gpt-rights/tenantexports/final-export/status"
    told = {"phase": "Complete", "downloadedAt": "2026-11-24T12:00:00Z", "counts": {"messages": 1}}
    assert installed.patch_status(export, path, {**told, "sha256": "0a" * 32}) == 200

    def pod() -> str:
        """Of the off-boarding run."""
        run = "app.kubernetes.io/component=sync,batch.kubernetes.io/job-name"
        found = installed.kubectl("get", "pods", "-n", "gpt-rights", "-l", run, "-o", "name").split()
        return next((each.partition("/")[2] for each in found if "/offboard-" in each), "")

    until(pod, lambda: "no off-boarding run")
    say(installed, "pod", pod(), {"phase": "Succeeded"})


def erase(installed: Any) -> None:
    """Be the disk's driver: the volume goes once its policy says so."""
    policy = ("get", "pv", "pv-rights", "-o", "jsonpath={.spec.persistentVolumeReclaimPolicy}")
    until(lambda: installed.kubectl(*policy) == "Delete", lambda: "the volume is retained")
    installed.kubectl("delete", "pv", "pv-rights")
    for each in ("gpt/rights", "namespace/gpt-rights"):
        gone = ("kubectl", "get", each)
        until(lambda gone=gone: installed.run(*gone).returncode != 0, lambda: " ".join(gone))  # noqa: B023
