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
# A Deployment without pods, as asked for.
STOPPED = Readiness(ready=True, reason="Stopped")
# A database whose pods are ending, and one that has none any more.
HIBERNATING = Readiness(ready=False, reason="Hibernating", message="the database's pods are ending")
HIBERNATED = Readiness(ready=False, reason="Hibernated", message="the database rests")
# Reason of a database that only a person can help.
UNRECOVERABLE = "DatabaseUnrecoverable"

# https://github.com/cloudnative-pg/cloudnative-pg/blob/v1.30.0/pkg/reconciler/hibernation/status.go
_HIBERNATION = "cnpg.io/hibernation"
_ENDING = frozenset({"DeletingPods", "WaitingPodsDeletion"})
# https://github.com/cloudnative-pg/cloudnative-pg/blob/v1.30.0/api/v1/cluster_types.go
_UNRECOVERABLE_PHASE = "Cluster is unrecoverable and needs manual intervention"


def of(obj: Mapping[str, Any]) -> Readiness:
    """Readiness of an owned object; kinds without a notion of it are ready when they exist."""
    if obj.get("kind") == "Deployment":
        return deployment(obj)
    if obj.get("kind") == "Cluster":
        return cluster(obj)
    return job(obj) if obj.get("kind") == "Job" else READY


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
    if not wanted:
        return _stopping(name, status)
    failure = _failure(name, status)
    if failure is not None:
        return failure
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < wanted or available < wanted:
        message = f"{name}: {min(updated, available)} of {wanted} pods are available"
        return Readiness(ready=False, reason="PodsNotReady", message=message)
    # With Recreate there is a meaning to who answers: a closed page, and nobody else of before beside it.
    # https://kubernetes.io/docs/concepts/workloads/controllers/deployment/ (terminatingReplicas)
    recreated = (spec.get("strategy") or {}).get("type") == "Recreate"
    ending = status.get("terminatingReplicas") or 0 if recreated else 0
    if status.get("replicas", 0) > updated or ending:
        return Readiness(ready=False, reason="RollingOut", message=f"{name}: waiting for old pods to end")
    return READY


def _failure(name: str, status: Mapping[str, Any]) -> Readiness | None:
    for each in status.get("conditions") or ():
        if each.get("type") == "Progressing" and each.get("reason") == "ProgressDeadlineExceeded":
            return Readiness(
                ready=False,
                reason="RolloutFailed",
                message=f"{name}: no progress within the deadline; see kubectl describe and logs of its pods",
            )
        if each.get("type") == "ReplicaFailure" and each.get("status") == "True":
            return Readiness(ready=False, reason="PodsRefused", message=f"{name}: {each.get('message', '')}")
    return None


def _stopping(name: str, status: Mapping[str, Any]) -> Readiness:
    # Kubernetes 1.35 tells of pods that are ending; before, nothing does.
    ending = status.get("replicas", 0) + status.get("terminatingReplicas", 0)
    if ending:
        return Readiness(ready=False, reason="Stopping", message=f"{name}: waiting for {ending} pods to end")
    return STOPPED


def job(obj: Mapping[str, Any]) -> Readiness:
    """Whether a Job has come to a good end."""
    name, status = obj["metadata"]["name"], obj.get("status") or {}
    for each in status.get("conditions") or ():
        if each.get("type") == "Complete" and each.get("status") == "True":
            return READY
        if each.get("type") == "Failed" and each.get("status") == "True":
            message = f"Job {name} has failed: {each.get('message', '')}"
            return Readiness(ready=False, reason="JobFailed", message=message)
    if status.get("ready"):
        return Readiness(ready=False, reason="Running", message=f"Job {name} is running")
    return Readiness(ready=False, reason="NotComplete", message=f"Job {name} has not come to its end")


def cluster(obj: Mapping[str, Any]) -> Readiness:
    """CloudNativePG's own conditions; its phase says what it is doing.

    Its condition Ready repeats the phase alone, which goes on saying "healthy" while pods end and until
    the first look after waking, so the number of ready instances counts too.
    """
    name, status = obj["metadata"]["name"], obj.get("status") or {}
    conditions = {each.get("type"): each for each in status.get("conditions") or ()}
    hibernation = conditions.get(_HIBERNATION, {})
    if hibernation.get("status") == "True":
        return HIBERNATED
    if hibernation.get("reason") in _ENDING:
        return HIBERNATING
    phase = str(status.get("phase") or "waiting for the database operator")
    reason = status.get("phaseReason")
    told = f"{phase}: {reason}" if reason else phase
    if phase == _UNRECOVERABLE_PHASE:
        return Readiness(ready=False, reason=UNRECOVERABLE, message=told)
    if conditions.get("Ready", {}).get("status") != "True":
        return Readiness(ready=False, reason="DatabaseNotReady", message=told)
    wanted, found = obj.get("spec", {}).get("instances", 1), status.get("readyInstances", 0)
    if found < wanted:
        message = f"{name}: {found} of {wanted} instances are ready"
        return Readiness(ready=False, reason="DatabaseNotReady", message=message)
    return READY
