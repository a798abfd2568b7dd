"""A real API server that knows the CRDs of this repository."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config, watch
from localkube.controlplane import ControlPlane

CRDS = Path(__file__).resolve().parents[3] / "crds"
GROUP, VERSION = "guestpostcrm.com", "v1alpha1"


class Kind:
    """The objects of one of our kinds, as a user of the API sees them; namespaced ones in `default`."""

    def __init__(self, api: client.ApiClient, plural: str, *, namespaced: bool = False) -> None:
        self._objects = client.CustomObjectsApi(api)
        self._scope = "namespaced" if namespaced else "cluster"
        self._at = (GROUP, VERSION, "default", plural) if namespaced else (GROUP, VERSION, plural)

    def _ask(self, verb: str, what: str, *arguments: Any, **options: Any) -> Any:
        return getattr(self._objects, f"{verb}_{self._scope}_{what}")(*self._at, *arguments, **options)

    def create(self, body: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        options = {"dry_run": "All"} if dry_run else {}
        made: dict[str, Any] = self._ask(
            "create", "custom_object", body, field_validation="Strict", **options
        )
        return made

    def try_create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Try to make an object without making it."""
        return self.create(body, dry_run=True)

    def replace(self, body: Mapping[str, Any], what: str = "custom_object") -> dict[str, Any]:
        """Try an update without making it."""
        name = body["metadata"]["name"]
        tried: dict[str, Any] = self._ask(
            "replace", what, name, body, field_validation="Strict", dry_run="All"
        )
        return tried

    def replace_status(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Try an update of the status without making it."""
        return self.replace(body, "custom_object_status")

    def write_status(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make an update of the status."""
        name = body["metadata"]["name"]
        made: dict[str, Any] = self._ask("replace", "custom_object_status", name, body)
        return made

    def list(self, **options: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask("list", "custom_object", **options)["items"]
        return found

    def delete(self, name: str) -> None:
        self._ask("delete", "custom_object", name)


def refusal(error: client.ApiException) -> str:
    """What the API server said."""
    return str(json.loads(error.body)["message"])


BOUNDS = {"minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "enum", "pattern", "format"}


def rules(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, str, str]]:
    """Every rule below a schema: path, keyword and, for CEL, the message."""
    for keyword in BOUNDS & schema.keys():
        yield path, keyword, ""
    if schema.get("x-kubernetes-list-type") in ("map", "set"):
        yield path, "x-kubernetes-list-type", ""
    for each in schema.get("x-kubernetes-validations", []):
        yield path, "rule", each["message"]
    for name, child in schema.get("properties", {}).items():
        below = f"{path}.{name}".lstrip(".")
        if name in schema.get("required", []):
            yield below, "required", ""
        yield from rules(child, below)
    if "items" in schema:
        yield from rules(schema["items"], f"{path}[]")


def takes_and_refuses(
    attempt: Callable[[dict[str, Any]], Any], good: dict[str, Any], bad: dict[str, Any], says: str
) -> None:
    """One object is taken, and another one is refused in words that have this among them."""
    attempt(good)
    with pytest.raises(client.ApiException) as refused:
        attempt(bad)
    assert refused.value.status == 422
    assert says in refusal(refused.value)


def uncovered(path: Path, plain: set[tuple[str, str]], sayings: list[str]) -> list[str]:
    """Rules of a CRD that no test names.

    Args:
        path: the CRD.
        plain: place and keyword of what is tested.
        sayings: for CEL, parts of the messages that are tested.
    """
    definition = yaml.safe_load(path.read_text(encoding="utf-8"))
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return [
        f"{place} {keyword} {message}"
        for place, keyword, message in rules(schema)
        if not ((place, keyword) in plain if keyword != "rule" else any(says in message for says in sayings))
    ]


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("control-plane")) as running:
        yield running


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane) -> client.ApiClient:
    """A client of the API server, with every CRD established."""
    connected = config.new_client_from_config(str(control_plane.kubeconfig))
    extensions = client.ApiextensionsV1Api(connected)
    for path in sorted(CRDS.glob("*.yaml")):
        definition = yaml.safe_load(path.read_text(encoding="utf-8"))
        extensions.create_custom_resource_definition(definition, field_validation="Strict")
        name = definition["metadata"]["name"]
        events = watch.Watch().stream(
            extensions.list_custom_resource_definition,
            field_selector=f"metadata.name={name}",
            timeout_seconds=90,
        )
        for event in events:
            conditions = {each.type: each for each in event["object"].status.conditions or []}
            problem = conditions.get("NonStructuralSchema")
            assert problem is None or problem.status != "True", f"{path.name}: {problem.message}"
            if "Established" in conditions and conditions["Established"].status == "True":
                break
        else:
            pytest.fail(f"{path.name}: not established within 90 s")
    return connected


@pytest.fixture(scope="session")
def tenants(api: client.ApiClient) -> Kind:
    return Kind(api, "guestposttenants")


@pytest.fixture(scope="session")
def claims(api: client.ApiClient) -> Kind:
    return Kind(api, "mailboxclaims")


@pytest.fixture(scope="session")
def exports(api: client.ApiClient) -> Kind:
    return Kind(api, "tenantexports", namespaced=True)


@pytest.fixture(scope="session")
def requests(api: client.ApiClient) -> Kind:
    return Kind(api, "tenantrequests", namespaced=True)


@pytest.fixture(scope="session")
def usages(api: client.ApiClient) -> Kind:
    return Kind(api, "tenantusages", namespaced=True)


@pytest.fixture(scope="session")
def grants(api: client.ApiClient) -> Kind:
    return Kind(api, "supportgrants", namespaced=True)


@pytest.fixture(scope="session")
def receipts(api: client.ApiClient) -> Kind:
    return Kind(api, "erasurereceipts")


CONDITION = {
    "type": "Complete",
    "status": "True",
    "observedGeneration": 1,
    "lastTransitionTime": "2026-11-24T12:00:00Z",
    "reason": "Complete",
    "message": "",
}


def with_field(document: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with a field set, or left out for None; `x[]` is the first item of a list, if need be made."""
    copied: dict[str, Any] = copy.deepcopy(dict(document))
    *parents, last = path.split(".")
    place: Any = copied
    for parent in parents:
        if parent.endswith("[]"):
            place = place.setdefault(parent[:-2], [dict(CONDITION)])[0]
        else:
            place = place.setdefault(parent, {})
    if value is None:
        place.pop(last, None)
    else:
        place[last] = value
    return copied


@pytest.fixture(scope="session")
def put() -> Callable[[Mapping[str, Any], str, Any], dict[str, Any]]:
    return with_field


@pytest.fixture(scope="session")
def said() -> Callable[[client.ApiException], str]:
    return refusal


@pytest.fixture(scope="session")
def rule_holds() -> Callable[[Callable[[dict[str, Any]], Any], dict[str, Any], dict[str, Any], str], None]:
    return takes_and_refuses


@pytest.fixture(scope="session")
def rules_without() -> Callable[[Path, set[tuple[str, str]], list[str]], list[str]]:
    return uncovered
