"""kubeconform over the rendered chart and the examples, by schemas that the API server itself publishes."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from localkube import binaries

ROOT = Path(__file__).resolve().parents[3]
# Their API comes with the Prometheus operator and is not served here.
ELSEWHERE = "PodMonitor,PrometheusRule"
PREFIX = "#/definitions/"


def references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].removeprefix(PREFIX)
        for child in schema.values():
            yield from references(child)
    elif isinstance(schema, list):
        for child in schema:
            yield from references(child)


def strict(schema: Any) -> None:
    """Make of OpenAPI 2 what JSON Schema understands, and refuse fields that are not there."""
    if isinstance(schema, list):
        for child in schema:
            strict(child)
    elif isinstance(schema, dict):
        if schema.get("format") == "int-or-string":
            schema["type"] = ["string", "integer"]
        if isinstance(schema.get("properties"), dict) and not schema.get(
            "x-kubernetes-preserve-unknown-fields"
        ):
            schema.setdefault("additionalProperties", False)
        for child in schema.values():
            strict(child)


def write(definitions: dict[str, Any], folder: Path) -> None:
    """One file a kind, named as kubeconform's own schemas are, with all it refers to."""
    for name, definition in definitions.items():
        kinds = definition.get("x-kubernetes-group-version-kind", [])
        if len(kinds) != 1 or "properties" not in definition:
            continue
        needed, left = {name}, [name]
        while left:
            new = set(references(definitions[left.pop()])) - needed
            needed |= new
            left += new
        whole = copy.deepcopy({each: definitions[each] for each in needed})
        strict(whole)
        group = kinds[0]["group"].partition(".")[0]
        words = [kinds[0]["kind"].lower(), *([group] if group else []), kinds[0]["version"]]
        path = folder / f"{'-'.join(words)}.json"
        path.write_text(json.dumps({"$ref": PREFIX + name, "definitions": whole}), encoding="utf-8")


@pytest.fixture(scope="session")
def schemas(installed: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schemas")
    write(json.loads(installed.kubectl("get", "--raw", "/openapi/v2"))["definitions"], folder)
    return folder


def kubeconform(schemas: Path, documents: list[dict[str, Any]]) -> dict[str, Any]:
    location = str(schemas / "{{ .ResourceKind }}{{ .KindSuffix }}.json")
    options = ["-strict", "-summary", "-verbose", "-output", "json", "-skip", ELSEWHERE]
    command = [
        str(binaries.ensure("kubeconform")["kubeconform"]),
        *options,
        "-schema-location",
        location,
        "-",
    ]
    text = yaml.safe_dump_all(documents)
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def wrong(answer: dict[str, Any]) -> list[dict[str, Any]]:
    good = ("statusValid", "statusSkipped")
    return [each for each in answer["resources"] if each["status"] not in good]


@pytest.mark.parametrize("values", ["least", "production"])
def test_the_chart(schemas: Path, render: Any, values: str) -> None:
    answer = kubeconform(schemas, render(ROOT / f"charts/guestpost-operator/ci/{values}-values.yaml"))
    assert wrong(answer) == []
    assert answer["summary"]["valid"] > 20


def test_the_examples(schemas: Path) -> None:
    paths = sorted((ROOT / "examples").glob("*.yaml"))
    documents = [each for path in paths for each in yaml.safe_load_all(path.read_text(encoding="utf-8"))]
    answer = kubeconform(schemas, documents)
    assert wrong(answer) == []
    assert answer["summary"]["valid"] == len(documents)


def test_what_is_wrong_is_found(schemas: Path, render: Any) -> None:
    """The check itself: a field that no version of the API ever had."""
    objects = render(ROOT / "charts/guestpost-operator/ci/least-values.yaml")
    (broken,) = [
        each for each in objects if (each["kind"], each["metadata"]["name"]) == ("Deployment", "operator")
    ]
    broken["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    assert "livenesProbe" in str(wrong(kubeconform(schemas, [broken])))
