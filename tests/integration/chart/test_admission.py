"""What the API server refuses once the chart is installed, and to whom."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import yaml
from kubernetes import client, config

OPERATOR = "--as=system:serviceaccount:guestpost-system:operator"
BROKER = "--as=system:serviceaccount:guestpost-system:broker"
FINALIZER = "guestpostcrm.com/erasure"
GUARD = "--as=system:serviceaccount:guestpost-system:uninstall-guard"


@pytest.fixture(scope="session")
def policies(installed: Any) -> Any:
    """The installation, once its policies are in force (they are within seconds of their creation)."""
    installed.tenant("probe", deletion={"protected": True})
    deadline = time.monotonic() + 30
    while True:
        done = installed.run("kubectl", "delete", "gpt", "probe", "--dry-run=server")
        if done.returncode != 0:
            return installed
        assert time.monotonic() < deadline, "the policies are not in force"
        time.sleep(0.1)


def configmap(namespace: str) -> str:
    return yaml.safe_dump(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe", "namespace": namespace}}
    )


def test_policies_are_well_typed(installed: Any) -> None:
    """The API server type-checks CEL against the kinds that it matches, and notes what it dislikes."""
    deadline = time.monotonic() + 30
    while True:
        items = json.loads(installed.kubectl("get", "validatingadmissionpolicy", "-o", "json"))["items"]
        if all(each.get("status", {}).get("observedGeneration") for each in items):
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert len(items) == 19
    for each in items:
        assert "expressionWarnings" not in each["status"].get("typeChecking", {}), each["metadata"]["name"]


def test_tenants_are_born_with_our_finalizer_and_keep_others(installed: Any) -> None:
    assert installed.finalizers(born="with-finalizer") == [FINALIZER]
    assert installed.finalizers("acme.example/own", born="with-finalizer") == ["acme.example/own", FINALIZER]
    assert installed.finalizers(FINALIZER, born="with-finalizer") == [FINALIZER]


@pytest.mark.promise("P9.2")
def test_a_protected_tenant_is_not_deleted(policies: Any) -> None:
    policies.tenant("admission-kept", deletion={"protected": True})
    said = policies.refused("delete", "gpt", "admission-kept")
    assert "tenant admission-kept is protected" in said
    command = (
        """kubectl patch gpt admission-kept --type=merge -p '{"spec":{"deletion":{"protected":false}}}\'"""
    )
    assert command in said
    policies.kubectl(*command.replace("'", "").split()[1:])
    policies.kubectl("delete", "gpt", "admission-kept")


def test_a_tenant_that_is_not_protected_is_deleted(policies: Any) -> None:
    policies.tenant("admission-gone")
    policies.kubectl("delete", "gpt", "admission-gone")


def test_deleting_all_tenants_at_once_spares_the_protected(policies: Any) -> None:
    said = policies.refused("delete", "gpt", "--all", "--dry-run=server")
    assert "tenant probe is protected" in said


@pytest.mark.promise("P1.1")
def test_the_brokers_host_name_is_not_for_tenants(policies: Any) -> None:
    """Who comes back from Google must meet the broker and nobody else."""
    with pytest.raises(client.ApiException) as refused:
        policies.tenant("admission-host", hostname="broker.crm.example.com")
    said = json.loads(refused.value.body)["message"]
    assert "the host name broker.crm.example.com is the consent broker's" in said
    policies.tenant("admission-host", hostname="brokers.crm.example.com")


@pytest.mark.promise("P5.1")
def test_a_tenants_namespace_goes_with_its_tenant_only(policies: Any) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "gpt-admission", "labels": {"guestpostcrm.com/tenant": "admission"}},
    }
    policies.kubectl("create", OPERATOR, "-f", "-", stdin=yaml.safe_dump(body))
    said = policies.refused("delete", "namespace", "gpt-admission")
    assert "goes with its tenant: kubectl delete gpt admission" in said
    policies.kubectl("delete", OPERATOR, "namespace", "gpt-admission", "--wait=false")


def test_other_namespaces_are_deleted_as_ever(policies: Any) -> None:
    policies.kubectl("create", "namespace", "somebody-elses")
    policies.kubectl("delete", "namespace", "somebody-elses", "--wait=false")


def test_our_crds_are_deleted_only_when_that_is_meant(policies: Any) -> None:
    name = "guestposttenants.guestpostcrm.com"
    said = policies.refused("delete", "crd", name)
    assert "would delete every object of it" in said
    assert f"kubectl annotate crd {name} guestpostcrm.com/allow-deletion=true" in said
    policies.kubectl("annotate", "crd", name, "guestpostcrm.com/allow-deletion=true")
    policies.kubectl("delete", "crd", name, "--dry-run=server")
    policies.kubectl("annotate", "crd", name, "guestpostcrm.com/allow-deletion-")


@pytest.mark.promise("P8.2")
def test_the_operator_writes_to_tenants_namespaces_and_its_own_only(policies: Any) -> None:
    policies.kubectl("create", "namespace", "gpt-fence")
    for namespace in ("gpt-fence", "guestpost-system"):
        policies.kubectl("apply", OPERATOR, "--server-side", "-f", "-", stdin=configmap(namespace))
    for namespace in ("kube-system", "default"):
        said = policies.refused("apply", OPERATOR, "--server-side", "-f", "-", stdin=configmap(namespace))
        assert f"namespaces of tenants (gpt-…) and to its own only, not to {namespace}" in said
    assert "not to elsewhere" in policies.refused("create", OPERATOR, "namespace", "elsewhere")


@pytest.mark.promise("P8.2")
def test_the_operator_changes_the_volumes_of_tenants_only(policies: Any) -> None:
    """They have no namespace that the fence could look at."""
    for name, namespace in (("fence-theirs", "somebody"), ("fence-ours", "gpt-fence")):
        spec = {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": namespace, "name": "data"},
            "hostPath": {"path": "/nowhere"},
        }
        body = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}
        policies.kubectl("create", "-f", "-", stdin=yaml.safe_dump(body))
    # kubectl reads a volume before it patches it; the operator does not, and may not.
    api = config.new_client_from_config(str(policies.plane.kubeconfig))
    api.set_default_header("Impersonate-User", OPERATOR.removeprefix("--as="))
    volumes = client.CoreV1Api(api)
    patch = {"spec": {"persistentVolumeReclaimPolicy": "Delete"}}
    volumes.patch_persistent_volume("fence-ours", patch)
    with pytest.raises(client.ApiException) as refused:
        volumes.patch_persistent_volume("fence-theirs", patch)
    assert (
        "volumes that tenants (gpt-…) have claimed, not fence-theirs"
        in json.loads(refused.value.body)["message"]
    )
    policies.kubectl("delete", "pv", "fence-theirs", "fence-ours", "--wait=false")


def test_the_operator_writes_to_tenants_and_their_status(policies: Any) -> None:
    """Cluster-scoped: the fence has no namespace to look at."""
    policies.tenant("admission-fenced")
    patch = ("patch", "gpt", "admission-fenced", OPERATOR, "--type=merge", "-p")
    policies.kubectl(*patch, '{"metadata": {"finalizers": ["guestpostcrm.com/erasure"]}}')
    # kubectl reads a status before it patches it; the operator does not, and may not.
    api = config.new_client_from_config(str(policies.plane.kubeconfig))
    api.set_default_header("Impersonate-User", OPERATOR.removeprefix("--as="))
    body = {"status": {"phase": "Pending"}}
    client.CustomObjectsApi(api).patch_cluster_custom_object_status(
        "guestpostcrm.com", "v1alpha1", "guestposttenants", "admission-fenced", body
    )
    policies.kubectl(*patch, '{"metadata": {"finalizers": null}}')


def test_the_operator_may_tell_events_about_tenants(policies: Any) -> None:
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "probe", "namespace": "default"},
        "eventTime": "2026-03-01T12:00:00.000000Z",
        "type": "Normal",
        "reason": "Ready",
        "action": "Reconcile",
        "reportingController": "guestpost-operator",
        "reportingInstance": "test",
        "regarding": {"apiVersion": "guestpostcrm.com/v1alpha1", "kind": "GuestPostTenant", "name": "probe"},
    }
    policies.kubectl("create", OPERATOR, "-f", "-", stdin=yaml.safe_dump(event))


RIGHTS = [
    (OPERATOR, "patch guestposttenants.guestpostcrm.com --subresource=status", True),
    (OPERATOR, "update guestposttenants.guestpostcrm.com", False),
    (OPERATOR, "create guestposttenants.guestpostcrm.com", False),
    (OPERATOR, "create pods --subresource=exec", False),
    (OPERATOR, "create serviceaccounts --subresource=token", False),
    (OPERATOR, "create roles.rbac.authorization.k8s.io", False),
    (OPERATOR, "create clusterrolebindings.rbac.authorization.k8s.io", False),
    (OPERATOR, "get pods --subresource=log", False),
    (OPERATOR, "create mailboxclaims.guestpostcrm.com", False),
    (BROKER, "create tokenreviews.authentication.k8s.io", True),
    (BROKER, "create mailboxclaims.guestpostcrm.com", True),
    (BROKER, "get guestposttenants.guestpostcrm.com", True),
    (BROKER, "list mailboxclaims.guestpostcrm.com", False),
    (BROKER, "patch guestposttenants.guestpostcrm.com", False),
    (BROKER, "get secrets", False),
    (BROKER, "list pods", False),
    (GUARD, "list guestposttenants.guestpostcrm.com", True),
    (GUARD, "delete guestposttenants.guestpostcrm.com", False),
    (GUARD, "list secrets", False),
]


@pytest.mark.promise("P8.2")
@pytest.mark.parametrize(
    ("who", "what", "allowed"), RIGHTS, ids=[f"{w.split(':')[-1]} {x}" for w, x, _ in RIGHTS]
)
def test_rights(installed: Any, who: str, what: str, allowed: bool) -> None:
    done = installed.run("kubectl", "auth", "can-i", *what.split(), who, "--all-namespaces")
    assert done.stdout.split()[-1:] == ["yes" if allowed else "no"], done.stderr
