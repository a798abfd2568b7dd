"""What the page of releases makes of the operator's ConfigMap."""

from __future__ import annotations

from typing import Any

import pytest
from guestpost_dashboard.pages.releasing import Pause, pause

MADE = {"manager": "guestpost-operator", "time": "2026-11-20T12:00:00Z", "fieldsV1": {"f:metadata": {}}}
WROTE = {
    "manager": "kubectl-patch",
    "time": "2026-11-24T12:00:00Z",
    "fieldsV1": {"f:data": {"f:paused": {}}},
}
THEN = 1795521600.0


def rollout(data: dict[str, str] | None, *managers: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": "7", "managedFields": list(managers)}, "data": data}


@pytest.mark.parametrize(
    ("data", "on", "odd"),
    [
        ({"paused": "true", "reason": "Ticket 7"}, True, ""),
        ({"paused": "false", "reason": "Ticket 7"}, False, ""),
        ({"paused": "False", "reason": "Ticket 7"}, True, "False"),
        ({"paused": "", "reason": "Ticket 7"}, True, "''"),
        ({"reason": "Ticket 7"}, True, "nothing"),
    ],
)
def test_what_is_not_plainly_no_is_a_pause(data: dict[str, str], on: bool, odd: str) -> None:
    assert pause(rollout(data, MADE, WROTE)) == Pause(on, "Ticket 7", THEN, odd, "7")


def test_a_config_map_that_is_empty_is_one() -> None:
    assert pause(rollout(None, MADE)) == Pause(True, "", 0, "nothing", "7")
