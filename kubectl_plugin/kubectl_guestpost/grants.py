"""Grants of support access: staff ask, the customer decides in the CRM."""

from __future__ import annotations

import argparse

from kubectl_guestpost import words
from kubectl_guestpost.cluster import GRANT, TENANT, Cluster, Object
from kubectl_guestpost.errors import PluginError
from kubectl_guestpost.tenants import now


def show_list(cluster: Cluster, options: argparse.Namespace) -> None:
    """Who asked to be let in, and what the customer said."""
    cluster.get(TENANT, options.tenant)
    found = list(cluster.list(GRANT, options.tenant))
    if not found:
        print("No grants.")
        return
    heading, moment = ("GRANT", "PHASE", "LEVEL", "SUBJECT", "EXPIRES", "REASON"), now()
    print(words.table(heading, [words.grant_row(each, moment) for each in found]))
    for grant in found:
        for line in _way_in(options.tenant, grant):
            print(line)


def _way_in(tenant: str, grant: Object) -> list[str]:
    """How to use a Shell that is open."""
    status = grant.get("status", {})
    job = status.get("shell", {}).get("job")
    if status.get("phase") != "Active" or not job:
        return []
    command = f"kubectl exec -it -n gpt-{tenant} job/{job} -c recorder -- guestpost-crm support-shell"
    return ["", f"{grant['metadata']['name']}: {command}"]


def request(cluster: Cluster, options: argparse.Namespace) -> None:
    """Ask the customer to be let in."""
    tenant = cluster.get(TENANT, options.tenant)
    if not tenant.get("status", {}).get("namespace"):
        raise PluginError(f"tenant {options.tenant} has no server yet: there is nothing to see")
    name = options.name or f"support-{now():%Y%m%d-%H%M%S}"
    spec: Object = {"subject": options.subject, "reason": options.reason, "level": options.level}
    if options.length:
        spec["durationSeconds"] = words.seconds(options.length)
    cluster.create(GRANT, {"metadata": {"name": name}, "spec": spec}, options.tenant)
    print(f"grant {name} was asked for; the owner of {options.tenant} decides in the CRM")


def withdraw(cluster: Cluster, options: argparse.Namespace) -> None:
    """End a grant, or take back what was asked."""
    cluster.get(GRANT, options.grant, options.tenant)
    cluster.delete(GRANT, options.grant, f"withdraw grant {options.grant}", options.tenant)
    print(f"grant {options.grant} of tenant {options.tenant} is withdrawn")
