"""Conditions as metav1.Condition means them, and how a new set follows an old one.

Ready, Reconciling and Stalled follow kstatus: https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from guestpost_operator.api.part import Part

MAX_MESSAGE = 1024


class Type(StrEnum):
    """Condition types of a GuestPostTenant, in the order in which they are shown."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    NAMESPACE = "NamespaceReady"
    DATABASE = "DatabaseReady"
    MESSAGING = "MessagingReady"
    APPLICATION = "ApplicationReady"
    ISOLATED = "Isolated"
    UPGRADE_BLOCKED = "UpgradeBlocked"
    DELETION_BLOCKED = "DeletionBlocked"
    PAUSED = "Paused"


class Truth(StrEnum):
    """True, False, Unknown."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Part):
    """One condition. `last_transition_time` is RFC 3339 in UTC."""

    type: str
    status: str
    reason: str
    message: str = ""
    observed_generation: int = 0
    last_transition_time: str = ""


def condition(kind: str, status: Truth | bool, reason: str, message: str = "") -> Condition:
    """A condition without its generation and time, which `follow` adds."""
    if isinstance(status, bool):
        status = Truth.TRUE if status else Truth.FALSE
    return Condition(type=kind, status=status, reason=reason, message=message[:MAX_MESSAGE])


def follow(old: Iterable[Condition], new: Sequence[Condition], generation: int, now: str) -> list[Condition]:
    """The new conditions, each keeping its transition time unless its status changed."""
    before = {each.type: each for each in old}
    return [
        each.model_copy(
            update={
                "observed_generation": generation,
                "last_transition_time": before[each.type].last_transition_time or now
                if each.type in before and before[each.type].status == each.status
                else now,
            }
        )
        for each in new
    ]
