"""Commands about tenants as a whole: list, status, suspend, resume, hibernate, reconcile, pause."""

from __future__ import annotations

import argparse
import datetime as dt
from typing import Any

from kubectl_guestpost import waiting, words
from kubectl_guestpost.cluster import EXPORT, GRANT, TENANT, Cluster, Object
from kubectl_guestpost.errors import PluginError


def now() -> dt.datetime:
    """The time."""
    return dt.datetime.now(dt.UTC)


def show_list(cluster: Cluster, options: argparse.Namespace) -> None:
    """Every tenant on a line, with why it is not as it should be."""
    found = []
    for tenant in cluster.list(TENANT, selector=options.selector or ""):
        if options.state and tenant["spec"].get("state") != options.state:
            continue
        if options.troubled and words.trouble(tenant) is None:
            continue
        found.append(tenant)
    if options.output == "name":
        print("\n".join(each["metadata"]["name"] for each in found))
        return
    if not found:
        print("No tenants." if not (options.state or options.troubled or options.selector) else "None.")
        return
    wide, moment = options.output == "wide", now()
    print(words.table(words.heading(wide=wide), [words.row(each, moment, wide=wide) for each in found]))


def show_status(cluster: Cluster, options: argparse.Namespace) -> None:
    """One tenant: conditions with reasons, what to do, exports and grants."""
    tenant = cluster.get(TENANT, options.tenant)
    moment = now()
    print(words.status(tenant, moment))
    if not tenant.get("status", {}).get("namespace"):
        return
    exports = list(cluster.list(EXPORT, options.tenant))
    if exports:
        heading = ("EXPORT", "PHASE", "FOR", "PROGRESS", "EXPIRES", "AGE")
        print("\n" + words.table(heading, [words.export_row(each, moment) for each in exports]))
    grants = list(cluster.list(GRANT, options.tenant))
    if grants:
        heading = ("GRANT", "PHASE", "LEVEL", "SUBJECT", "EXPIRES", "REASON")
        print("\n" + words.table(heading, [words.grant_row(each, moment) for each in grants]))


def suspend(cluster: Cluster, options: argparse.Namespace) -> None:
    """The CRM shows why instead of its pages; mail that comes is fetched when it is resumed."""
    _state(cluster, options, "Suspended", options.reason)


def resume(cluster: Cluster, options: argparse.Namespace) -> None:
    """Everything works again."""
    _state(cluster, options, "Running", None)


def hibernate(cluster: Cluster, options: argparse.Namespace) -> None:
    """No pods; the data stay on their volume."""
    _state(cluster, options, "Hibernated", options.reason)


def _state(cluster: Cluster, options: argparse.Namespace, state: str, reason: str | None) -> None:
    name = options.tenant
    tenant = cluster.get(TENANT, name)
    if tenant["metadata"].get("deletionTimestamp"):
        raise PluginError(f"tenant {name} is being erased: its state can't be changed any more")
    # Null removes what is there; a reason that is not given when a suspended tenant hibernates stays.
    spec: Object = {"state": state}
    if state != "Hibernated" or reason is not None:
        spec["suspendReason"] = reason
    doing = f"set tenant {name} to {state}"
    changed = cluster.patch(TENANT, name, {"spec": spec}, doing)
    if options.wait:
        settle(cluster, changed, options.timeout)
    print(f"tenant {name}: {state}" if options.wait else f"tenant {name}: {state} was asked for")


def settle(cluster: Cluster, tenant: Object, seconds: float) -> None:
    """Wait until a tenant is what its spec asks for (PluginError when it took too long, or was deleted)."""
    generation = tenant["metadata"]["generation"]
    name = tenant["metadata"]["name"]

    def met(now: Object) -> bool:
        return now["metadata"]["generation"] >= generation and words.is_settled(now)

    found = waiting.until(cluster, TENANT, name, tell=_progress, met=met, seconds=seconds)
    if found is None:
        raise PluginError(f"tenant {name} was deleted meanwhile")


def _progress(tenant: Object) -> str:
    """How far a tenant is, in a line."""
    why: Any = words.trouble(tenant) or {}
    phase = tenant.get("status", {}).get("phase", "Pending")
    return f"{phase}: {why['reason']} {why.get('message', '')}".strip() if why else str(phase)


def reconcile(cluster: Cluster, options: argparse.Namespace) -> None:
    """Have the operator look at a tenant at once."""
    _annotate(cluster, options.tenant, "reconcile-requested-at", now().isoformat(timespec="seconds"))
    print(f"tenant {options.tenant}: the operator looks at it now")


def pause(cluster: Cluster, options: argparse.Namespace) -> None:
    """Keep the operator away from a tenant, or let it come back."""
    _annotate(cluster, options.tenant, "paused", None if options.off else "true")
    said = (
        "the operator works on it again"
        if options.off
        else "the operator leaves it as it is until pause --off"
    )
    print(f"tenant {options.tenant}: {said}")


def _annotate(cluster: Cluster, name: str, annotation: str, value: str | None) -> None:
    body = {"metadata": {"annotations": {f"guestpostcrm.com/{annotation}": value}}}
    cluster.get(TENANT, name)
    cluster.patch(TENANT, name, body, f"annotate tenant {name}")
