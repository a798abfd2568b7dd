"""What the chart renders of the dashboard: own rights for one watch, and settings that it understands."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest
from guestpost_dashboard import settings

ON = {"dashboard.enabled": "true", "dashboard.image": '"registry.example.com/guestpost/dashboard:0.1.0"'}
ACTING = {
    **ON,
    "dashboard.identity": '"impersonation"',
    "dashboard.oidc.issuer": '"https://issuer.example.com"',
    "dashboard.oidc.clientId": '"guestpost-dashboard"',
    "dashboard.impersonation": '{"users": ["oidc:sam@example.com"], "groups": ["oidc:support"]}',
}


def container(objects: dict[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    (found,) = objects["Deployment", "dashboard"]["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_it_is_off_unless_it_is_switched_on(rendered: Any) -> None:
    assert not [each for each in rendered() if each[1] in ("dashboard", "dashboard-tls", "dashboard-session")]
    assert ("ClusterRole", "guestpost-dashboard") not in rendered()
    assert ("Deployment", "dashboard") in rendered("least", ON)


@pytest.mark.promise("P6.1")
@pytest.mark.parametrize("values", [("least", ON), ("production", None), ("development", None)])
def test_its_own_rights_are_one_watch_of_the_tenants(rendered: Any, values: tuple[str, Any]) -> None:
    objects = rendered(*values)
    assert objects["ClusterRole", "guestpost-dashboard"]["rules"] == [
        {
            "apiGroups": ["guestpostcrm.com"],
            "resources": ["guestposttenants"],
            "verbs": ["get", "list", "watch"],
        }
    ]
    accounts = [
        (kind, name)
        for (kind, name), each in objects.items()
        for subject in each.get("subjects") or ()
        if subject["kind"] == "ServiceAccount" and subject["name"] == "dashboard"
    ]
    assert accounts == [("ClusterRoleBinding", "guestpost-dashboard")]


def test_it_acts_as_the_people_that_are_named_and_as_nobody_else(rendered: Any) -> None:
    rules = rendered("least", ACTING)["ClusterRole", "guestpost-dashboard"]["rules"][1:]
    assert rules == [
        {
            "apiGroups": [""],
            "resources": ["users"],
            "verbs": ["impersonate"],
            "resourceNames": ["oidc:sam@example.com"],
        },
        {
            "apiGroups": [""],
            "resources": ["groups"],
            "verbs": ["impersonate"],
            "resourceNames": ["oidc:support"],
        },
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dashboard.image": '""'}, "dashboard.image is missing"),
        ({"dashboard.oidc.clientId": '""'}, "dashboard.oidc.clientId is missing"),
        ({"dashboard.oidc.issuer": '""'}, "needs dashboard.oidc.issuer"),
        ({"dashboard.impersonation": '{"users": []}'}, "needs dashboard.impersonation.users"),
        ({"dashboard.impersonation": '{"users": ["system:admin"]}'}, "users/0"),
        ({"dashboard.impersonation": '{"users": ["sam"], "groups": ["system:masters"]}'}, "groups/0"),
        ({"dashboard.session.seconds": "999999"}, "session"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(refusal: Any, change: dict[str, str], said: str) -> None:
    assert said in refusal({**ACTING, **change})


@pytest.mark.parametrize(
    "values", [("least", ON), ("least", ACTING), ("production", None), ("development", None)]
)
def test_it_understands_its_settings(rendered: Any, values: tuple[str, Any], tmp_path: Path) -> None:
    """Those of the Deployment, with the files of the Secrets."""
    objects = rendered(*values)
    said = {each["name"]: each["value"] for each in container(objects)["env"]}
    mounted = {each["mountPath"] for each in container(objects)["volumeMounts"]}
    files = {name: path for name, path in said.items() if name.endswith("_FILE")}
    for name, path in files.items():
        assert str(Path(path).parent) in mounted
        (tmp_path / name).write_text("secret")
    made = objects.get(("Secret", "dashboard-session"), {}).get("data", {})
    key = base64.b64decode(made["session-keys"]) if made else base64.urlsafe_b64encode(bytes(32))
    (tmp_path / "SESSION_KEYS_FILE").write_bytes(key)
    for name in ("KUBERNETES_CA_FILE", "KUBERNETES_TOKEN_FILE"):
        (tmp_path / name).write_text("x")
        files[name] = ""
    here = {name: str(tmp_path / name) for name in files}
    found = settings.load({**said, **here, "KUBERNETES_SERVICE_HOST": "10.0.0.1"})
    assert found.port == 8443
    acting_as = settings.Impersonation(frozenset({"oidc:sam@example.com"}), frozenset({"oidc:support"}))
    assert found.impersonation == (acting_as if values[1] is ACTING else None)
    assert (found.oidc is None) == ("OIDC_ISSUER" not in said)
    assert found.session_seconds == 28800
    assert found.operator_namespace == "guestpost-system"


def test_its_address_is_as_people_reach_it(rendered: Any) -> None:
    def url(values: str, changes: Any = None) -> str:
        said = {each["name"]: each["value"] for each in container(rendered(values, changes))["env"]}
        return said["DASHBOARD_URL"]

    assert url("least", ON) == "https://dashboard.crm.example.com"
    assert url("production") == "https://fleet.example.com"
    assert url("development") == "http://dashboard.localhost:8080"


def test_it_is_reached_by_a_route_of_the_chosen_kind_or_none(rendered: Any) -> None:
    (rule,) = rendered("least", ON)["Ingress", "dashboard"]["spec"]["rules"]
    assert rule["host"] == "dashboard.crm.example.com"
    production = rendered("production")
    assert production["HTTPRoute", "dashboard"]["spec"]["hostnames"] == ["fleet.example.com"]
    policy = production["BackendTLSPolicy", "dashboard"]["spec"]
    assert [each["name"] for each in policy["targetRefs"]] == ["dashboard"]
    assert policy["validation"]["hostname"] == "dashboard.guestpost-system.svc"
    assert ("Ingress", "dashboard") not in rendered("least", {**ON, "dashboard.route.enabled": "false"})


def test_its_certificate_is_for_the_service(rendered: Any, tmp_path: Path) -> None:
    for name, value in rendered("least", ON)["Secret", "dashboard-tls"]["data"].items():
        (tmp_path / name).write_bytes(base64.b64decode(value))
    command = ["openssl", "verify", "-CAfile", "ca.crt", "-verify_hostname", "dashboard.guestpost-system.svc"]
    done = subprocess.run([*command, "tls.crt"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_only_the_gateway_reaches_it(rendered: Any) -> None:
    policy = rendered("production")["NetworkPolicy", "dashboard"]["spec"]
    (rule,) = policy["ingress"]
    assert rule["ports"] == [{"port": 8443, "protocol": "TCP"}]
    assert "gateway" in str(rule["from"])
    assert "ingress" not in rendered("least", ON)["NetworkPolicy", "dashboard"]["spec"]


def test_no_tenant_gets_its_host_name(rendered: Any) -> None:
    rules = rendered("least", ON)["ValidatingAdmissionPolicy", "guestpost-hostnames"]["spec"]["validations"]
    assert [each for each in rules if "!= 'dashboard.crm.example.com'" in each["expression"]]
    (only,) = rendered()["ValidatingAdmissionPolicy", "guestpost-hostnames"]["spec"]["validations"]
    assert "dashboard" not in only["expression"]
