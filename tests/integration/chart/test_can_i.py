"""`kubectl auth can-i --list` of every service account: in its own namespace, in a neighbour's, elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from guestpost_operator import checks, render, revision, settings
from guestpost_operator.api import names
from guestpost_operator.api.tenant import parse

ROOT = Path(__file__).resolve().parents[3]
OPERATOR = "--as=system:serviceaccount:guestpost-system:operator"
LINE = re.compile(r"^(\S*)\s+\[(.*?)\]\s+\[(.*?)\]\s+\[(.*?)\]\s*$")
# What Kubernetes lets everybody do who is known: ask who one is and what one may.
EVERYBODY = {
    "selfsubjectreviews.authentication.k8s.io [create]",
    "selfsubjectaccessreviews.authorization.k8s.io [create]",
    "selfsubjectrulesreviews.authorization.k8s.io [create]",
}
GROUP = names.GROUP
BROKER = {
    "tokenreviews.authentication.k8s.io [create]",
    f"guestposttenants.{GROUP} [get]",
    f"mailboxclaims.{GROUP} [create delete get]",
}
GUARD = {f"guestposttenants.{GROUP} [list]"}
WEB = {
    f"supportgrants.{GROUP} [list]",
    f"supportgrants.{GROUP}/status [patch]",
    f"tenantexports.{GROUP} [create delete get list]",
    f"tenantrequests.{GROUP} [create list]",
    f"tenantusages.{GROUP} [create]",
    f"tenantusages.{GROUP} usage [get patch]",
}
EXPORT = {f"tenantexports.{GROUP} [get]", f"tenantexports.{GROUP}/status [patch]"}
NAMESPACES = ("gpt-can-i-one", "gpt-can-i-two", "guestpost-system", "kube-system")
LISTS: dict[tuple[str, str], dict[str, set[str]]] = {
    ("guestpost-system", "broker"): dict.fromkeys(NAMESPACES, BROKER),
    ("guestpost-system", "uninstall-guard"): dict.fromkeys(NAMESPACES, GUARD),
    ("guestpost-system", "default"): {},
    ("gpt-can-i-one", "web"): {"gpt-can-i-one": WEB},
    ("gpt-can-i-one", "sync"): {},
    ("gpt-can-i-one", "export"): {"gpt-can-i-one": EXPORT},
    ("gpt-can-i-one", "default"): {},
    ("gpt-can-i-two", "web"): {"gpt-can-i-two": WEB},
    ("gpt-can-i-two", "sync"): {},
    ("gpt-can-i-two", "export"): {"gpt-can-i-two": EXPORT},
    ("gpt-can-i-two", "default"): {},
}


@pytest.fixture(scope="module")
def two_tenants(installed: Any, render: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The accounts of two tenants and what binds them, made by the operator's account."""
    values = ROOT / "charts/guestpost-operator/ci/least-values.yaml"
    (found,) = [each for each in render(values) if each["metadata"]["name"] == "operator-config"]
    path = tmp_path_factory.mktemp("can-i") / "config.yaml"
    path.write_text(found["data"]["config.yaml"], encoding="utf-8")
    for number, name in enumerate(("can-i-one", "can-i-two")):
        for each in accounts(name, f"0b7c4d1e-1111-4222-8333-44445555666{number}", settings.load(path)):
            installed.kubectl("create", OPERATOR, "-f", "-", stdin=yaml.safe_dump(each))
    return installed


def accounts(name: str, uid: str, config: settings.Config) -> list[dict[str, Any]]:
    """A tenant's namespace, accounts and bindings, as the operator renders them."""
    spec = {"owner": {"name": "Anna Reyes", "email": "anna@acme.example"}, "region": "europe-west1",
            "googleProject": "acme-crm-prod"}  # fmt: skip
    tenant = parse({"metadata": {"name": name, "uid": uid, "generation": 1}, "spec": spec})
    secrets = (names.SECRET_DATABASE, names.SECRET_KEYS, names.SECRET_WEB_TLS)
    credentials = render.Credentials(uids=dict.fromkeys(secrets, "x"), web_certificate="")
    kinds = ("Namespace", "ServiceAccount", "RoleBinding")
    objects = render.render(tenant, revision.current(config), credentials, "")
    return sorted(
        (each for each in objects if each["kind"] in kinds), key=lambda each: kinds.index(each["kind"])
    )


def parsed(text: str) -> set[str]:
    """Resources with their verbs, of what `kubectl auth can-i --list --no-headers` prints."""
    found = set()
    for line in text.splitlines():
        match = LINE.match(line)
        assert match, line
        resource, _, only, verbs = match.groups()
        if resource:
            found.add(f"{resource}{f' {only}' if only else ''} [{' '.join(sorted(verbs.split()))}]")
    return found


def listed(installed: Any, account: tuple[str, str], namespace: str) -> set[str]:
    """What kubectl lists, without what everybody may and without addresses that are no resources."""
    who = f"--as=system:serviceaccount:{account[0]}:{account[1]}"
    # A service account is a member of these groups, which --as alone does not make it.
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{account[0]}", "system:authenticated")
    text = installed.kubectl(
        "auth",
        "can-i",
        "--list",
        who,
        *(f"--as-group={each}" for each in groups),
        "-n",
        namespace,
        "--no-headers",
    )
    found = parsed(text)
    assert found >= EVERYBODY, text
    return found - EVERYBODY


@pytest.mark.promise("P5.2")
@pytest.mark.promise("P8.2")
def test_no_account_may_more_than_is_listed_here(
    two_tenants: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = {
        (account, namespace): listed(two_tenants, account, namespace)
        for account in LISTS
        for namespace in NAMESPACES
    }
    different = {key: found for key, found in seen.items() if found != LISTS[key[0]].get(key[1], set())}
    with capsys.disabled():
        print(f" isolation.accounts: {len(different)} different / {len(seen)} lists", end="")
    assert different == {}


@pytest.mark.promise("P8.2")
def test_the_list_names_every_account_that_there_is(two_tenants: Any) -> None:
    """But the operator's, whose rights are compared with its code, and CloudNativePG's, which is not here."""
    there = {
        (account.metadata.namespace, account.metadata.name)
        for namespace in NAMESPACES[:3]
        for account in two_tenants.core.list_namespaced_service_account(namespace).items
    }
    assert there == LISTS.keys() | {("guestpost-system", "operator")}


@pytest.mark.promise("P8.2")
@pytest.mark.parametrize("namespace", NAMESPACES)
def test_the_operator_may_what_its_code_names(two_tenants: Any, namespace: str) -> None:
    """Everywhere the same, for tenants' namespaces are not known beforehand; a policy keeps it to those."""
    found = {
        each.partition(" ")[0].partition("/")[0]
        for each in listed(two_tenants, ("guestpost-system", "operator"), namespace)
    }
    named = set()
    for kind, _ in checks.RIGHTS:
        group = kind.api_version.rpartition("/")[0]
        named.add(f"{kind.plural}.{group}" if group else kind.plural)
    others = {each for each in found - named if not each.startswith(("clusterroles.", "leases."))}
    assert others == set()
    assert named - found == set()


# How a tenant's parts are, and nothing of what they hold: for the dashboard's page of a tenant.
PARTS = {
    f"{kind} [get list]"
    for kind in (
        "events", "events.events.k8s.io", "persistentvolumeclaims", "resourcequotas", "services",
        "clusters.postgresql.cnpg.io", "httproutes.gateway.networking.k8s.io", "ingresses.networking.k8s.io",
        "networkpolicies.networking.k8s.io",
    )
}  # fmt: skip
READING = PARTS | {
    f"{kind}.{GROUP} [get list watch]"
    for kind in ("erasurereceipts", "supportgrants", "tenantrequests", "tenantusages")
}
STAFF = {
    "viewer": READING
    | {f"{kind}.{GROUP} [get list watch]" for kind in ("guestposttenants", "tenantexports")},
    "provisioner": READING
    | {
        f"guestposttenants.{GROUP} [create delete get list patch update watch]",
        f"tenantexports.{GROUP} [create delete get list watch]",
    },
    "support": READING - {f"supportgrants.{GROUP} [get list watch]"}
    | {f"{kind}.{GROUP} [get list watch]" for kind in ("guestposttenants", "tenantexports")}
    | {f"supportgrants.{GROUP} [create delete get list watch]"},
}
# In the operator's namespace alone: whether the rollout is paused.
PAUSING = {
    "viewer": {"configmaps rollout [get]"},
    "provisioner": {"configmaps rollout [get patch]"},
    "support": {"configmaps rollout [get]"},
}
# Ways to what is a customer's, each asked for by name.
NEVER = (
    "get secrets",
    "list secrets",
    "watch secrets",
    "create pods",
    "create pods --subresource=exec",
    "create pods --subresource=attach",
    "create pods --subresource=portforward",
    "get pods --subresource=log",
    "patch pods --subresource=ephemeralcontainers",
    "create serviceaccounts --subresource=token",
    "create rolebindings",
    f"patch supportgrants.{GROUP} --subresource=status",
    "get persistentvolumes",
    "impersonate users",
)


@pytest.mark.promise("P6.1")
@pytest.mark.parametrize("role", STAFF)
def test_people_of_the_service_may_what_their_role_says(two_tenants: Any, role: str) -> None:
    group = f"staff-{role}"
    two_tenants.kubectl(
        "create", "clusterrolebinding", group, f"--clusterrole=guestpost-{role}", f"--group={group}"
    )
    where = ("-n", "guestpost-system")
    two_tenants.kubectl(
        "create", "rolebinding", group, f"--role=guestpost-{role}", f"--group={group}", *where
    )
    who = ("--as=sam@support.example", f"--as-group={group}", "--as-group=system:authenticated")
    for namespace in NAMESPACES:
        text = two_tenants.kubectl("auth", "can-i", "--list", *who, "-n", namespace, "--no-headers")
        there = PAUSING[role] if namespace == "guestpost-system" else set()
        assert parsed(text) - EVERYBODY == STAFF[role] | there, namespace
    for way in NEVER:
        done = two_tenants.run("kubectl", "auth", "can-i", *way.split(), *who, "-n", "gpt-can-i-one")
        assert done.stdout.split()[-1:] == ["no"], way


@pytest.mark.promise("P6.1")
@pytest.mark.usefixtures("rollout")
@pytest.mark.parametrize("role", STAFF)
def test_only_provisioners_pause_the_rollout(installed: Any, role: str) -> None:
    group, where = f"pausing-{role}", ("-n", "guestpost-system")
    installed.kubectl("create", "rolebinding", group, f"--role=guestpost-{role}", f"--group={group}", *where)
    who = ("--as=sam@support.example", f"--as-group={group}", "--as-group=system:authenticated", *where)
    assert installed.kubectl("get", "configmap", "rollout", "-o", "jsonpath={.data.paused}", *who) == "false"
    pause = ("--type=merge", "-p", '{"data": {"paused": "true", "reason": "Ticket 7"}}', *who)
    if role == "provisioner":
        installed.kubectl("patch", "configmap", "rollout", *pause)
    else:
        assert "cannot patch resource" in installed.refused("patch", "configmap", "rollout", *pause)
    assert "cannot get resource" in installed.refused("patch", "configmap", "operator-config", *pause)
    assert "cannot delete resource" in installed.refused("delete", "configmap", "rollout", *who)
    assert "cannot list resource" in installed.refused("get", "configmaps", *who)
