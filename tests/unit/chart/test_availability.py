"""Two operators: spread, protected from drains, and with the rights for their Lease."""

from __future__ import annotations

from typing import Any

import pytest
from guestpost_operator.backends.election import LEASE


def test_two_operators_are_spread_and_rolled_one_by_one(rendered: Any) -> None:
    spec = rendered()["Deployment", "operator"]["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    (spread,) = spec["template"]["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"] == spec["selector"]
    assert rendered()["PodDisruptionBudget", "operator"]["spec"]["selector"] == spec["selector"]


def test_no_budget_for_a_single_operator(rendered: Any) -> None:
    """It would only keep its node from being drained."""
    assert ("PodDisruptionBudget", "operator") not in rendered("least", {"operator.replicas": "1"})


@pytest.mark.promise("P8.2")
def test_the_lease_is_the_only_one_that_the_operator_may_write(rendered: Any) -> None:
    rules = rendered()["Role", "guestpost-operator-lease"]["rules"]
    assert [(each.get("resourceNames"), each["verbs"]) for each in rules] == [
        ([LEASE], ["get", "update"]),
        (None, ["create"]),
    ]
    assert {tuple(each["resources"]) for each in rules} == {("leases",)}
