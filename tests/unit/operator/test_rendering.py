"""What a tenant is made of: golden files, routes by choice, and no name that becomes structure."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from guestpost_operator import render, revision
from guestpost_operator.api import names
from guestpost_operator.exports import Run
from guestpost_operator.states import Wanted
from hypothesis import given, settings
from hypothesis import strategies as st

GOLDEN = Path(__file__).parent / "golden"
ROUTES = ("Ingress", "HTTPRoute", "BackendTLSPolicy")
GATEWAY = {
    "routing__kind": "HTTPRoute",
    "routing__gateway": {"name": "public", "namespace": "gateway", "sectionName": "https"},
}
CHOICES: dict[str, dict[str, Any]] = {
    "ingress": {},
    "httproute": GATEWAY,
    "standins": {
        "routing__kind": "None",
        "routing__scheme": "http",
        "routing__port": 8080,
        "google__gmailApiEndpoint": "http://google.google.svc",
        "google__issuer": "http://google.localhost:8080",
        "google__certsUrl": "http://google.google.svc/certs",
        "google__pubsubEmulatorHost": "pubsub.google.svc:8085",
        "network__extraEgress": [{"to": [{"namespaceSelector": {}}], "ports": [{"port": 8085}]}],
        "network__monitoringNamespaces": [],
    },
}


def rendered(tenant: Any, config: Any, credentials: Any) -> list[dict[str, Any]]:
    return render.render(tenant, revision.current(config), credentials, "PEM of the broker\n")


def of_kind(manifests: list[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
    return [each for each in manifests if each["kind"] in kinds]


@pytest.mark.parametrize(("choice", "kinds"), [("ingress", ()), ("httproute", ROUTES)])
def test_a_tenant_is_as_reviewed(
    make_tenant: Any, configure: Any, credentials: Any, choice: str, kinds: tuple[str, ...]
) -> None:
    """Golden files; UPDATE_GOLDEN=1 writes them, and the diff is what to review."""
    manifests = rendered(make_tenant(), configure(**CHOICES[choice]), credentials)
    manifests = of_kind(manifests, *kinds) if kinds else manifests
    text = yaml.safe_dump_all(manifests, width=120, sort_keys=False)
    path = GOLDEN / f"{choice}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_an_export_is_as_reviewed(make_tenant: Any, configure: Any, credentials: Any) -> None:
    """Its pod, its volume, the way to it; with a tenant that has none, nothing of it is rendered."""
    config = revision.current(configure())
    runs = (Run("before-leaving", "20Gi"), Run("resting", "20Gi", runs=False))
    with_exports = render.render(make_tenant(), config, credentials, "", Wanted(exports=runs))
    without = render.render(make_tenant(), config, credentials, "")
    kinds = ("StatefulSet", "Service")
    assert [each["metadata"]["name"] for each in of_kind(without, *kinds)] == ["web"]
    found = [each for each in of_kind(with_exports, *kinds) if each["metadata"]["name"] != "web"]
    text = yaml.safe_dump_all(found[:2], width=120, sort_keys=False)
    path = GOLDEN / "export.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
    assert [each["spec"].get("replicas") for each in found] == [1, None, 0, None]


@pytest.mark.parametrize(
    ("choice", "kinds"),
    [("ingress", ["Ingress"]), ("httproute", ["HTTPRoute", "BackendTLSPolicy"]), ("standins", [])],
)
def test_the_route_is_of_the_chosen_kind(
    make_tenant: Any, configure: Any, credentials: Any, choice: str, kinds: list[str]
) -> None:
    manifests = rendered(make_tenant(hostname="crm.acme.example"), configure(**CHOICES[choice]), credentials)
    routes = of_kind(manifests, *ROUTES)
    assert [each["kind"] for each in routes] == kinds
    if routes:
        assert "crm.acme.example" in str(routes[0]["spec"])


def test_the_stand_in_for_pubsub_changes_one_variable(
    make_tenant: Any, configure: Any, credentials: Any
) -> None:
    """In production credentials come from the pod's identity; nothing else knows the difference."""
    real = rendered(make_tenant(), configure(), credentials)
    emulated = rendered(make_tenant(), configure(google__pubsubEmulatorHost="pubsub:8085"), credentials)
    variable = {"name": "PUBSUB_EMULATOR_HOST", "value": "pubsub:8085"}
    pods = 0
    for manifest in of_kind(emulated, "Deployment"):
        pod = manifest["spec"]["template"]["spec"]
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            container["env"].remove(variable)
            pods += 1
    assert pods == 3
    assert [without_hash(each) for each in emulated] == [without_hash(each) for each in real]


def test_kms_is_reached_by_exports_where_the_values_say_so(
    make_tenant: Any, configure: Any, credentials: Any
) -> None:
    rule = {"to": [{"ipBlock": {"cidr": "199.36.153.8/30"}}], "ports": [{"port": 443, "protocol": "TCP"}]}
    config = configure(
        keys__kind="KMS", keys__keyRing="crm", keys__egress=[rule], google__kmsEmulatorHost="g:1"
    )
    manifests = rendered(make_tenant(), config, credentials)
    with_rule = [
        each["metadata"]["name"]
        for each in of_kind(manifests, "NetworkPolicy")
        if rule in each["spec"].get("egress", ())
    ]
    assert with_rule == ["export"]
    variable = {"name": "KMS_EMULATOR_HOST", "value": "g:1"}
    for manifest in of_kind(manifests, "Deployment"):
        assert variable in manifest["spec"]["template"]["spec"]["containers"][0]["env"]


def without_hash(manifest: dict[str, Any]) -> dict[str, Any]:
    metadata = dict(manifest["metadata"])
    annotations = dict(metadata.pop("annotations"))
    annotations.pop(names.ANNOTATION_APPLIED)
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


@pytest.mark.promise("P5.2")
def test_only_the_sync_has_the_identity_that_may_read_mail(
    make_tenant: Any, configure: Any, credentials: Any
) -> None:
    accounts = {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]["serviceAccountName"]
        for each in of_kind(rendered(make_tenant(), configure(), credentials), "Deployment")
    }
    assert accounts == {"web": "web", "sync": "sync"}


def test_everything_carries_whose_it_is_and_its_own_hash(
    make_tenant: Any, configure: Any, credentials: Any
) -> None:
    tenant = make_tenant()
    for each in rendered(tenant, configure(**GATEWAY), credentials):
        metadata = each["metadata"]
        assert metadata["labels"][names.LABEL_TENANT_UID] == tenant.uid
        assert metadata["labels"][names.LABEL_MANAGED_BY] == names.FIELD_MANAGER
        assert len(metadata["annotations"][names.ANNOTATION_APPLIED]) == 24
        assert each["kind"] == "Namespace" or metadata["namespace"] == tenant.namespace


def test_the_namespace_alone_is_the_namespace_among_all(
    make_tenant: Any, configure: Any, credentials: Any
) -> None:
    (among,) = of_kind(rendered(make_tenant(), configure(), credentials), "Namespace")
    assert render.namespace(make_tenant(), revision.current(configure())) == among


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("hostname", ["", "crm.acme.example"])
def test_placeholders_give_what_templates_give(
    make_tenant: Any, configure: Any, credentials: Any, choice: str, hostname: str
) -> None:
    """`Revision.render` works templates through once for many tenants; it must not be seen."""
    tenant, current = make_tenant(hostname=hostname), revision.current(configure(**CHOICES[choice]))
    context, values = render.context(tenant, current), render.values(tenant, current, credentials, "")
    assert current.render(context, values) == current.render_directly({**context, **values})


def test_no_name_becomes_structure(make_tenant: Any, configure: Any, credentials: Any) -> None:
    """Whatever the API server lets through, and what it does not."""
    current = revision.current(configure())
    plain = render.render(make_tenant(), current, credentials, "")

    @given(st.text(st.characters(codec="utf-8", exclude_characters="\x01\x02"), min_size=1, max_size=60))
    @settings(max_examples=60)
    def holds(typed: str) -> None:
        owner = {"name": typed, "email": "anna@acme.example"}
        manifests = render.render(make_tenant(owner=owner), current, credentials, "")
        assert [list(walk(each)) for each in manifests] == [list(walk(each)) for each in plain]
        (web,) = [each for each in of_kind(manifests, "Deployment") if each["metadata"]["name"] == "web"]
        variables = web["spec"]["template"]["spec"]["containers"][0]["env"]
        assert {"name": "OWNER_NAME", "value": typed} in variables

    holds()


def test_values_of_the_chart_may_hold_any_character(
    make_tenant: Any, configure: Any, credentials: Any
) -> None:
    """JSON writes characters beyond U+FFFF as two, which YAML would take for two."""
    contact = "\U0001f4ee post@example.com \\ud83d \u20ac"
    manifests = rendered(make_tenant(), configure(supportContact=contact), credentials)
    (web,) = [each for each in of_kind(manifests, "Deployment") if each["metadata"]["name"] == "web"]
    variables = web["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "SUPPORT_CONTACT", "value": contact} in variables


def walk(node: Any, path: str = "") -> Any:
    """Every place in a tree."""
    yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from walk(value, f"{path}/{key}")


@pytest.mark.parametrize(
    ("spec", "status", "size"),
    [
        ({}, {}, "10Gi"),
        ({"plan": "Growth"}, {}, "50Gi"),
        ({"storage": {"database": "20Gi"}}, {}, "20Gi"),
        ({"storage": {"database": "2Gi"}}, {}, "10Gi"),
        ({}, {"size": "50Gi"}, "50Gi"),
        ({"storage": {"database": "1Ti"}}, {"size": "50Gi"}, "1Ti"),
    ],
)
def test_a_volume_never_shrinks(
    make_tenant: Any, configure: Any, spec: dict[str, Any], status: dict[str, Any], size: str
) -> None:
    tenant = make_tenant({"database": status} if status else {}, **spec)
    assert render.database_size(tenant, revision.current(configure())) == size


def test_the_storage_class_of_a_database_stays(make_tenant: Any, configure: Any) -> None:
    current = revision.current(configure())
    assert render.storage_class(make_tenant(), current) == "encrypted"
    assert render.storage_class(make_tenant(storage={"className": "own"}), current) == "own"
    made = make_tenant({"database": {"name": "db", "storageClassName": "first"}})
    assert render.storage_class(made, current) == "first"


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({}, "https://acme.crm.example.com"),
        ({"routing__port": 443}, "https://acme.crm.example.com"),
        ({"routing__port": 8443}, "https://acme.crm.example.com:8443"),
        ({"routing__scheme": "http", "routing__port": 8080}, "http://acme.crm.example.com:8080"),
        ({"routing__scheme": "http"}, "http://acme.crm.example.com"),
    ],
)
def test_public_address(make_tenant: Any, configure: Any, changes: dict[str, Any], url: str) -> None:
    assert render.url(make_tenant(), revision.current(configure(**changes))) == url


@pytest.mark.parametrize(
    ("spec", "reason", "says"),
    [
        ({"plan": "Scale"}, "UnknownPlan", "Growth, Starter"),
        ({"region": "asia-east1"}, "UnknownRegion", "europe-west1, us-east4"),
        ({"googleProject": "nobodys"}, "UnknownGoogleProject", "acme-crm-prod"),
    ],
)
def test_what_the_installation_lacks_is_named(
    make_tenant: Any, configure: Any, spec: dict[str, Any], reason: str, says: str
) -> None:
    with pytest.raises(render.UnsatisfiableError, match=says) as problem:
        render.check(make_tenant(**spec), revision.current(configure()))
    assert problem.value.reason == reason


def test_tenants_reach_nothing_private() -> None:
    found = render.outside(["10.0.0.0/14", "34.118.224.0/20", "fd00:10::/56"])
    assert "34.118.224.0/20" in found["v4"]
    assert "10.0.0.0/8" in found["v4"]
    assert "fc00::/7" in found["v6"]
    assert "10.0.0.0/14" not in found["v4"], "within 10.0.0.0/8 already; policies refuse overlaps"


def test_new_credentials_roll_the_pods_that_use_them(make_tenant: Any, configure: Any) -> None:
    def stamps(**uids: str) -> tuple[str, str]:
        known = {names.SECRET_DATABASE: "1", names.SECRET_KEYS: "2", names.SECRET_WEB_TLS: "3"}
        fresh = render.Credentials(uids={**known, **uids}, web_certificate="")
        found = {
            each["metadata"]["name"]: each["spec"]["template"]["metadata"]["annotations"]
            for each in of_kind(rendered(make_tenant(), configure(), fresh), "Deployment")
        }
        return tuple(found[name]["guestpostcrm.com/credentials"] for name in ("web", "sync"))  # type: ignore[return-value]

    web, sync = stamps()
    assert stamps(**{names.SECRET_WEB_TLS: "new"}) != (web, sync)
    assert stamps(**{names.SECRET_WEB_TLS: "new"})[1] == sync, "the sync has no certificate"
    assert stamps(**{names.SECRET_DATABASE: "new"})[1] != sync


def test_names_fit_their_places() -> None:
    longest = "a" * 50
    assert len(names.namespace(longest)) <= 63
    assert len(names.messaging_id(longest, "0b7c4d1e-1111-4222-8333-444455556666")) <= 63
    for value in names.common_labels(longest, "0b7c4d1e-1111-4222-8333-444455556666", "web").values():
        assert len(value) <= 63


MAIL: dict[str, Any] = {"host": "mail.example.com", "from": "CRM <notices@example.com>"}


def mail_of(manifests: list[dict[str, Any]], name: str) -> tuple[dict[str, str], list[Any]]:
    """The variables about mail of a Deployment, and its volumes."""
    [found] = [each for each in of_kind(manifests, "Deployment") if each["metadata"]["name"] == name]
    pod = found["spec"]["template"]["spec"]
    given = {each["name"]: each.get("value", "") for each in pod["containers"][0]["env"]}
    return {key: value for key, value in given.items() if key.startswith("SMTP_")}, pod["volumes"]


def test_without_a_mail_server_nothing_of_it_is_rendered(
    make_tenant: Any, configure: Any, credentials: Any
) -> None:
    manifests = rendered(make_tenant(), configure(), credentials)
    for name in ("web", "sync"):
        variables, volumes = mail_of(manifests, name)
        assert variables == {}
        assert "mail" not in [volume["name"] for volume in volumes]
    assert "mail" not in [each["metadata"]["name"] for each in of_kind(manifests, "NetworkPolicy")]


def test_sync_alone_gets_the_password_and_the_way_to_the_mail_server(
    make_tenant: Any, configure: Any, credentials: Any
) -> None:
    mail = {**MAIL, "user": "crm", "secretName": "smtp", "ca": "PEM\n", "port": 465, "security": "tls"}
    manifests = rendered(make_tenant(), configure(mail=mail), credentials)
    web, web_volumes = mail_of(manifests, "web")
    sync, sync_volumes = mail_of(manifests, "sync")
    told = {
        "SMTP_HOST": "mail.example.com",
        "SMTP_PORT": "465",
        "SMTP_SECURITY": "tls",
        "SMTP_FROM": "CRM <notices@example.com>",
        "SMTP_CA_FILE": "/etc/guestpost/trust/mail-ca.crt",
    }
    assert web == told
    assert sync == {**told, "SMTP_USER": "crm", "SMTP_PASSWORD_FILE": "/etc/guestpost/mail/password"}
    assert "mail" not in [volume["name"] for volume in web_volumes]
    [volume] = [volume for volume in sync_volumes if volume["name"] == "mail"]
    assert volume["secret"]["secretName"] == "smtp"
    assert volume["secret"]["optional"] is True
    [trust] = [each for each in of_kind(manifests, "ConfigMap") if each["metadata"]["name"] == "trust"]
    assert trust["data"]["mail-ca.crt"] == "PEM\n"
    [policy] = [each for each in of_kind(manifests, "NetworkPolicy") if each["metadata"]["name"] == "mail"]
    assert policy["spec"]["podSelector"] == {"matchLabels": {"app.kubernetes.io/component": "sync"}}
    [rule] = policy["spec"]["egress"]
    assert rule["ports"] == [{"port": 465, "protocol": "TCP"}]
    assert "10.0.0.0/8" in rule["to"][0]["ipBlock"]["except"]


def test_a_mail_server_in_the_cluster_is_the_only_one_that_is_reached(
    make_tenant: Any, configure: Any, credentials: Any
) -> None:
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "mail"}}}]
    manifests = rendered(make_tenant(), configure(mail={**MAIL, "peers": peers}), credentials)
    [policy] = [each for each in of_kind(manifests, "NetworkPolicy") if each["metadata"]["name"] == "mail"]
    assert policy["spec"]["egress"] == [{"to": peers, "ports": [{"port": 587, "protocol": "TCP"}]}]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"from": ""}, "host needs from"),
        ({"user": "crm"}, "user and secretName go together"),
        ({"secretName": "smtp"}, "user and secretName go together"),
        ({"user": "crm", "secretName": "smtp", "security": "none"}, "would send the password"),
        ({"security": "ssl"}, "starttls"),
        ({"port": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_of_the_mail_server_fit_together(configure: Any, wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        configure(mail={**MAIL, **wrong})
