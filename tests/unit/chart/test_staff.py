"""What people of the service may do by the chart's roles: not read a Secret, not get into a pod."""

from __future__ import annotations

from typing import Any

import pytest
from guestpost_operator.api import names

ROLES = ("viewer", "provisioner", "support")
# What a tenant is made of, as far as it carries no secret: no Pod, no Secret, no ConfigMap.
PARTS = {
    "events", "persistentvolumeclaims", "resourcequotas", "services", "clusters", "httproutes", "ingresses",
    "networkpolicies",
}  # fmt: skip
# What each may besides reading our own kinds.
MORE = {
    "viewer": set(),
    "provisioner": {
        *((verb, "guestposttenants") for verb in ("create", "update", "patch", "delete")),
        *((verb, "tenantexports") for verb in ("create", "delete")),
    },
    "support": {(verb, "supportgrants") for verb in ("create", "delete")},
}


@pytest.mark.promise("P6.1")
@pytest.mark.parametrize("role", ROLES)
def test_a_role_reads_our_kinds_and_does_its_job(rendered: Any, role: str) -> None:
    rules = rendered()["ClusterRole", f"guestpost-{role}"]["rules"]
    others = [rule for rule in rules if rule["apiGroups"] != ["guestpostcrm.com"]]
    assert {resource for rule in others for resource in rule["resources"]} == PARTS
    assert {verb for rule in others for verb in rule["verbs"]} == {"get", "list"}
    may = {(verb, resource) for rule in rules for verb in rule["verbs"] for resource in rule["resources"]}
    reads = {each for each in may if each[0] in ("get", "list", "watch")}
    assert may - reads == MORE[role]
    # A status is the operator's to write, an approval the customer's.
    assert not [resource for _, resource in may if "/" in resource]


@pytest.mark.promise("P6.1")
@pytest.mark.parametrize("role", ROLES)
def test_a_role_sees_whether_the_rollout_is_paused_and_provisioners_pause_it(
    rendered: Any, role: str
) -> None:
    found = rendered()["Role", f"guestpost-{role}"]
    verbs = ["get", "patch"] if role == "provisioner" else ["get"]
    assert found["metadata"]["namespace"] == "guestpost-system"
    assert found["rules"] == [
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [names.ROLLOUT], "verbs": verbs}
    ]
    # Helm would take back what people wrote there.
    assert ("ConfigMap", names.ROLLOUT) not in rendered()


def test_groups_are_bound_where_values_name_them(rendered: Any) -> None:
    assert not [
        name for kind, name in rendered() if kind == "ClusterRoleBinding" and name == "guestpost-support"
    ]
    objects = rendered("least", {"staff": '{"support": ["helpdesk@example.com"], "viewers": ["everybody"]}'})
    binding = objects["ClusterRoleBinding", "guestpost-support"]
    assert binding["roleRef"]["name"] == "guestpost-support"
    assert [each["name"] for each in binding["subjects"]] == ["helpdesk@example.com"]
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        assert (kind, "guestpost-viewer") in objects
        assert (kind, "guestpost-provisioner") not in objects
    there = objects["RoleBinding", "guestpost-support"]
    assert (there["roleRef"]["kind"], there["roleRef"]["name"]) == ("Role", "guestpost-support")
    assert there["subjects"] == binding["subjects"]
