"""What the chart renders of the consent broker: its settings, keys, certificate and the one public path."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from guestpost_broker import config as broker_config
from guestpost_broker import keys


def environment(deployment: dict[str, Any]) -> dict[str, str]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


@pytest.mark.parametrize(
    ("routing", "uri"),
    [
        ({}, "https://broker.crm.example.com/oauth/callback"),
        ({"tenants.routing.port": "443"}, "https://broker.crm.example.com/oauth/callback"),
        ({"tenants.routing.port": "8443"}, "https://broker.crm.example.com:8443/oauth/callback"),
        (
            {"tenants.routing.scheme": '"http"', "tenants.routing.port": "80"},
            "http://broker.crm.example.com/oauth/callback",
        ),
        ({"broker.host": '"consent.example.com"'}, "https://consent.example.com/oauth/callback"),
    ],
)
def test_redirect_uri(rendered: Any, routing: dict[str, str], uri: str) -> None:
    assert environment(rendered("least", routing)["Deployment", "broker"])["REDIRECT_URI"] == uri


def test_the_broker_understands_its_settings(rendered: Any, tmp_path: Path) -> None:
    """Those of the Deployment, with the files of the Secrets."""
    changes = {
        "broker.backfills.unitsPerMinuteByProject": '{"acme-crm-prod": 6000000}',
        "broker.replicas": "3",
    }
    objects = rendered("least", changes)
    said = environment(objects["Deployment", "broker"])
    for name, value in objects["Secret", "broker-keys"]["data"].items():
        (tmp_path / name).write_bytes(base64.b64decode(value))
    (tmp_path / "clients.json").write_text('{"acme-crm-prod": {"client_id": "i", "client_secret": "s"}}')
    files = {name: str(tmp_path / Path(said[name]).name) for name in broker_config.FILES}
    config = broker_config.load(said | files)
    assert config.redirect_uri == "https://broker.crm.example.com/oauth/callback"
    assert (config.replicas, config.project_units, config.user_units) == (3, 1_200_000, 6_000)
    assert config.settle_seconds == 90
    assert config.units_by_project == {"acme-crm-prod": 6_000_000}


def test_generated_keys_are_of_full_strength(rendered: Any) -> None:
    secret = rendered()["Secret", "broker-keys"]
    assert secret["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    data = {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}
    rings = [keys.parse(json.loads(data[name])) for name in ("state-keys.json", "seal-keys.json")]
    assert [[each.id for each in ring.keys] for ring in rings] == [["k1"], ["k1"]]
    made = [
        data["claim-key"],
        *(json.loads(data[f"{name}-keys.json"])[0]["key"] for name in ("state", "seal")),
    ]
    assert [len(base64.b64decode(key, validate=True)) for key in made] == [32, 32, 32]
    assert len(set(made)) == 3


def test_certificate_is_for_the_service_and_signed_by_the_shipped_ca(rendered: Any, tmp_path: Path) -> None:
    secret = rendered()["Secret", "broker-tls"]
    assert secret["type"] == "kubernetes.io/tls"
    for name, value in secret["data"].items():
        (tmp_path / name).write_bytes(base64.b64decode(value))
    command = ["openssl", "verify", "-CAfile", "ca.crt", "-verify_hostname", "broker.guestpost-system.svc"]
    done = subprocess.run([*command, "tls.crt"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_only_the_callback_is_public(rendered: Any) -> None:
    """Tenants reach the rest of the broker's API inside the cluster."""
    (rule,) = rendered()["Ingress", "broker"]["spec"]["rules"]
    assert [(each["path"], each["pathType"]) for each in rule["http"]["paths"]] == [
        ("/oauth/callback", "Exact")
    ]
    (rule,) = rendered("production")["HTTPRoute", "broker"]["spec"]["rules"]
    assert [each["path"] for each in rule["matches"]] == [{"type": "Exact", "value": "/oauth/callback"}]


def test_no_budget_for_a_single_broker(rendered: Any) -> None:
    """It would only keep its node from being drained."""
    assert ("PodDisruptionBudget", "broker") in rendered()
    assert ("PodDisruptionBudget", "broker") not in rendered("least", {"broker.replicas": "1"})
