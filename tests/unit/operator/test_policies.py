"""Which admission policies of the chart refuse nothing."""

from __future__ import annotations

from typing import Any

import pytest
from guestpost_operator.lifecycle.policies import idle

WANTED = ("guestpost-one", "guestpost-two")


def policy(name: str = "guestpost-one", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"validations": [{}], "failurePolicy": "Fail", **spec}}


def binding(name: str = "guestpost-one", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "b"}, "spec": {"policyName": name, "validationActions": ["Deny"], **spec}}


def test_all_in_force() -> None:
    policies, bindings = [*map(policy, WANTED), policy("other")], [*map(binding, WANTED), binding("gone")]
    assert idle(WANTED, policies, bindings) == []


@pytest.mark.parametrize(
    ("policies", "bindings"),
    [
        ([], [binding()]),
        ([policy()], []),
        ([policy()], [binding("other")]),
        ([policy(validations=[])], [binding()]),
        ([policy(failurePolicy="Ignore")], [binding()]),
        ([policy()], [binding(validationActions=["Warn", "Audit"])]),
        ([policy()], [binding(matchResources={"namespaceSelector": {"matchLabels": {"a": "b"}}})]),
    ],
)
def test_one_that_refuses_nothing_is_named(
    policies: list[dict[str, Any]], bindings: list[dict[str, Any]]
) -> None:
    well = [policy("guestpost-two")], [binding("guestpost-two")]
    assert idle(WANTED, [*policies, *well[0]], [*bindings, *well[1]]) == ["guestpost-one"]
