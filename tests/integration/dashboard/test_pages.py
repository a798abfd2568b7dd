"""Fleet and tenant as people of each role see them, against a real API server."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from dashboard_world import World, status
from kubernetes import client

Enter = Callable[[str], Any]


def names(text: str) -> list[str]:
    """The tenants of a list, in its order."""
    return re.findall(r'<tr id="t-([^"]+)"', text)


@pytest.mark.parametrize("role", ["viewer", "provisioner", "support"])
def test_staff_see_the_fleet(person: Enter, role: str) -> None:
    page = person(role).get("/")
    assert page.status_code == 200
    assert set(names(page.text)) >= {"acme", "beta", "delta", "gamma"}
    # Only who may change tenants chooses some.
    assert ('name="tenant"' in page.text) is (role == "provisioner")
    assert (">New tenant<" in page.text) is (role == "provisioner")


def test_who_has_no_role_sees_none_of_it(person: Enter) -> None:
    stranger = person("nobody")
    for address in ("/", "/figures", "/streams/fleet", "/tenants/acme", "/tenants/acme.yaml"):
        answer = stranger.get(address)
        assert answer.status_code == 403, address
        assert "anna@acme.example" not in answer.text


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("/?q=acm", ["acme"]),
        ("/?q=anna@delta", ["delta"]),
        ("/?region=us-central1&q=a", ["delta"]),
        ("/?plan=Scale&plan=Starter&q=a", ["acme", "beta", "delta", "gamma"]),
        ("/?plan=Scale&sort=-name", ["delta"]),
        ("/?show=unready", ["delta"]),
        ("/?q=nothing+is+like+this", []),
        ("/?sort=-name&q=ta", ["delta", "beta"]),
    ],
)
def test_what_is_asked_for_is_in_the_address(person: Enter, address: str, found: list[str]) -> None:
    assert [
        each
        for each in names(person("viewer").get(address).text)
        if each in {"acme", "beta", "gamma", "delta"}
    ] == found


def test_columns_are_in_the_address(person: Enter) -> None:
    viewer = person("viewer")
    answer = viewer.get("/?column=host&column=plan&q=acme")
    assert answer.headers["location"] == "/?q=acme&columns=plan%2Chost"
    text = viewer.get(answer.headers["location"]).text
    assert "acme.crm.example.com" in text
    assert 'class="c-region"' not in text


def test_a_part_of_the_page_tells_the_address(person: Enter) -> None:
    answer = person("viewer").get("/?q=acme.crm&page=1", **{"HX-Request": "true"})
    assert answer.headers["hx-push-url"] == "/?q=acme.crm"
    assert "<html" not in answer.text
    assert names(answer.text) == ["acme"]


def test_the_figures_count_what_there_is(person: Enter, api_server: World) -> None:
    text = person("viewer").get("/figures").text
    tiles = dict(re.findall(r"<strong>([^<]+)</strong> <span>([^<]+)</span>", text))
    there = api_server.objects.list_cluster_custom_object("guestpostcrm.com", "v1alpha1", "guestposttenants")
    assert tiles.get(str(len(there["items"]))) == "Tenants"


def test_a_tenant_says_what_is_wrong_since_when_and_what_to_do(person: Enter) -> None:
    text = person("viewer").get("/tenants/delta").text
    assert "DatabaseReady: False" in text
    assert "VolumePending" in text
    assert "No volume is bound yet." in text
    assert "since <time datetime=" in text
    assert "docs/runbooks/database-not-ready.md" in text
    # What is wrong comes first.
    assert text.index("DatabaseReady: False") < text.index("NamespaceReady: True")
    assert "docs/runbooks/namespace-not-ready.md" not in text


def test_a_tenant_shows_its_parts(person: Enter) -> None:
    text = person("viewer").get("/tenants/acme").text
    for said in (
        "Anna Reyes &lt;anna@acme.example&gt;", "projects/acme-crm-prod/topics/gpt-acme-0b7c4d1e", "20Gi",
        "premium",
        "r-7f3a91", "https://acme.crm.example.com", "Release history", "Nobody asked to be let in.",
    ):  # fmt: skip
        assert said in text, said


@pytest.fixture
def namespace(api_server: World) -> str:
    """acme's namespace, with an export, a grant, events, and something that it is made of."""
    core, objects = api_server.core, api_server.objects
    tenant = objects.get_cluster_custom_object("guestpostcrm.com", "v1alpha1", "guestposttenants", "acme")
    uid = tenant["metadata"]["uid"]
    try:
        core.create_namespace({"metadata": {"name": "gpt-acme"}})
    except client.ApiException as error:
        assert error.status == 409  # noqa: PT017 - another test made it
        return "gpt-acme"
    labels = {"guestpostcrm.com/tenant-uid": uid}
    core.create_namespaced_service("gpt-acme", {
        "metadata": {"name": "web", "labels": labels}, "spec": {"ports": [{"port": 443}]},
    })  # fmt: skip
    core.create_namespaced_service(
        "gpt-acme", {"metadata": {"name": "strange"}, "spec": {"ports": [{"port": 1}]}}
    )
    core.create_namespaced_secret(
        "gpt-acme", {"metadata": {"name": "crm-keys", "labels": labels}, "type": "Opaque"}
    )
    kinds = {
        "tenantexports": {
            "kind": "TenantExport", "metadata": {"name": "before-leaving"}, "spec": {"requestedBy": "Staff"},
        },
        "supportgrants": {
            "kind": "SupportGrant", "metadata": {"name": "ticket-4711"},
            "spec": {"subject": "sam@support.example", "level": "Browse", "reason": "Ticket 4711: no mail"},
        },
    }  # fmt: skip
    for plural, body in kinds.items():
        objects.create_namespaced_custom_object(
            "guestpostcrm.com",
            "v1alpha1",
            "gpt-acme",
            plural,
            {"apiVersion": "guestpostcrm.com/v1alpha1", **body},
        )
    objects.patch_namespaced_custom_object_status(
        "guestpostcrm.com", "v1alpha1", "gpt-acme", "tenantexports", "before-leaving",
        {"status": {"phase": "Complete", "bytes": 5_000_000, "counts": {"messages": 4321}}},
    )  # fmt: skip
    event = {
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": "acme.1", "namespace": "default"}, "type": "Warning", "reason": "WaveFailed",
        "note": "UpgradeBlocked is True.", "action": "Reconcile", "eventTime": "2026-11-24T12:00:00.000000Z",
        "reportingController": "guestpost-operator", "reportingInstance": "one",
        "regarding": {
            "apiVersion": "guestpostcrm.com/v1alpha1", "kind": "GuestPostTenant", "name": "acme", "uid": uid,
        },
    }  # fmt: skip
    with api_server.admin() as http:
        answer = http.post("/apis/events.k8s.io/v1/namespaces/default/events", json=event)
        assert answer.status_code == 201, answer.text
    return "gpt-acme"


@pytest.mark.parametrize("role", ["viewer", "provisioner", "support"])
def test_exports_grants_events_and_what_it_is_made_of(person: Enter, namespace: str, role: str) -> None:
    text = person(role).get("/tenants/acme").text
    for said in (
        "before-leaving", "4\u202f321", "4.8 MiB", "ticket-4711", "sam@support.example",
        "Ticket 4711: no mail",
        "WaveFailed", "UpgradeBlocked is True.", '<th scope="row">web</th>',
    ):  # fmt: skip
        assert said in text, said
    # Not its own, and never a Secret.
    assert "strange" not in text
    assert "crm-keys" not in text
    # What is hidden is said to be.
    assert "You may not list" in text


def test_the_yaml_is_the_object_without_what_machines_keep_in_it(person: Enter) -> None:
    answer = person("viewer").get("/tenants/acme.yaml")
    assert answer.headers["content-disposition"] == 'attachment; filename="acme.yaml"'
    found = yaml.safe_load(answer.text)
    assert found["kind"] == "GuestPostTenant"
    assert found["spec"]["owner"]["email"] == "anna@acme.example"
    assert "managedFields" not in found["metadata"]


def test_a_tenant_that_nobody_works_on_yet(
    person: Enter, api_server: World, tenant: Callable[..., str]
) -> None:
    api_server.tenant("quite-new")
    try:
        text = person("viewer").get("/tenants/quite-new").text
        assert "The operator has not said anything yet." in text
    finally:
        api_server.delete("quite-new")


def test_a_change_that_the_operator_has_not_seen_is_said(
    person: Enter, api_server: World, tenant: Callable[..., str]
) -> None:
    tenant("moving-on")
    assert "has not seen the last change" not in person("viewer").get("/tenants/moving-on").text
    api_server.change("moving-on", {"plan": "Growth"})
    assert "has not seen the last change" in person("viewer").get("/tenants/moving-on").text
    api_server.says("moving-on", {**status("moving-on"), "observedGeneration": 2})
    assert "has not seen the last change" not in person("viewer").get("/tenants/moving-on").text
