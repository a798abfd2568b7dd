"""Erasing a tenant: asked for with a grace period, at once, taken back; giving up a step; receipts."""

from __future__ import annotations

import argparse
import sys

from kubectl_guestpost import waiting, words
from kubectl_guestpost.cluster import RECEIPT, TENANT, Cluster, Object
from kubectl_guestpost.errors import PluginError, RefusedError
from kubectl_guestpost.tenants import now


def confirm(warning: str, expected: str, given: str | None) -> None:
    """Have a person type what is at stake.

    Args:
        warning: what will happen.
        expected: what has to be typed.
        given: what came as an option, for where nobody can type.

    Raises:
        RefusedError: something else was typed, or nobody is there.
    """
    if given is None:
        if not sys.stdin.isatty():
            raise RefusedError(f"{warning}\nNobody is here to confirm it: add --confirm={expected}")
        print(warning, file=sys.stderr)
        try:
            given = input(f"Type {expected} to go on: ")
        except (EOFError, KeyboardInterrupt):
            given = ""
    if given.strip() != expected:
        raise RefusedError(f"nothing was done: {given!r} is not {expected!r}")


def erase(cluster: Cluster, options: argparse.Namespace) -> None:
    """Ask for a tenant's erasure, or begin it at once."""
    name = options.tenant
    tenant = cluster.get(TENANT, name)
    if tenant["metadata"].get("deletionTimestamp"):
        raise PluginError(f"tenant {name} is being erased already: kubectl guestpost status {name}")
    deletion = tenant["spec"].get("deletion", {})
    if deletion.get("protected") and not options.unprotect:
        raise RefusedError(
            f"tenant {name} is protected from deletion. If its server, mail and database shall really be "
            "erased, add --unprotect."
        )
    grace = words.seconds(options.grace) if options.grace else deletion.get("gracePeriodSeconds", 0)
    confirm(_warning(cluster, tenant, options, grace), name, options.confirm)
    asked: Object = {"protected": False}
    if options.skip_export:
        asked["finalExport"] = "Skip"
    version = tenant["metadata"]["resourceVersion"]
    doing = f"erase tenant {name}"
    if options.now:
        cluster.patch(TENANT, name, _body(asked, version), doing)
        cluster.delete(TENANT, name, doing)
        print(f"the erasure of tenant {name} has begun")
    else:
        asked |= {"requested": True, "gracePeriodSeconds": grace}
        cluster.patch(TENANT, name, _body(asked, version), doing)
        print(f"the erasure of tenant {name} begins in {words.span(grace)}")
        print(f"until then kubectl guestpost keep {name} takes it back")
    if options.wait:
        _await_erasure(cluster, name, options.timeout)


def _body(deletion: Object, version: str) -> Object:
    return {"metadata": {"resourceVersion": version}, "spec": {"deletion": deletion}}


def _warning(cluster: Cluster, tenant: Object, options: argparse.Namespace, grace: int) -> str:
    when = (
        "Now, without a way back"
        if options.now
        else f"In {words.span(grace)}, until when it can be taken back"
    )
    export = (
        "No last export is made."
        if options.skip_export or tenant["spec"].get("deletion", {}).get("finalExport") == "Skip"
        else "A last export is offered to the owner before."
    )
    name, url = (
        tenant["metadata"]["name"],
        tenant.get("status", {}).get("app", {}).get("url", "no address yet"),
    )
    return (
        f"{when}, tenant {name} ({url}) of context {cluster.context} is erased: mail, database, keys, "
        f"volumes, topic and subscription, Google access. {export}"
    )


def keep(cluster: Cluster, options: argparse.Namespace) -> None:
    """Take back an erasure that staff asked for."""
    name = options.tenant
    tenant = cluster.get(TENANT, name)
    status = tenant.get("status", {}).get("deletion", {})
    if tenant["metadata"].get("deletionTimestamp") or status.get("startedAt"):
        raise PluginError(f"the erasure of tenant {name} has begun: it can't be taken back any more")
    if not tenant["spec"].get("deletion", {}).get("requested"):
        if status.get("requestedBy") == "Customer":
            raise PluginError(f"the owner of tenant {name} asked for it in the CRM, and takes it back there")
        raise PluginError(f"nobody asked for the erasure of tenant {name}")
    body: Object = {"requested": False} | ({"protected": True} if options.protect else {})
    version = tenant["metadata"]["resourceVersion"]
    cluster.patch(TENANT, name, _body(body, version), f"keep tenant {name}")
    print(f"tenant {name} is kept" + (" and protected from deletion" if options.protect else ""))


def abandon(cluster: Cluster, options: argparse.Namespace) -> None:
    """Give up a step of an erasure that can't be done any more; the receipt says so."""
    name, step = options.tenant, options.step
    tenant = cluster.get(TENANT, name)
    status = tenant.get("status", {}).get("deletion", {})
    blocked = status.get("blockedBy")
    if blocked != step:
        said = f"it is blocked by {blocked}" if blocked else "nothing blocks it"
        raise PluginError(
            f"step {step} does not block the erasure of tenant {name}: {said}. Only what blocks is given up."
        )
    why = words.conditions(tenant).get("DeletionBlocked", {}).get("message", "")
    warning = (
        f"What step {step} would remove of tenant {name} is not looked for any more and may stay behind. The "
        f"receipt will list it as not verified. At the moment: {why}"
    )
    confirm(warning, step, options.confirm)
    given_up = [
        *tenant["spec"].get("deletion", {}).get("abandon", []),
        {"step": step, "reason": options.reason},
    ]
    body = _body({"abandon": given_up}, tenant["metadata"]["resourceVersion"])
    cluster.patch(TENANT, name, body, f"give up step {step} of tenant {name}")
    print(f"step {step} of the erasure of tenant {name} is given up")
    if options.wait:
        _await_erasure(cluster, name, options.timeout)


def _await_erasure(cluster: Cluster, name: str, seconds: float) -> None:
    waiting.until(cluster, TENANT, name, tell=_progress, met=lambda _: False, seconds=seconds)
    print(f"tenant {name} is erased; kubectl guestpost receipts shows what was verified")


def _progress(tenant: Object) -> str:
    status = tenant.get("status", {}).get("deletion", {})
    blocked = words.conditions(tenant).get("DeletionBlocked", {})
    if blocked.get("status") == "True":
        return f"blocked by {status.get('blockedBy', '')}: {blocked.get('message', '')}"
    done = ", ".join(status.get("completed", []))
    if not status.get("startedAt") and status.get("eraseAfter"):
        return f"begins {words.until(status['eraseAfter'], now())}"
    return f"done: {done}" if done else "begun"


def receipts(cluster: Cluster, options: argparse.Namespace) -> None:
    """Receipts of erasures: what was verified to be absent, and what was not."""
    found = list(cluster.list(RECEIPT))
    if options.uid:
        found = [each for each in found if each["spec"]["statement"]["tenantUID"] == options.uid]
    if not found:
        print("No receipts.")
        return
    rows = []
    for each in found:
        statement = each["spec"]["statement"]
        left = [step["step"] for step in statement["steps"] if step["outcome"] == "NotVerified"]
        rows.append(
            (
                statement["tenantUID"],
                "yes" if statement["verified"] else f"not {', '.join(left)}",
                statement["requestedBy"],
                statement["completedAt"],
                statement["finalExport"]["outcome"],
            )
        )
    print(words.table(("TENANT UID", "VERIFIED", "ASKED BY", "COMPLETED", "LAST EXPORT"), rows))
