"""What people and tools see of the API: defaults, columns, selectors, explanations."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client
from localkube import binaries
from localkube.controlplane import ControlPlane

ROOT = Path(__file__).resolve().parents[3]
DEFINITIONS = [
    yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "crds").glob("*.yaml"))
]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))

LEAST = {
    "owner": {"name": "Anna Reyes", "email": "anna@acme.example"},
    "region": "europe-west1",
    "googleProject": "acme-crm-prod",
}
DEFAULTS = {
    "plan": "Starter",
    "state": "Running",
    "release": {"channel": "Stable"},
    "storage": {},
    "deletion": {
        "protected": False,
        "requested": False,
        "gracePeriodSeconds": 604800,
        "finalExport": "Required",
    },
}


def tenant(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "guestpostcrm.com/v1alpha1",
        "kind": "GuestPostTenant",
        "metadata": {"name": name},
        "spec": {**LEAST, **spec},
    }


def every_field() -> list[tuple[str, dict[str, Any]]]:
    """Of every kind, but for what all objects have."""
    return [
        (f"{definition['spec']['names']['kind']}.{path}", field)
        for definition in DEFINITIONS
        for path, field in fields(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
        if path.partition(".")[0] not in ("apiVersion", "kind", "metadata")
    ]


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, child in schema.get("properties", {}).items():
        yield f"{path}{name}", child
        yield from fields(child, f"{path}{name}.")
    if "items" in schema:
        yield from fields(schema["items"], path)


@pytest.fixture(scope="module")
def acme(tenants: Any) -> Iterator[dict[str, Any]]:
    yield tenants.create(tenant("reading-acme", plan="Growth", region="us-east4"))
    tenants.delete("reading-acme")


@pytest.mark.parametrize("given", [{}, {"release": {}, "storage": {}, "deletion": {}}], ids=["none", "empty"])
def test_defaults_are_written_into_the_object(tenants: Any, given: dict[str, Any]) -> None:
    """Stored with the object, so a later default changes no tenant that is already there."""
    made = tenants.create(tenant("reading-defaults", **given))
    try:
        assert made["spec"] == {**LEAST, **DEFAULTS}
    finally:
        tenants.delete("reading-defaults")


def test_unknown_fields_are_refused_by_name(tenants: Any, said: Any) -> None:
    with pytest.raises(client.ApiException) as refused:
        tenants.create(tenant("reading-unknown", plann="Growth"), dry_run=True)
    assert 'unknown field "spec.plann"' in said(refused.value)


def test_status_is_not_for_users(tenants: Any) -> None:
    made = tenants.create({**tenant("reading-status"), "status": {"phase": "Running"}}, dry_run=True)
    assert "status" not in made


def test_found_by_what_operations_ask_for(tenants: Any, acme: dict[str, Any]) -> None:
    for selector in ("spec.plan=Growth", "spec.region=us-east4", "spec.state=Running,spec.plan=Growth"):
        found = tenants.list(field_selector=selector)
        assert [each["metadata"]["name"] for each in found] == ["reading-acme"]
    assert tenants.list(field_selector="spec.googleProject=another-project") == []


def kubectl(control_plane: ControlPlane, *arguments: str) -> str:
    program = str(binaries.ensure("kubectl")["kubectl"])
    command = [program, f"--kubeconfig={control_plane.kubeconfig}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("name", ["gpt", "guestposttenant", "guestpost", "guestposttenants.guestpostcrm.com"])
def test_listed_by_every_name(control_plane: ControlPlane, acme: dict[str, Any], name: str) -> None:
    assert "reading-acme" in kubectl(control_plane, "get", name)


def test_columns_tell_the_state_and_nothing_personal(
    control_plane: ControlPlane, acme: dict[str, Any]
) -> None:
    narrow = kubectl(control_plane, "get", "gpt").splitlines()[0].split()
    assert narrow == ["NAME", "PHASE", "READY", "REASON", "PLAN", "REGION", "VERSION", "URL", "AGE"]
    wide = kubectl(control_plane, "get", "gpt", "-o", "wide")
    assert wide.splitlines()[0].split()[9:] == ["STATE", "CHANNEL", "PROJECT", "NAMESPACE", "REVISION"]
    assert "anna" not in wide.lower()


def test_explain_reads_like_documentation(control_plane: ControlPlane, acme: dict[str, Any]) -> None:
    told = kubectl(control_plane, "explain", "gpt.spec", "--recursive")
    assert all(
        name in told for name in ("gracePeriodSeconds", "suspendReason", "enum: Starter, Growth, Scale")
    )
    assert "604800 are 7 days" in " ".join(
        kubectl(control_plane, "explain", "gpt.spec.deletion.gracePeriodSeconds").split()
    )


@pytest.mark.parametrize(
    ("path", "field"), every_field(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_field_is_described_in_sentences(path: str, field: dict[str, Any]) -> None:
    assert re.match(r"[A-Z].*\.$", field.get("description", "")), path


def test_every_list_and_string_is_bounded() -> None:
    for path, field in every_field():
        if field.get("type") == "array":
            assert "maxItems" in field, path
            assert field["items"].get("type") == "object" or "maxLength" in field["items"], path
        if field.get("type") == "string":
            assert field.keys() & {"maxLength", "enum", "format"}, path


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_accepted(tenants: Any, path: Path) -> None:
    documents = [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each]
    assert documents
    for document in documents:
        assert document["kind"] == "GuestPostTenant"
        tenants.create(document, dry_run=True)


def test_examples_are_numbered_without_gaps() -> None:
    assert [path.name[:2] for path in EXAMPLES] == [f"{count:02}" for count in range(1, len(EXAMPLES) + 1)]
