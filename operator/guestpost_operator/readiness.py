"""Whether a workload does what it was asked for, read from its status. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Readiness:
    """Ready or not; `reason` is CamelCase, `message` says what is waited for."""

    ready: bool
    reason: str
    message: str = ""


READY = Readiness(ready=True, reason="Ready")


def of(obj: Mapping[str, Any]) -> Readiness:
    """Readiness of an owned object; kinds without a notion of it are ready when they exist."""
    if obj.get("kind") == "Deployment":
        return deployment(obj)
    if obj.get("kind") == "Cluster":
        return cluster(obj)
    return READY


def deployment(obj: Mapping[str, Any]) -> Readiness:
    """As `kubectl rollout status` decides it: the new pods are there, available, and the old ones gone.

    https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status
    """
    name, spec, status = obj["metadata"]["name"], obj.get("spec") or {}, obj.get("status") or {}
    wanted = spec.get("replicas", 1)
    if status.get("observedGeneration", 0) < obj["metadata"].get("generation", 0):
        return Readiness(
            ready=False, reason="RollingOut", message=f"{name}: waiting for the rollout to begin"
        )
    for each in status.get("conditions") or ():
        if each.get("type") == "Progressing" and each.get("reason") == "ProgressDeadlineExceeded":
            return Readiness(
                ready=False,
                reason="RolloutFailed",
                message=f"{name}: no progress within the deadline; see kubectl describe and logs of its pods",
            )
        if each.get("type") == "ReplicaFailure" and each.get("status") == "True":
            return Readiness(ready=False, reason="PodsRefused", message=f"{name}: {each.get('message', '')}")
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < wanted or available < wanted:
        message = f"{name}: {min(updated, available)} of {wanted} pods are available"
        return Readiness(ready=False, reason="PodsNotReady", message=message)
    if status.get("replicas", 0) > updated:
        return Readiness(ready=False, reason="RollingOut", message=f"{name}: waiting for old pods to end")
    return READY


def cluster(obj: Mapping[str, Any]) -> Readiness:
    """CloudNativePG's own Ready condition; its phase says what it is doing."""
    status = obj.get("status") or {}
    phase = str(status.get("phase") or "waiting for the database operator")
    reason = status.get("phaseReason")
    for each in status.get("conditions") or ():
        if each.get("type") == "Ready" and each.get("status") == "True":
            return READY
    return Readiness(
        ready=False, reason="DatabaseNotReady", message=f"{phase}: {reason}" if reason else phase
    )
