"""Exports: one is made on the customer's word, and only the owner can download it."""

from __future__ import annotations

import argparse

from kubectl_guestpost import waiting, words
from kubectl_guestpost.cluster import EXPORT, TENANT, Cluster, Object
from kubectl_guestpost.errors import PluginError
from kubectl_guestpost.tenants import now


def export(cluster: Cluster, options: argparse.Namespace) -> None:
    """Ask for an export, and tell how far it is until it is complete."""
    tenant = cluster.get(TENANT, options.tenant)
    if tenant["metadata"].get("deletionTimestamp"):
        raise PluginError(
            f"tenant {options.tenant} is being erased: its last export is made by the erasure itself"
        )
    if not tenant.get("status", {}).get("namespace"):
        raise PluginError(f"tenant {options.tenant} has no server yet: there is nothing to export")
    name = options.name or f"staff-{now():%Y%m%d-%H%M%S}"
    spec: Object = {"requestedBy": "Staff"}
    if options.keep:
        spec["retentionSeconds"] = words.seconds(options.keep)
    cluster.create(EXPORT, {"metadata": {"name": name}, "spec": spec}, options.tenant)
    print(f"export {name} of tenant {options.tenant} was asked for")
    if not options.wait:
        return
    found = waiting.until(
        cluster, EXPORT, name, tenant=options.tenant, tell=_tell, met=_is_complete, seconds=options.timeout
    )
    if found is None:
        raise PluginError(f"export {name} was deleted meanwhile")
    status = found["status"]
    print(f"export {name} is complete: {words.export_progress(found)}, sha256 {status.get('sha256', '')}")
    url = tenant["status"].get("app", {}).get("url", "the CRM")
    print(f"The owner downloads it at {url}, until {words.until(status.get('expiresAt'), now())}.")


def _tell(export: Object) -> str:
    phase = export.get("status", {}).get("phase", "Pending")
    return f"{phase} {words.export_progress(export)}".strip()


def _is_complete(export: Object) -> bool:
    status = export.get("status", {})
    if status.get("phase") in ("Failed", "Expired"):
        failed = words.conditions(export).get("Failed", {})
        said = failed.get("message", f"it is {status['phase']}")
        raise PluginError(f"export {export['metadata']['name']} can't be made: {said}")
    return bool(status.get("phase") == "Complete")
