"""Writes what was found where people look: status and events. Only when it changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import structlog

from guestpost_operator import metrics
from guestpost_operator.api import names
from guestpost_operator.api.conditions import Type
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.errors import BackendError
from guestpost_operator.backends.kinds import EVENT, TENANT
from guestpost_operator.revision import Object

log = structlog.get_logger()

# Events about objects without a namespace live in this one: `kubectl describe gpt` finds them here.
EVENT_NAMESPACE = "default"
# Conditions of which each change is told; of the others only that they got worse.
_TOLD = frozenset({Type.READY, Type.STALLED, Type.UPGRADE_BLOCKED, Type.DELETION_BLOCKED, Type.PAUSED})
_GOOD = frozenset({Type.READY, Type.NAMESPACE, Type.DATABASE, Type.MESSAGING, Type.APPLICATION})


class Reporter:
    """Status writes and events for tenants."""

    def __init__(self, cluster: Cluster, instance: str) -> None:
        self._cluster = cluster
        self._instance = instance

    async def write(self, body: Object, changes: Object, new: Mapping[str, Any]) -> Object:
        """Write changes of a status, then the events that they mean.

        Args:
            body: the tenant, as last read.
            changes: merge patch of the status.
            new: the status that results.

        Returns:
            The tenant as the API server gives it back.

        Raises:
            BackendError: when the status could not be written. A lost event is only logged.
        """
        metadata = body["metadata"]
        written = await self._cluster.write_status(metadata["name"], metadata["uid"], changes)
        for reason, message, warning in changed(body.get("status") or {}, new):
            log.info("condition changed", reason=reason, message=message)
            try:
                await self._cluster.create(EVENT, self._event(body, reason, message, warning=warning))
            except BackendError as error:
                log.warning("event not written", reason=reason, error=str(error))
        return written

    def _event(self, body: Object, reason: str, message: str, *, warning: bool) -> Object:
        metadata = body["metadata"]
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.name,
            "metadata": {"name": f"{metadata['name']}.{uuid4().hex[:16]}", "namespace": EVENT_NAMESPACE},
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "type": "Warning" if warning else "Normal",
            "reason": reason[:128],
            "action": "Reconcile",
            "note": message[:1024],
            "reportingController": names.FIELD_MANAGER,
            "reportingInstance": self._instance,
            "regarding": {
                "apiVersion": TENANT.api_version,
                "kind": TENANT.name,
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
        }


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """Reason, message and whether to warn, for each change of conditions that people are told of."""
    before = {each["type"]: each for each in old.get("conditions", ())}
    told = []
    for each in new.get("conditions", ()):
        was = before.get(each["type"], {}).get("status")
        bad = each["status"] == ("False" if each["type"] in _GOOD else "True")
        if was == each["status"] or (was is None and (each["status"] != "True" or each["type"] not in _TOLD)):
            continue
        if each["type"] in _TOLD or (bad and was == "True"):
            told.append(
                (each["reason"], f"{each['type']} is {each['status']}. {each['message']}".strip(), bad)
            )
    was_database, database = (each.get("database") or {} for each in (old, new))
    if was_database.get("uid") and database.get("uid") != was_database["uid"]:
        told.append(
            (
                "DatabaseMadeAgain",
                "the PostgreSQL cluster was deleted by somebody; a new one took its place",
                True,
            )
        )
    return told


def count(bodies: Iterable[Mapping[str, Any]]) -> None:
    """Set the gauges that count tenants by state, phase and condition."""
    phases: dict[tuple[str, str], int] = {}
    conditions: dict[tuple[str, str], int] = {}
    for body in bodies:
        status = body.get("status") or {}
        phase = (str(body.get("spec", {}).get("state", "Running")), str(status.get("phase") or "Pending"))
        phases[phase] = phases.get(phase, 0) + 1
        for each in status.get("conditions", ()):
            key = (each["type"], each["status"])
            conditions[key] = conditions.get(key, 0) + 1
    metrics.TENANTS.clear()
    metrics.CONDITIONS.clear()
    for phase, number in phases.items():
        metrics.TENANTS.labels(*phase).set(number)
    for key, number in conditions.items():
        metrics.CONDITIONS.labels(*key).set(number)
