"""Install, upgrade and uninstall by Helm, against a real API server."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from google_standin.testing import GoogleStandin
from guestpost_operator.backends.cluster import KubernetesCluster
from guestpost_operator.backends.kms import RIGHTS, TO_DECRYPT
from guestpost_operator.lifecycle.policies import Policies
from prometheus_client import REGISTRY

ROOT = Path(__file__).resolve().parents[3]
CRDS = {
    yaml.safe_load(path.read_text(encoding="utf-8"))["metadata"]["name"]
    for path in (ROOT / "crds").glob("*.yaml")
}


def test_everything_that_is_rendered_is_installed(installed: Any) -> None:
    rendered = [each for each in yaml.safe_load_all(installed.helm("get", "manifest", "guestpost")) if each]
    assert len(rendered) > 20
    for each in rendered:
        installed.kubectl("get", each["kind"], each["metadata"]["name"], "-n", "guestpost-system")


def test_an_upgrade_keeps_keys_and_certificate(changing: Any) -> None:
    first = {name: changing.secret(name) for name in ("broker-keys", "broker-tls")}
    for replicas in ("2", "3"):
        changing.install("--set", f"broker.replicas={replicas}")
        assert {name: changing.secret(name) for name in first} == first
    deployment = changing.kubectl("get", "deployment", "broker", "-n", "guestpost-system", "-o", "json")
    assert json.loads(deployment)["spec"]["replicas"] == 3


def test_an_upgrade_takes_no_pause_back_and_says_that_there_is_one(changing: Any) -> None:
    where = ("configmap", "rollout", "-n", "guestpost-system")
    data = ("--from-literal=paused=true", "--from-literal=reason=Ticket 7")
    assert "paused" not in changing.install()
    changing.kubectl("create", *where, *data)
    try:
        said = changing.install("--set", "rollout.waveSize=3")
        assert "NOTE: the rollout is paused (Ticket 7)." in said
        assert "kubectl guestpost rollout resume --namespace guestpost-system" in said
        assert changing.kubectl("get", *where, "-o", "jsonpath={.data.paused}") == "true"
    finally:
        changing.kubectl("delete", *where)


def ring(installation: Any, name: str) -> list[dict[str, str]]:
    """Keys of the broker as they are kept."""
    found: list[dict[str, str]] = json.loads(base64.b64decode(installation.secret("broker-keys")[name]))
    return found


def test_keys_are_rotated_by_naming_a_new_one_and_none_goes_unless_it_is_retired(changing: Any) -> None:
    """The new key makes nothing until every broker has read it."""
    (first,) = ring(changing, "seal-keys.json")
    state = ring(changing, "state-keys.json")
    changing.install("--set", "broker.keys.seal.ids={k2,k1}")
    new, old = ring(changing, "seal-keys.json")
    assert (new["id"], old) == ("k2", first)
    wait = dt.datetime.fromisoformat(new["from"]) - dt.datetime.now(dt.UTC)
    assert dt.timedelta(minutes=55) < wait <= dt.timedelta(hours=1)
    assert ring(changing, "state-keys.json") == state
    # An upgrade that forgets the values keeps both keys.
    changing.install()
    assert {each["id"]: each["key"] for each in ring(changing, "seal-keys.json")} == {
        "k1": old["key"],
        "k2": new["key"],
    }
    changing.install("--set", "broker.keys.seal.ids={k2}", "--set", "broker.keys.seal.retired={k1}")
    assert ring(changing, "seal-keys.json") == [new]
    assert [each["id"] for each in ring(changing, "state-keys.json")] == ["k1"]


def test_a_certificate_that_was_deleted_is_made_again(changing: Any) -> None:
    first = changing.secret("broker-tls")
    changing.kubectl("delete", "secret", "broker-tls", "-n", "guestpost-system")
    changing.install()
    again = changing.secret("broker-tls")
    assert again.keys() == first.keys()
    assert again["ca.crt"] != first["ca.crt"]


@pytest.mark.promise("P6.1")
def test_a_policy_that_refuses_nothing_any_more_is_told(
    changing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads(
        changing.kubectl("get", "cm", "operator-config", "-n", "guestpost-system", "-o", "json")
    )
    wanted = yaml.safe_load(config["data"]["config.yaml"])["operator"]["admissionPolicies"]
    monkeypatch.setenv("KUBECONFIG", str(changing.kubeconfig_of("operator")))

    async def look() -> tuple[list[str], float | None]:
        cluster = await KubernetesCluster.connect()
        try:
            found = await Policies(cluster, wanted).look()
        finally:
            await cluster.close()
        return found, REGISTRY.get_sample_value("guestpost_admission_policies_idle")

    assert asyncio.run(look()) == ([], 0)
    kinds = ("validatingadmissionpolicy", "validatingadmissionpolicybinding")
    changing.kubectl("delete", kinds[0], "guestpost-crds")
    warn = json.dumps({"spec": {"validationActions": ["Warn"]}})
    changing.kubectl("patch", kinds[1], "guestpost-no-way-into-pods", "--type=merge", "-p", warn)
    assert asyncio.run(look()) == (["guestpost-crds", "guestpost-no-way-into-pods"], 2)
    # As the runbook says.
    changing.kubectl("delete", kinds[1], "guestpost-no-way-into-pods")
    changing.install("--set", "operator.concurrency=9", "--force-conflicts")
    assert asyncio.run(look()) == ([], 0)


def test_an_upgrade_brings_new_fields_of_the_crds(changing: Any, tmp_path: Path) -> None:
    """As an upgrade from an older chart does: a CRD without a field gets it."""
    old = json.loads(changing.kubectl("get", "crd", "guestposttenants.guestpostcrm.com", "-o", "json"))
    path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/hostname"
    removal = json.dumps([{"op": "remove", "path": path}])
    changing.kubectl("patch", "crd", old["metadata"]["name"], "--type=json", "-p", removal)
    changing.install("--set", "operator.concurrency=8", "--force-conflicts")
    new = json.loads(changing.kubectl("get", "crd", "guestposttenants.guestpostcrm.com", "-o", "json"))
    assert new["spec"] == old["spec"]


def test_uninstall_is_refused_while_tenants_exist(changing: Any) -> None:
    changing.tenant("acme")
    hook = changing.play_hook("uninstall-guard")
    done = changing.run("helm", "-n", "guestpost-system", "uninstall", "guestpost", "--timeout", "60s")
    hook.join(60)
    assert done.returncode != 0
    assert "uninstall-guard" in done.stderr
    (pod,) = changing.core.list_namespaced_pod(
        "guestpost-system", label_selector="app.kubernetes.io/component=uninstall-guard"
    ).items
    assert "1 tenants exist: acme" in pod.status.message
    changing.kubectl("get", "deployment", "operator", "broker", "-n", "guestpost-system")
    changing.kubectl("delete", "gpt", "acme", "--dry-run=server")
    # Helm takes the release for one that is being uninstalled; what the guard says leads back.
    command = pod.status.message.partition("To keep it: helm ")[2]
    assert command.startswith("rollback guestpost ")
    changing.helm(*command.split())
    changing.install()


def test_uninstall_leaves_the_crds_and_the_keys_and_a_new_release_takes_them_over(changing: Any) -> None:
    keys = changing.secret("broker-keys")
    hook = changing.play_hook("uninstall-guard")
    changing.helm("uninstall", "guestpost", "--timeout", "60s")
    hook.join(60)
    left = changing.kubectl(
        "get", "all,secret,configmap,networkpolicy,pdb,sa", "-n", "guestpost-system", "-o", "name"
    )
    assert set(left.split()) == {"secret/broker-keys", "configmap/kube-root-ca.crt", "serviceaccount/default"}
    kinds = "clusterrole,clusterrolebinding,validatingadmissionpolicy,validatingadmissionpolicybinding"
    assert "guestpost" not in changing.kubectl("get", kinds, "-o", "name")
    present = {each.partition("/")[2] for each in changing.kubectl("get", "crd", "-o", "name").split()}
    assert present >= CRDS
    changing.install()
    assert changing.secret("broker-keys") == keys


def test_a_second_installation_is_refused(installed: Any) -> None:
    chart, values = (
        str(ROOT / "charts/guestpost-operator"),
        str(ROOT / "charts/guestpost-operator/ci/least-values.yaml"),
    )
    done = installed.run("helm", "install", "other", chart, "-n", "other", "--create-namespace", "-f", values)
    assert done.returncode != 0
    assert "cannot be imported into the current release: invalid ownership metadata" in done.stderr


def test_self_test_passes_with_the_operators_account(installed: Any, render: Any, tmp_path: Path) -> None:
    """Rights are asked of the API server; Pub/Sub is not there, and that is the only thing it finds."""
    lines = self_test(installed, render, tmp_path)
    assert any(line.startswith("ok     templates") for line in lines), lines
    assert any(line.startswith("ok     rights") for line in lines), lines
    assert not [line for line in lines if "KMS" in line], "keys are in Secrets"
    assert [line for line in lines if line.startswith("FAILED")] == [
        line for line in lines if "Pub/Sub of project acme-crm-prod" in line
    ]


@pytest.mark.promise("P8.1")
def test_self_test_says_what_the_operator_may_do_in_kms(installed: Any, render: Any, tmp_path: Path) -> None:
    """With every right it needs, with one too few and the one too many, and without KMS."""
    ring = "projects/acme-crm-prod/locations/europe-west1/keyRings/crm"

    def said(host: str) -> list[str]:
        lines = self_test(
            installed, render, tmp_path, {"kind": "KMS", "keyRing": "crm"}, KMS_EMULATOR_HOST=host
        )
        return [line for line in lines if ring in line]

    with GoogleStandin(pubsub=False) as google:
        host = google.url.removeprefix("http://")
        assert said(host) == [f"ok     KMS {ring}"]
        google.control.settings(keyRingRights=[*RIGHTS[1:], TO_DECRYPT])
        assert said(host) == [
            f"FAILED {ring}: may not {RIGHTS[0]}",
            f"FAILED {ring}: may {TO_DECRYPT}, which opens every tenant's key: take it away",
        ]
    assert said(host) == [f"FAILED {ring}: KMS TestIamPermissions: ConnectionError"]


def self_test(
    installed: Any, render: Any, folder: Path, keys: dict[str, str] | None = None, **environment: str
) -> list[str]:
    """What it says with the least values, and with tenants' keys where these say; Pub/Sub is not there."""
    objects = render(ROOT / "charts/guestpost-operator/ci/least-values.yaml")
    (pod,) = [each for each in objects if each["metadata"]["name"] == "self-test"]
    (settings,) = [each for each in objects if each["metadata"]["name"] == "operator-config"]
    config = yaml.safe_load(settings["data"]["config.yaml"])
    config["tenants"]["keys"] |= keys or {}
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    variables = {"PUBSUB_EMULATOR_HOST": "127.0.0.1:1", **environment}
    done = installed.run_pod(pod, GUESTPOST_CONFIG=str(folder / "config.yaml"), **variables)
    assert done.returncode == 1, done.stderr
    return list(done.stdout.splitlines())


@pytest.mark.parametrize("values", ["least", "production"])
def test_the_api_server_takes_every_object_strictly(installed: Any, render: Any, values: str) -> None:
    """Unknown and duplicate fields are errors. The Prometheus operator's API is not served here."""
    objects = render(ROOT / f"charts/guestpost-operator/ci/{values}-values.yaml")
    known = [each for each in objects if each["apiVersion"] != "monitoring.coreos.com/v1"]
    assert len(known) > 20
    installed.kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-",
        stdin=yaml.safe_dump_all(known),
    )  # fmt: skip


@pytest.mark.promise("P8.2")
def test_pods_are_admitted_where_pod_security_is_restricted(installed: Any, render: Any) -> None:
    """The API server's own judgement, on each pod as its controller would make it."""
    installed.kubectl(
        "label",
        "namespace",
        "guestpost-system",
        "pod-security.kubernetes.io/enforce=restricted",
        "--overwrite",
    )
    pods = 0
    for each in render(ROOT / "charts/guestpost-operator/ci/least-values.yaml"):
        if each["kind"] not in ("Deployment", "Job", "Pod"):
            continue
        spec = each["spec"] if each["kind"] == "Pod" else each["spec"]["template"]["spec"]
        metadata = {"generateName": "probe-", "namespace": "guestpost-system"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        installed.kubectl("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(pod))
        pods += 1
    assert pods == 4
    privileged = {**pod, "spec": {**spec, "hostNetwork": True}}
    said = installed.refused("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(privileged))
    assert 'violates PodSecurity "restricted' in said
