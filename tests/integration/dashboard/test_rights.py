"""No mail content, ever: neither the dashboard's own account nor its pages have a way to any."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from cryptography.fernet import Fernet
from dashboard_world import CHART, HOST, NAMESPACE, Served, World
from guestpost_dashboard.identity import Person
from guestpost_dashboard.sessions import Session
from guestpost_dashboard.settings import Impersonation
from kubernetes import client
from localkube import binaries
from localkube.process import free_port

# What Kubernetes lets everybody do who is known: ask who one is and what one may.
EVERYBODY = {
    ("authentication.k8s.io", "selfsubjectreviews", "create"),
    ("authorization.k8s.io", "selfsubjectaccessreviews", "create"),
    ("authorization.k8s.io", "selfsubjectrulesreviews", "create"),
}
OWN = {("guestpostcrm.com", "guestposttenants", verb) for verb in ("get", "list", "watch")}
# What a request may name when a page is shown, whoever looks.
SHOWN = re.compile(
    r"/apis/guestpostcrm\.com/v1alpha1/(guestposttenants(/[-a-z0-9.]+)?"
    r"|namespaces/[-a-z0-9.]+/(tenantexports|supportgrants|tenantrequests|tenantusages/usage))"
    r"|/apis/(authorization|authentication)\.k8s\.io/v1/selfsubject(access)?reviews"
    r"|/apis/events\.k8s\.io/v1/namespaces/[-a-z0-9.]+/events"
    r"|/(api/v1|apis/(apps|batch|networking\.k8s\.io|gateway\.networking\.k8s\.io|postgresql\.cnpg\.io)/v1)"
    r"/namespaces/[-a-z0-9.]+/(deployments|jobs|pods|clusters|persistentvolumeclaims|services|httproutes"
    r"|ingresses|networkpolicies|resourcequotas)"
    r"|/openapi/v3/apis/guestpostcrm\.com/v1alpha1"
    r"|/api/v1/namespaces/guestpost-system/configmaps/rollout"
)


def rules(token: str, server: World, namespace: str) -> set[tuple[str, str, str]]:
    """What `kubectl auth can-i --list` would print of whoever has the token."""
    configuration = client.Configuration(host=server.plane.server)
    configuration.ssl_ca_cert = str(server.ca_file)
    configuration.api_key = {"authorization": f"Bearer {token}"}
    with client.ApiClient(configuration) as connected:
        body = client.V1SelfSubjectRulesReview(spec=client.V1SelfSubjectRulesReviewSpec(namespace=namespace))
        review = client.AuthorizationV1Api(connected).create_self_subject_rules_review(body)
    return {
        (group, resource, verb)
        for rule in review.status.resource_rules
        for group in rule.api_groups
        for resource in rule.resources
        for verb in rule.verbs
    }


@pytest.mark.promise("P6.1")
@pytest.mark.parametrize("namespace", ["gpt-acme", NAMESPACE, "kube-system", "default"])
def test_the_dashboards_own_account_may_read_tenants_and_nothing_else(
    api_server: World, namespace: str
) -> None:
    assert rules(api_server.token("dashboard"), api_server, namespace) - EVERYBODY == OWN


@pytest.mark.promise("P6.1")
@pytest.mark.parametrize("namespace", ["gpt-acme", "default"])
@pytest.mark.parametrize("role", ["viewer", "provisioner", "support"])
def test_no_role_of_the_staff_reads_secrets_or_gets_into_pods(
    api_server: World, role: str, namespace: str
) -> None:
    found = rules(api_server.token(role), api_server, namespace)
    resources = {resource for _, resource, _ in found}
    ways = {"*", "secrets", "configmaps", "serviceaccounts/token", "nodes/proxy", "services/proxy"}
    assert not resources & ways
    assert not {each for each in resources if each.startswith("pods")}
    assert not {verb for _, _, verb in found} & {"impersonate", "escalate", "bind", "proxy", "*"}


@pytest.mark.promise("P6.1")
def test_what_pages_ask_the_api_server_for_holds_no_mail_even_when_a_cluster_admin_looks(
    api_server: World, wire: Any, person: Callable[[str], Any], dashboard: Any
) -> None:
    """A way that no page takes can't be taken by mistake, whatever the person may."""
    core = api_server.core
    core.create_namespaced_service_account(NAMESPACE, {"metadata": {"name": "admin"}})
    client.RbacAuthorizationV1Api(api_server.api).create_cluster_role_binding({
        "metadata": {"name": "dashboard-test-admin"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "admin", "namespace": NAMESPACE}],
    })  # fmt: skip
    admin = person("admin")
    wire.paths.clear()
    seen, todo = set(), {"/", "/figures", "/tenants/acme"}
    while todo:
        address = todo.pop()
        seen.add(address)
        answer = admin.get(address)
        assert answer.status_code < 500, address
        if "text/html" in answer.headers.get("content-type", ""):
            links = set(re.findall(r'(?:href|hx-get)="(/[^"?#]*)', answer.text))
            todo |= {each for each in links if not each.startswith(("/static", "/sign"))} - seen
    assert len(seen) > 8
    strange = {path for _, path in wire.paths if not SHOWN.fullmatch(path)}
    assert strange == set()
    assert {method for method, path in wire.paths if "selfsubject" not in path} == {"GET"}


def heard(audit_log: Path, begin: int) -> list[tuple[str, str, str]]:
    """Who did what, since a place in the audit log: (user, verb, resource)."""
    lines = audit_log.read_text(encoding="utf-8").splitlines()[begin:]
    events = [json.loads(line) for line in lines]
    return [
        (
            (each.get("impersonatedUser") or each["user"])["username"].rpartition(":")[2],
            each["verb"],
            each["objectRef"]["resource"],
        )
        for each in events
    ]


def test_the_audit_log_sees_the_person(person: Callable[[str], Any], audit_log: Path) -> None:
    support = person("support")
    begin = len(audit_log.read_text(encoding="utf-8").splitlines())
    support.get("/")
    support.get("/tenants/acme")
    found = heard(audit_log, begin)
    assert ("support", "get", "guestposttenants") in found
    assert ("support", "list", "supportgrants") in found
    # The dashboard itself does one thing.
    assert {(verb, what) for who, verb, what in found if who == "dashboard"} <= {
        ("watch", "guestposttenants")
    }


def test_who_is_impersonated_may_what_that_person_may(api_server: World, audit_log: Path) -> None:
    """Where the cluster does not know the issuer: the dashboard may impersonate these, and nobody else."""
    rbac = client.RbacAuthorizationV1Api(api_server.api)
    rbac.create_cluster_role({
        "metadata": {"name": "dashboard-impersonates"},
        "rules": [
            {"apiGroups": [""], "resources": [what], "verbs": ["impersonate"], "resourceNames": names}
            for what, names in (
                ("users", ["sam@example.com", "zoë@example.com"]),
                ("groups", ["viewers", "guests"]),
            )
        ],
    })  # fmt: skip
    for name, role, subject in (
        ("dashboard-impersonates", "dashboard-impersonates",
         {"kind": "ServiceAccount", "name": "dashboard", "namespace": NAMESPACE}),
        ("viewers", "guestpost-viewer",
         {"kind": "Group", "name": "viewers", "apiGroup": "rbac.authorization.k8s.io"}),
    ):  # fmt: skip
        rbac.create_cluster_role_binding({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [subject],
        })  # fmt: skip
    port = free_port()
    people = frozenset({"sam@example.com", "zoë@example.com"})
    acting_as = Impersonation(people, frozenset({"viewers", "guests"}))
    served = Served(api_server.settings(f"http://{HOST}:{port}", port=port, impersonation=acting_as))
    served.start()
    try:
        begin = len(audit_log.read_text(encoding="utf-8").splitlines())
        statuses = {
            (name, group): as_(served, Person(name, (group,)))
            for name, group in (
                ("sam@example.com", "viewers"),
                ("zoë@example.com", "viewers"),
                ("sam@example.com", "guests"),
                ("eve@example.com", "viewers"),
                ("sam@example.com", "system:masters"),
            )
        }
    finally:
        served.stop()
        for name in ("dashboard-impersonates", "viewers"):
            rbac.delete_cluster_role_binding(name)
        rbac.delete_cluster_role("dashboard-impersonates")
    assert statuses == {
        ("sam@example.com", "viewers"): (200, 200),
        ("zoë@example.com", "viewers"): (200, 200),
        # A member of another group may not, and whom the dashboard may not impersonate nobody becomes.
        ("sam@example.com", "guests"): (403, 403),
        ("eve@example.com", "viewers"): (403, 403),
        ("sam@example.com", "system:masters"): (403, 403),
    }
    assert ("sam@example.com", "get", "guestposttenants") in heard(audit_log, begin)


def as_(served: Served, someone: Person) -> tuple[int, int]:
    """What a person whom an issuer has named is answered: the fleet, and a tenant."""
    now = time.time()
    sealed = Fernet(served.settings.session_keys[0]).encrypt(
        json.dumps(Session(now, now, someone).dump()).encode()
    )
    port = served.settings.port
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"Host": f"{HOST}:{port}"}, trust_env=False, timeout=15,
        cookies={"guestpost-dashboard": sealed.decode()},
    ) as http:  # fmt: skip
        return http.get("/").status_code, http.get("/tenants/acme").status_code


def test_who_may_make_tenants_and_list_none_learns_nothing_of_others(
    api_server: World, person: Callable[[str], Any]
) -> None:
    """What fields suggest comes from a watch that is not theirs."""
    rbac = client.RbacAuthorizationV1Api(api_server.api)
    api_server.account("maker")
    rule = {"apiGroups": ["guestpostcrm.com"], "resources": ["guestposttenants"], "verbs": ["create"]}
    rbac.create_cluster_role({"metadata": {"name": "makes-tenants"}, "rules": [rule]})
    rbac.create_cluster_role_binding({
        "metadata": {"name": "makes-tenants"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "makes-tenants"},
        "subjects": [{"kind": "ServiceAccount", "name": "maker", "namespace": NAMESPACE}],
    })  # fmt: skip
    assert "us-central1" in person("provisioner").get("/new").text
    page = person("maker").get("/new")
    assert (page.status_code, "us-central1" in page.text) == (200, False)


def test_the_chart_mounts_no_content_into_the_dashboard() -> None:
    """Its pod has its own session key, certificate and client secret: no Secret of a tenant, no database."""
    program = str(binaries.ensure("helm")["helm"])
    text = subprocess.run(
        [program, "template", "guestpost", str(CHART), "-n", NAMESPACE,
         "-f", str(CHART / "ci/least-values.yaml"),
         "--set", "dashboard.enabled=true", "--set", "dashboard.image=registry.example.com/dashboard:0.1.0",
         "--show-only", "templates/dashboard/deployment.yaml"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    (found,) = [each for each in yaml.safe_load_all(text) if each]
    volumes = found["spec"]["template"]["spec"]["volumes"]
    assert {each["secret"]["secretName"] for each in volumes if "secret" in each} == {
        "dashboard-session",
        "dashboard-tls",
    }
