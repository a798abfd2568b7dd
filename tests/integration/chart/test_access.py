"""Ways into a customer's server without the customer: tried as a cluster admin, refused by the API server.

What the API server can't refuse is in docs/threat-model.md.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config

HERE = Path(__file__).parent
WAYS_IN = {each["way"]: each for each in yaml.safe_load((HERE / "ways-in.yaml").read_text())}
NAMESPACE = "gpt-access"
IN = ("-n", NAMESPACE)
OPERATOR = ("--as=system:serviceaccount:guestpost-system:operator", "--as-group=system:masters")
SAM = ("--as=sam@support.example", "--as-group=system:masters")
EVE = ("--as=eve@support.example", "--as-group=system:masters")
WEB = ("--as=system:serviceaccount:gpt-access:web", "--as-group=system:masters")
RECORDED = ("-c", "recorder", "--", "guestpost-crm", "support-shell")
JOB = "support-0a1b2c3d"
SHELL = f"{JOB}-x7k2p"
PATIENCE = 30.0


def pod(name: str, namespace: str = NAMESPACE) -> str:
    """Of a node that is not there: whoever gets past the API server is told so."""
    return yaml.safe_dump({**WAYS_IN["pod"]["apply"], "metadata": {"name": name, "namespace": namespace}})


def until(met: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def grant(namespace: str = NAMESPACE) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "guestpostcrm.com/v1alpha1",
            "kind": "SupportGrant",
            "metadata": {"name": "probe", "namespace": namespace},
            "spec": {
                "subject": "sam@support.example",
                "reason": "Ticket 4711: no new mail.",
                "level": "Shell",
            },
        }
    )


SURROUNDINGS = """\
apiVersion: v1
kind: Namespace
metadata:
  name: gpt-access
  labels: {guestpostcrm.com/tenant: access, pod-security.kubernetes.io/enforce: restricted}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: gpt-access}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: web, namespace: gpt-access}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: guestpost-tenant-web}
subjects: [{kind: ServiceAccount, name: web, namespace: gpt-access}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: gpt-access}
spec: {podSelector: {}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: trust, namespace: gpt-access}
"""
FOREIGN = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: volumesnapshots.snapshot.storage.k8s.io
  annotations: {api-approved.kubernetes.io: https://github.com/kubernetes-csi/external-snapshotter/pull/814}
spec:
  group: snapshot.storage.k8s.io
  scope: Namespaced
  names: {kind: VolumeSnapshot, plural: volumesnapshots}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: v1
kind: Namespace
metadata: {name: cnpg-system}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: cnpg-manager, namespace: cnpg-system}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: pv-access}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  hostPath: {path: /nowhere}
  claimRef: {namespace: gpt-access, name: db-1}
"""


@pytest.fixture(scope="module")
def access(installed: Any) -> Iterator[Any]:
    """A tenant's namespace with a web, a pod for a terminal, and a request that nobody has decided about."""
    installed.kubectl("apply", "--server-side", "-f", str(HERE.parent / "operator/cluster-crd.yaml"))
    installed.kubectl("apply", "-f", "-", stdin=FOREIGN)
    # Policies are in force within seconds of their creation; the one that is asked here is their file's last.
    until(
        lambda: (
            installed.run(
                "kubectl", "apply", "--dry-run=server", "-f", "-", stdin=grant("default")
            ).returncode
        )
    )
    installed.kubectl("apply", "-f", "-", *OPERATOR, stdin=SURROUNDINGS)
    for name in ("web-1", SHELL):
        installed.kubectl("apply", "-f", "-", *OPERATOR, stdin=pod(name))
    installed.kubectl("apply", "-f", "-", stdin=grant())
    yield installed
    installed.kubectl("delete", "pv", "pv-access", "--wait=false")


@pytest.mark.promise("P6.1")
@pytest.mark.parametrize("who", [(), EVE], ids=["admin", "another admin"])
@pytest.mark.parametrize("way", WAYS_IN.values(), ids=WAYS_IN)
def test_a_cluster_admin_is_refused(access: Any, way: dict[str, Any], who: tuple[str, ...]) -> None:
    words = [
        each
        for word in shlex.split(way.get("run", "apply -f -"))
        for each in (IN if word == "IN" else (word,))
    ]
    # kubectl's own options stand before the command that is to be run.
    at = words.index("--") if "--" in words else len(words)
    said = access.refused(*words[:at], *who, *words[at:], stdin=yaml.safe_dump(way.get("apply")))
    assert way["says"] in said


def decide(access: Any, decision: dict[str, Any], who: tuple[str, ...] | Path = ()) -> str:
    """Write a part of the request's status as the tenant's web does; what the API server says to it."""
    api = config.new_client_from_config(str(who if isinstance(who, Path) else access.plane.kubeconfig))
    headers = {"--as": "Impersonate-User", "--as-group": "Impersonate-Group"}
    for word in who if isinstance(who, tuple) else ():
        name, value = word.split("=", 1)
        api.set_default_header(headers[name], value)
    where = ("guestpostcrm.com", "v1alpha1", NAMESPACE, "supportgrants", "probe")
    try:
        client.CustomObjectsApi(api).patch_namespaced_custom_object_status(*where, {"status": decision})
    except client.ApiException as error:
        return str(json.loads(error.body)["message"])
    return ""


DENIED = {"approval": {"decision": "Denied", "decidedAt": "2026-11-24T12:00:00Z"}}
WHO = [(), SAM, OPERATOR, WEB]


@pytest.mark.promise("P6.1")
@pytest.mark.parametrize("who", WHO, ids=["admin", "the subject", "as operator", "as web"])
def test_nobody_decides_but_the_tenants_web(access: Any, who: tuple[str, ...]) -> None:
    """Not even who may take every name: a name alone comes without the mark that a token leaves."""
    assert "only the customer decides, in the CRM of access under Support" in decide(access, DENIED, who)
    assert "are the operator's to write" in decide(access, {"phase": "Active"}, who)


@pytest.mark.promise("P5.2")
@pytest.mark.promise("P6.1")
def test_the_tenants_web_decides_with_its_token_and_no_other_does(access: Any, tmp_path: Path) -> None:
    def holder(account: str, namespace: str = NAMESPACE) -> Path:
        content = yaml.safe_load(access.plane.kubeconfig.read_text())
        content["users"][0]["user"] = {"token": access.token(account, namespace)}
        path = tmp_path / f"{namespace}-{account}"
        path.write_text(json.dumps(content))
        return path

    neighbour = "gpt-access-2"
    access.kubectl("create", "namespace", neighbour)
    for namespace, account in ((neighbour, "web"), (NAMESPACE, "sync")):
        access.kubectl("create", "serviceaccount", account, "-n", namespace, *OPERATOR)
        # With the same rights, so that it is the policy that decides.
        rights = ("--clusterrole=guestpost-tenant-web", f"--serviceaccount={namespace}:{account}")
        access.kubectl("create", "rolebinding", f"{namespace}-{account}", *IN, *rights, *OPERATOR)
        assert "only the customer decides" in decide(access, DENIED, holder(account, namespace))
    web, operator = holder("web"), holder("operator", "guestpost-system")
    assert "are the operator's to write" in decide(access, {"phase": "Active"}, web)
    assert "only the customer decides" in decide(access, DENIED, operator)
    assert decide(access, DENIED, web) == ""
    assert decide(access, {"phase": "Denied"}, operator) == ""


@pytest.mark.promise("P6.1")
def test_the_subject_of_an_active_shell_gets_to_the_recorder_and_nowhere_else(access: Any) -> None:
    """As the operator writes down who may: past the API server there is no such node here."""

    def tried(who: tuple[str, ...], *arguments: str) -> str:
        return str(access.refused("exec", SHELL, *IN, *who, *arguments))

    entry = f"shell.guestpostcrm.com/{JOB}"
    access.kubectl("annotate", "namespace", NAMESPACE, f"{entry}=sam@support.example", *OPERATOR)
    until(lambda: '"nowhere" not found' in tried(SAM, *RECORDED))
    assert "eve@support.example has no approved SupportGrant of level Shell" in tried(EVE, *RECORDED)
    assert "has no approved SupportGrant" in access.refused("exec", "web-1", *IN, *SAM, *RECORDED)
    for other in (
        ("-c", "recorder", "--", "sh"),
        ("-c", "recorder", "--", "guestpost-crm", "support-shell", "x"),
        ("-c", "shell", "--", "guestpost-crm", "support-shell"),
    ):
        assert "this terminal is recorded for the customer" in tried(SAM, *other)
    assert "nobody gets into gpt-access by pods/attach" in access.refused("attach", SHELL, *IN, *SAM)
    access.kubectl("annotate", "namespace", NAMESPACE, f"{entry}-", *OPERATOR)
    until(lambda: "has no approved SupportGrant" in tried(SAM, *RECORDED))


def test_a_grant_is_made_where_its_customer_is(access: Any) -> None:
    said = access.refused("apply", "-f", "-", stdin=grant("default"))
    assert "make it in the namespace of the tenant, gpt-…, not in default" in said


def test_other_namespaces_are_as_ever(access: Any) -> None:
    where = ("-n", "not-a-tenant")
    access.kubectl("create", "namespace", "not-a-tenant")
    access.kubectl("create", "serviceaccount", "probe", *where)
    access.kubectl("apply", "-f", "-", stdin=pod("probe", "not-a-tenant"))
    assert '"nowhere" not found' in access.refused("exec", "probe", *where, "--", "sh")
    access.kubectl("create", "token", "probe", *where)
    access.kubectl("create", "rolebinding", "probe", "--clusterrole=view", "--user=eve", *where)
    access.kubectl("label", "namespace", "not-a-tenant", "pod-security.kubernetes.io/enforce=privileged")


@pytest.mark.parametrize(
    "who",
    [
        "system:serviceaccount:kube-system:replicaset-controller",
        "system:serviceaccount:kube-system:job-controller",
        "system:kube-controller-manager",
    ],
)
def test_kubernetes_itself_builds_what_the_operator_asks_for(access: Any, who: str) -> None:
    words = ("apply", "--dry-run=server", "-f", "-", f"--as={who}", "--as-group=system:masters")
    access.kubectl(*words, stdin=pod("probe"))


def test_programs_that_values_name_are_let_through(access: Any, render: Any) -> None:
    trusted = "system:serviceaccount:cert-manager:cert-manager"
    values = f'tenantAccess={{"trustedAccounts": ["{trusted}"], "nodeProxyAccounts": ["prometheus"]}}'
    rendered = render(
        HERE.parents[2] / "charts/guestpost-operator/ci/least-values.yaml", "--set-json", values
    )
    policies = {
        each["metadata"]["name"]: each for each in rendered if each["kind"] == "ValidatingAdmissionPolicy"
    }
    builders = json.dumps(policies["guestpost-nobody-else-builds-in-tenants"]["spec"]["matchConditions"])
    assert builders.count(trusted) == 2, "by name and by group"
    assert "prometheus" in json.dumps(policies["guestpost-no-way-through-nodes"]["spec"]["validations"])
