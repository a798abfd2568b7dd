"""What the chart renders: safe pods, exact rights, one configuration file that the operator understands."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from guestpost_broker import kubernetes
from guestpost_operator import checks, exports, settings
from guestpost_operator.api import names
from localkube import binaries

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = Path(__file__).parent / "golden/production.yaml"
EVERY = ("least", "production", "development")
CLUSTER_SCOPED = {
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}


def pods(objects: dict[tuple[str, str], dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for (kind, name), each in objects.items():
        if kind == "Pod":
            yield name, each["spec"]
        elif kind in ("Deployment", "Job"):
            yield name, each["spec"]["template"]["spec"]


def environment(deployment: dict[str, Any]) -> dict[str, str]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


def test_production_is_as_reviewed(rendered: Any) -> None:
    """Golden file; UPDATE_GOLDEN=1 writes it, and the diff is what to review."""
    # These are files of the repository as they are, and tested as such.
    files = {"CustomResourceDefinition", "PrometheusRule"}
    objects = [each for each in rendered("production").values() if each["kind"] not in files]
    grafana = ("ConfigMap", "guestpost-dashboard")
    objects = [each for each in objects if (each["kind"], each["metadata"]["name"]) != grafana]
    text = yaml.safe_dump_all(objects, width=120, sort_keys=False)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("values", EVERY)
def test_every_object_says_where_and_whose_it_is(rendered: Any, values: str) -> None:
    for (kind, name), each in rendered(values).items():
        if kind == "CustomResourceDefinition":
            continue
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "guestpost", (kind, name)
        assert labels["app.kubernetes.io/instance"] == "guestpost", (kind, name)
        namespace = None if kind in CLUSTER_SCOPED else "guestpost-system"
        assert each["metadata"].get("namespace") == namespace, (kind, name)


def test_crds_are_the_repositorys_and_outlive_the_release(rendered: Any) -> None:
    ours = {
        each["metadata"]["name"]: each
        for path in (ROOT / "crds").glob("*.yaml")
        for each in [yaml.safe_load(path.read_text(encoding="utf-8"))]
    }
    shipped = {name: each for (kind, name), each in rendered().items() if kind == "CustomResourceDefinition"}
    assert shipped.keys() == ours.keys() >= {"guestposttenants.guestpostcrm.com"}
    for name, each in shipped.items():
        kept = {**ours[name]["metadata"], "annotations": {"helm.sh/resource-policy": "keep"}}
        assert each == {**ours[name], "metadata": kept}


@pytest.mark.promise("P8.2")
@pytest.mark.parametrize("values", EVERY)
def test_pods_are_restricted(rendered: Any, values: str) -> None:
    """As the Pod Security Standard "restricted" asks, and with a read-only root besides."""
    for name, pod in pods(rendered(values)):
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}, name
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["readOnlyRootFilesystem"] is True, name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert container["resources"].keys() == {"requests", "limits"}, name
        assert {next(iter(v.keys() - {"name"})) for v in pod.get("volumes", [])} <= {
            "configMap",
            "secret",
            "emptyDir",
        }, name


@pytest.mark.parametrize("values", EVERY)
def test_the_operator_understands_its_configuration(rendered: Any, values: str, tmp_path: Path) -> None:
    text = rendered(values)["ConfigMap", "operator-config"]["data"]["config.yaml"]
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    config = settings.load(tmp_path / "config.yaml")
    assert config.tenants.broker.url == "https://broker.guestpost-system.svc"
    assert config.tenants.network.broker_namespace == "guestpost-system"
    assert config.operator.namespace == "guestpost-system"
    assert set(config.tenants.plans) == {"Starter", "Growth", "Scale"}
    given = yaml.safe_load(text)
    assert set(config.google_projects) == set(given["googleProjects"])
    mounted = {
        mount["mountPath"]
        for mount in rendered(values)["Deployment", "operator"]["spec"]["template"]["spec"]["containers"][0][
            "volumeMounts"
        ]
    }
    assert str(Path(config.tenants.broker.ca_file).parent) in mounted


def test_every_plan_fits_its_quota(rendered: Any) -> None:
    """With one more web while it rolls, one more database instance while it joins, exports, and a Job."""
    config = yaml.safe_load(rendered()["ConfigMap", "operator-config"]["data"]["config.yaml"])
    unit = {"Mi": 1, "Gi": 1024, "Ti": 1024**2}

    def mebibytes(quantity: str) -> float:
        return float(quantity[:-2]) * unit[quantity[-2:]]

    for name, plan in config["tenants"]["plans"].items():
        counts = {
            "web": plan["web"]["replicas"] + 1 + exports.MOST,
            "sync": plan["sync"]["replicas"] + 1,
            "database": plan["database"]["instances"] + 1,
        }
        assert sum(counts.values()) <= int(plan["quota"]["pods"]), name
        volumes = counts["database"] + exports.MOST
        assert volumes <= int(plan["quota"]["persistentvolumeclaims"]), name
        for what in ("requests", "limits"):
            needed = sum(n * mebibytes(plan[part]["resources"][what]["memory"]) for part, n in counts.items())
            assert needed <= mebibytes(plan["quota"][f"{what}.memory"]), (name, what)


def verbs(role: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    return {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


@pytest.mark.promise("P8.2")
def test_the_operators_rights_are_those_that_its_code_uses(rendered: Any) -> None:
    used = {(kind.api_version.rpartition("/")[0], kind.plural): set(verbs) for kind, verbs in checks.RIGHTS}
    for kind in ("guestposttenants", "tenantexports", "tenantrequests", "supportgrants"):
        used["guestpostcrm.com", f"{kind}/status"] = {"patch"}
    used["rbac.authorization.k8s.io", "clusterroles"] = {"bind"}
    assert verbs(rendered()["ClusterRole", "guestpost-operator"]) == used


@pytest.mark.promise("P8.2")
@pytest.mark.parametrize("values", EVERY)
def test_no_role_has_wildcards_or_ways_to_more_rights(rendered: Any, values: str) -> None:
    """The one way is none: the operator binds in a tenant's namespace three roles that are bounded here."""
    tenants = [f"guestpost-tenant-{account}" for account in names.TENANT_ROLES]
    bind = {
        "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["clusterroles"],
        "resourceNames": tenants,
        "verbs": ["bind"],
    }
    shell = rendered(values)["ClusterRole", "guestpost-tenant-shell"]["rules"]
    assert {resource for rule in shell for resource in rule["resources"]} == {"jobs", "pods", "pods/exec"}
    for role in tenants:
        if role != "guestpost-tenant-shell":
            for rule in rendered(values)["ClusterRole", role]["rules"]:
                assert rule["apiGroups"] == ["guestpostcrm.com"]
                assert "guestposttenants" not in rule["resources"]
    for (kind, name), each in rendered(values).items():
        if kind in ("ClusterRole", "Role"):
            for rule in each["rules"]:
                if (name, rule) == ("guestpost-operator", bind) or name == "guestpost-tenant-shell":
                    continue
                assert "*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]], name
                assert not {"bind", "escalate", "impersonate"} & set(rule["verbs"]), name
                assert not {"pods/exec", "roles", "clusterroles", "serviceaccounts/token"} & set(
                    rule["resources"]
                )


def test_the_brokers_rights_are_those_that_its_code_names(rendered: Any) -> None:
    """It says in its own words what it needs; secrets are not among it."""
    (line,) = re.findall(r"^Rights: (.*)\.$", kubernetes.__doc__ or "", re.MULTILINE)
    named = {each.split(" ", 1)[0]: set(each.split(" ", 1)[1].split(", ")) for each in line.split("; ")}
    granted = verbs(rendered()["ClusterRole", "guestpost-broker"])
    assert {resource: allowed for (_, resource), allowed in granted.items()} == named


@pytest.mark.promise("P1.1")
@pytest.mark.parametrize("values", EVERY)
def test_only_the_broker_holds_the_clients_secrets(rendered: Any, values: str) -> None:
    secrets = {"google-clients", "broker-google-clients", "broker-keys", "broker-keys-2026"}
    holders = {
        name
        for name, pod in pods(rendered(values))
        for volume in pod.get("volumes", [])
        if volume.get("secret", {}).get("secretName") in secrets
    }
    assert holders == {"broker"}


@pytest.mark.promise("P8.1")
@pytest.mark.parametrize("values", EVERY)
def test_the_brokers_private_key_is_the_brokers_alone(rendered: Any, values: str) -> None:
    for name, pod in pods(rendered(values)):
        for volume in pod.get("volumes", []):
            if volume.get("secret", {}).get("secretName") in ("broker-tls", "broker-certificate"):
                keys = {item["key"] for item in volume["secret"]["items"]}
                assert keys == ({"tls.crt", "tls.key"} if name == "broker" else {"ca.crt"})


def test_google_is_the_default_and_the_stand_in_a_choice(rendered: Any) -> None:
    urls = {name for name in environment(rendered()["Deployment", "broker"]) if name.startswith("GOOGLE_")}
    assert urls == {"GOOGLE_CLIENTS_FILE"}
    assert "PUBSUB_EMULATOR_HOST" not in environment(rendered()["Deployment", "operator"])
    development = rendered("development")
    assert environment(development["Deployment", "operator"])["PUBSUB_EMULATOR_HOST"]
    assert (
        environment(development["Deployment", "broker"])["GOOGLE_TOKEN_URL"]
        == "http://google.google.svc/token"
    )


def test_production_keeps_no_secret_in_the_release(rendered: Any) -> None:
    assert not [name for kind, name in rendered("production") if kind == "Secret"]


def test_a_change_of_configuration_rolls_the_operator(rendered: Any) -> None:
    def stamp(changes: dict[str, str]) -> str:
        pod = rendered("least", changes)["Deployment", "operator"]["spec"]["template"]
        return str(pod["metadata"]["annotations"]["checksum/config"])

    assert stamp({}) != stamp({"tenants.supportContact": '"help@example.com"'})
    assert stamp({}) == stamp({"broker.replicas": "3"})


@pytest.mark.parametrize(("kind", "routes"), [("Ingress", {"Ingress"}), ("None", set())])
def test_the_route_is_of_the_chosen_kind(rendered: Any, kind: str, routes: set[str]) -> None:
    objects = rendered("least", {"tenants.routing.kind": f'"{kind}"'})
    assert {k for k, name in objects if name == "broker" and k in ("Ingress", "HTTPRoute")} == routes


@pytest.mark.promise("P5.2")
def test_network_policies_cover_every_pod_and_open_just_what_is_used(rendered: Any) -> None:
    objects = rendered("production")
    policies = {name: each["spec"] for (kind, name), each in objects.items() if kind == "NetworkPolicy"}
    assert policies.keys() == {"operator", "broker", "dashboard", "uninstall-guard"}
    assert all(each["policyTypes"] == ["Ingress", "Egress"] for each in policies.values())
    assert "ingress" not in policies["uninstall-guard"]
    ports = {port["port"] for rule in policies["broker"]["ingress"] for port in rule["ports"]}
    assert ports == {8443, 9090}
    callers = policies["broker"]["ingress"][0]["from"]
    assert {"guestpostcrm.com/tenant", "gateway"} <= set(
        re.findall(r"guestpostcrm.com/tenant|gateway", str(callers))
    )
    (google,) = [rule for rule in policies["broker"]["egress"] if "except" in str(rule)]
    assert google["ports"] == [{"port": 443, "protocol": "TCP"}]
    assert "10.0.0.0/8" in google["to"][0]["ipBlock"]["except"]
    assert "fd00:10::/56" in google["to"][1]["ipBlock"]["except"]


def test_no_tenant_gets_the_brokers_host_name_by_its_own_name(rendered: Any) -> None:
    """The broker may live anywhere, below the tenants' domain too."""
    policy = rendered("least", {"broker.host": '"consent.crm.example.com"'})[
        "ValidatingAdmissionPolicy", "guestpost-hostnames"
    ]
    (rule,) = policy["spec"]["validations"]
    assert "object.metadata.name + '.crm.example.com'" in rule["expression"]
    assert "!= 'consent.crm.example.com'" in rule["expression"]


def test_admission_policies_and_network_policies_can_be_left_out(rendered: Any) -> None:
    objects = rendered("least", {"admissionPolicies": "false", "networkPolicies": "false"})
    assert not {kind for kind, _ in objects} & {"ValidatingAdmissionPolicy", "NetworkPolicy"}
    assert looked_after(objects) == []


def test_the_operator_looks_after_every_admission_policy(rendered: Any) -> None:
    policies = sorted(name for kind, name in rendered() if kind == "ValidatingAdmissionPolicy")
    assert looked_after(rendered()) == policies


def looked_after(objects: Any) -> list[str]:
    """Admission policies that the operator has to know of."""
    config = yaml.safe_load(objects["ConfigMap", "operator-config"]["data"]["config.yaml"])
    return list(config["operator"].get("admissionPolicies", ()))


@pytest.mark.parametrize("values", ["least", "production"])
def test_kube_score_is_content(rendered: Any, values: str) -> None:
    """Each exception is named and explained at the object, in its annotation kube-score/ignore."""
    text = yaml.safe_dump_all(rendered(values).values())
    command = [str(binaries.ensure("kube-score")["kube-score"]), "score", "-", "--output-format", "ci"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    found = [line for line in done.stdout.splitlines() if not line.startswith(("[OK]", "[SKIPPED]"))]
    assert done.stdout
    assert found == []


def test_helm_lint_is_content(run_helm: Any, chart: Path) -> None:
    for values in ("least", "production"):
        done = run_helm("lint", "--strict", str(chart), "--values", str(chart / f"ci/{values}-values.yaml"))
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_packaged_chart_carries_the_crds(run_helm: Any, chart: Path, tmp_path: Path) -> None:
    """In the repository they are a link to crds/."""
    done = run_helm("package", str(chart), "--destination", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (package,) = tmp_path.glob("*.tgz")
    shown = run_helm("template", "x", str(package), "--values", str(chart / "ci/least-values.yaml"))
    assert "name: guestposttenants.guestpostcrm.com" in shown.stdout


def test_notes_tell_the_next_step(run_helm: Any, chart: Path) -> None:
    values = str(chart / "ci/least-values.yaml")
    done = run_helm(
        "install", "guestpost", str(chart), "-n", "guestpost-system", "-f", values, "--dry-run=client"
    )
    assert done.returncode == 0, done.stderr
    _, _, notes = done.stdout.partition("NOTES:")
    assert "helm test guestpost --namespace guestpost-system --logs" in notes
    assert "https://broker.crm.example.com/oauth/callback" in notes
    assert "allowedNamespaces is empty" in notes
    tenant = notes.partition("<<TENANT")[2].partition("TENANT")[0]
    assert yaml.safe_load(tenant)["spec"]["googleProject"] == "acme-crm-prod"
