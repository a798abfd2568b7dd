"""Google credentials are the pod's identity; the stand-in changes one variable and nothing else."""

from __future__ import annotations

from typing import Any

STANDIN = {"tenants.google.pubsubEmulatorHost": '"pubsub.google.svc:8085"'}
KMS = {"tenants.google.kmsEmulatorHost": '"google.google.svc:80"'}
GOOGLE_ACCOUNT = {"iam.gke.io/gcp-service-account": "operator@acme-crm-prod.iam.gserviceaccount.com"}


def test_workload_identity_is_an_annotation_of_the_account(rendered: Any) -> None:
    given = '{"iam.gke.io/gcp-service-account": "operator@acme-crm-prod.iam.gserviceaccount.com"}'
    account = rendered("least", {"operator.serviceAccount.annotations": given})["ServiceAccount", "operator"]
    assert account["metadata"]["annotations"] == GOOGLE_ACCOUNT
    pod = rendered()["Deployment", "operator"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "operator"


def test_no_key_of_google_is_mounted_anywhere(rendered: Any) -> None:
    pod = rendered("production")["Deployment", "operator"]["spec"]["template"]["spec"]
    names = {each["name"] for container in pod["containers"] for each in container["env"]}
    assert not {"GOOGLE_APPLICATION_CREDENTIALS", "PUBSUB_EMULATOR_HOST", "KMS_EMULATOR_HOST"} & names
    assert {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume} == {
        "broker-certificate"
    }


def test_the_stand_in_changes_one_variable_and_the_configuration(rendered: Any) -> None:
    real, emulated = rendered(), rendered("least", STANDIN)
    different = {key for key in real.keys() | emulated.keys() if real.get(key) != emulated.get(key)}
    generated = {("Secret", "broker-keys"), ("Secret", "broker-tls")}
    operators = {("Deployment", "operator"), ("Pod", "self-test"), ("ConfigMap", "operator-config")}
    assert different - generated == operators
    for key in operators - {("ConfigMap", "operator-config")}:
        pod = emulated[key]["spec"] if key[0] == "Pod" else emulated[key]["spec"]["template"]["spec"]
        plain = real[key]["spec"] if key[0] == "Pod" else real[key]["spec"]["template"]["spec"]
        added = [each for each in pod["containers"][0]["env"] if each not in plain["containers"][0]["env"]]
        assert added == [{"name": "PUBSUB_EMULATOR_HOST", "value": "pubsub.google.svc:8085"}]


def test_the_stand_in_for_kms_is_one_variable_of_the_operator(rendered: Any) -> None:
    emulated = rendered("least", KMS)
    for pod in (emulated["Deployment", "operator"]["spec"]["template"], emulated["Pod", "self-test"]):
        [container] = pod["spec"]["containers"]
        assert {"name": "KMS_EMULATOR_HOST", "value": "google.google.svc:80"} in container["env"]
