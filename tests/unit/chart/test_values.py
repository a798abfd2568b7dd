"""Values: everything is described, nothing unknown is taken, and a wrong one is answered in words."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
SCHEMA: dict[str, Any] = json.loads((ROOT / "charts/guestpost-operator/values.schema.json").read_text())
DEFAULTS = yaml.safe_load((ROOT / "charts/guestpost-operator/values.yaml").read_text())

REFUSED = [
    ({"operator.imagee": '"x"'}, "additional properties 'imagee' not allowed"),
    ({"surprise": "true"}, "additional properties 'surprise' not allowed"),
    ({"operator.image": '"operator"'}, "at '/operator/image': 'operator' does not match pattern"),
    ({"operator.image": '"Registry/operator:1"'}, "at '/operator/image'"),
    ({"operator.imagePullPolicy": '"Sometimes"'}, "at '/operator/imagePullPolicy': value must be one of"),
    ({"operator.concurrency": "0"}, "at '/operator/concurrency': minimum: got 0, want 1"),
    ({"operator.resyncSeconds": "1"}, "at '/operator/resyncSeconds': minimum: got 1, want 10"),
    ({"operator.logLevel": '"LOUD"'}, "at '/operator/logLevel': value must be one of"),
    ({"operator.resources": '{"limits": {"cpu": 2}}'}, "at '/operator/resources/limits/cpu': got number"),
    ({"operator.resources": '{"limits": {"memory": "1 GB"}}'}, "at '/operator/resources/limits/memory'"),
    ({"broker.replicas": "0"}, "at '/broker/replicas': minimum: got 0, want 1"),
    ({"broker.host": '"https://broker.example.com"'}, "at '/broker/host'"),
    ({"broker.keys.seal.ids": "[]"}, "at '/broker/keys/seal/ids': minItems: got 0, want 1"),
    ({"broker.keys.seal.ids": '["k1", "k1"]'}, "at '/broker/keys/seal/ids'"),
    ({"broker.keys.state.ids": '["a.b"]'}, "at '/broker/keys/state/ids/0'"),
    ({"broker.keys.seal.retired": '["k1"]'}, "broker.keys.seal.retired names every key: keep at least one"),
    ({"broker.backfills.projectUnitsPerMinute": "0"}, "minimum: got 0, want 1,000"),
    ({"broker.backfills.unitsPerMinuteByProject": '{"x": 5000}'}, "invalid propertyName 'x'"),
    ({"broker.google.authUrl": '"accounts.google.com"'}, "at '/broker/google/authUrl'"),
    ({"rollout": '"Immediate"'}, "at '/rollout': got string, want object"),
    ({"rollout.strategy": '"Sometimes"'}, "strategy': value must be one of 'Waves', 'Hold', 'Immediate'"),
    ({"rollout.waveSize": "0"}, "at '/rollout/waveSize': minimum: got 0, want 1"),
    ({"rollout.windows": '[{"start": "2am", "durationMinutes": 60}]'}, "at '/rollout/windows/0/start'"),
    ({"googleProjects": '{"acme-crm": {}}'}, "missing property 'clientId'"),
    ({"googleProjects": '{"123": {"clientId": "x"}}'}, "invalid propertyName '123'"),
    ({"googleProjects": '{"acme-crm": {"clientId": "x", "number": 12}}'}, "number': got number, want string"),
    ({"tenants.images.postgresql": '"postgresql:latest"'}, "at '/tenants/images/postgresql'"),
    ({"tenants.regions": '{"europe-west1-b": {}}'}, "invalid propertyName 'europe-west1-b'"),
    ({"tenants.plans": '{"Huge": {}}'}, "additional properties 'Huge' not allowed"),
    ({"tenants.plans.Starter.database.storage": '"10GB"'}, "at '/tenants/plans/Starter/database/storage'"),
    ({"tenants.plans.Starter.web.replicas": "0"}, "minimum: got 0, want 1"),
    ({"tenants.routing.kind": '"Route"'}, "at '/tenants/routing/kind': value must be one of"),
    ({"tenants.routing.scheme": '"ftp"'}, "at '/tenants/routing/scheme': value must be one of"),
    ({"tenants.routing.port": "70000"}, "at '/tenants/routing/port': maximum: got 70,000, want 65,535"),
    ({"tenants.routing.domain": '"*.example.com"'}, "at '/tenants/routing/domain'"),
    ({"tenants.network.clusterCIDRs": '["10.0.0.0"]'}, "at '/tenants/network/clusterCIDRs/0'"),
    ({"tenants.google.pubsubEmulatorHost": '"http://x"'}, "at '/tenants/google/pubsubEmulatorHost'"),
    ({"tenants.google.kmsEmulatorHost": '"http://x"'}, "at '/tenants/google/kmsEmulatorHost'"),
    ({"tenants.mail.host": '"mail.example.com"'}, "at '/tenants/mail/from': minLength: got 0, want 3"),
    ({"tenants.mail.security": '"ssl"'}, "at '/tenants/mail/security': value must be one of 'starttls'"),
    ({"tenants.keys.kind": '"HSM"'}, "at '/tenants/keys/kind': value must be one of 'Secret', 'KMS'"),
    ({"tenants.keys.kind": '"KMS"', "tenants.keys.egress": '[{"ports": []}]'}, "at '/tenants/keys/keyRing'"),
    ({"tenants.keys.kind": '"KMS"', "tenants.keys.keyRing": '"crm"'}, "at '/tenants/keys/egress': minItems"),
    ({"metrics.podMonitor.interval": '"often"'}, "at '/metrics/podMonitor/interval'"),
    # What has no sensible default is asked for.
    ({"operator.image": '""'}, "operator.image is missing: give its full reference, such as"),
    ({"broker.image": '""'}, "broker.image is missing"),
    ({"tenants.images.crm": '""'}, "tenants.images.crm is missing"),
    ({"tenants.images.postgresql": '""'}, "tenants.images.postgresql is missing"),
    ({"tenants.routing.domain": '""'}, "tenants.routing.domain is missing: give the domain"),
    ({"tenants.supportContact": '""'}, "tenants.supportContact is missing"),
    ({"tenants.regions": "null"}, "tenants.regions is empty"),
    ({"googleProjects": "null"}, "googleProjects is empty"),
    ({"googleClients.existingSecret": '""'}, "googleClients.existingSecret is missing: name the Secret"),
    (
        {"googleClients.values": '{"acme-crm-prod": {"client_id": "x", "client_secret": "y"}}'},
        "are both set: keep one",
    ),
    (
        {
            "googleClients.existingSecret": '""',
            "googleClients.values": '{"acme-crm-2": {"client_id": "x", "client_secret": "y"}}',
        },
        "googleClients.values has no client for the project acme-crm-prod",
    ),
    ({"tenants.routing.kind": '"HTTPRoute"'}, "needs tenants.routing.gateway.name and .namespace"),
    (
        {
            "tenants.routing.kind": '"HTTPRoute"',
            "tenants.routing.gateway": '{"name": "g", "namespace": "g"}',
            "broker.tls.existingSecret": '"tls"',
        },
        "needs broker.tls.caConfigMap",
    ),
]


def label(value: Any) -> str:
    return "+".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else ""


@pytest.mark.parametrize(("changes", "says"), REFUSED, ids=label)
def test_refused_with_a_reason(refusal: Any, changes: dict[str, str], says: str) -> None:
    assert says in refusal(changes)


def properties(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property, references resolved; their descriptions stand beside the reference."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
    for name, child in schema.get("properties", {}).items():
        yield f"{path}{name}", child
        yield from properties(child, f"{path}{name}.")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from properties(schema["additionalProperties"], f"{path}*.")


def test_every_value_is_described() -> None:
    for path, schema in properties(SCHEMA):
        assert schema.get("description", "").endswith("."), path


def objects(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if schema.get("type") == "object":
        yield schema
    for child in [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]:
        yield from objects(child)
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from objects(schema[keyword])


def test_no_object_takes_unknown_keys() -> None:
    """But for what Kubernetes defines: affinity, tolerations, egress rules; and Helm's own globals."""
    for schema in objects(SCHEMA):
        if "properties" in schema:
            assert schema["additionalProperties"] is False, schema["description"]


def test_every_default_is_in_the_schema_and_the_other_way_round() -> None:
    written = dict(properties(SCHEMA))

    def leaves(values: dict[str, Any], path: str = "") -> Iterator[str]:
        for name, value in values.items():
            yield f"{path}{name}"
            if isinstance(value, dict) and any(each.startswith(f"{path}{name}.") for each in written):
                yield from leaves(value, f"{path}{name}.")

    missing = {path for path in written if "*" not in path} - set(leaves(DEFAULTS)) - {"global"}
    assert missing == set()


def test_the_installation_guide_names_values_that_exist() -> None:
    known = {path.replace("*.", "") for path, _ in properties(SCHEMA)}
    first = "|".join(SCHEMA["properties"])
    text = (ROOT / "docs/installation.md").read_text(encoding="utf-8")
    named = re.findall(rf"`((?:{first})(?:\.[A-Za-z*]+)+)`", text)
    assert named
    assert {path.replace("*.", "") for path in named} <= known


def test_the_readme_lists_every_value() -> None:
    command = [sys.executable, "dev/chart_docs.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
