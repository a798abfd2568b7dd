"""How things are shown: ages, tables, what a tenant's conditions mean, and which runbook helps. Pure."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kubectl_guestpost.errors import PluginError

Object = Mapping[str, Any]
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# Conditions that are good news when they are True, and those that are when they are False.
PARTS = ("NamespaceReady", "DatabaseReady", "MessagingReady", "ApplicationReady")
TROUBLES = ("Stalled", "UpgradeBlocked", "DeletionBlocked", "Paused")
RUNBOOKS = {
    "NamespaceReady": "namespace-not-ready",
    "DatabaseReady": "database-not-ready",
    "MessagingReady": "messaging-not-ready",
    "ApplicationReady": "application-not-ready",
    "Isolated": "not-isolated",
    "Stalled": "stalled",
    "UpgradeBlocked": "upgrade-blocked",
    "DeletionBlocked": "deletion-blocked",
    "Paused": "paused",
}


def seconds(text: str) -> int:
    """A length of time such as 30m, 12h or 7d, in seconds (PluginError)."""
    found = re.fullmatch(r"(\d{1,7})([smhd])", text)
    if not found:
        raise PluginError(f"{text!r} is no length of time: write 45s, 30m, 12h or 7d")
    return int(found[1]) * _UNITS[found[2]]


def moment(text: str | None) -> dt.datetime | None:
    """A time as Kubernetes writes it."""
    return dt.datetime.fromisoformat(text) if text else None


def span(length: float) -> str:
    """A length of time in seconds, as kubectl shows ages."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if length >= 2 * size:
            return f"{int(length // size)}{unit}"
    return f"{max(0, int(length))}s"


def age(text: str | None, now: dt.datetime) -> str:
    """How long ago something was."""
    then = moment(text)
    return span((now - then).total_seconds()) if then else ""


def until(text: str | None, now: dt.datetime) -> str:
    """When something will be: the time, and in how long."""
    then = moment(text)
    if then is None:
        return ""
    left = (then - now).total_seconds()
    return f"{then:%Y-%m-%d %H:%M} UTC ({f'in {span(left)}' if left > 0 else f'{span(-left)} ago'})"


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as kubectl prints them."""
    lines = [tuple(heading), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def conditions(tenant: Object) -> dict[str, Object]:
    """Conditions by type."""
    return {each["type"]: each for each in tenant.get("status", {}).get("conditions", [])}


def trouble(tenant: Object) -> Object | None:
    """The condition that says why a tenant is not as it was asked to be: the one nearest to the cause."""
    found = conditions(tenant)
    for kind in TROUBLES:
        if found.get(kind, {}).get("status") == "True":
            return found[kind]
    if found.get("Ready", {}).get("status") == "True":
        return None
    broken = [kind for kind in PARTS if found.get(kind, {}).get("status") == "False"]
    return found[broken[0]] if broken else found.get("Ready")


def is_settled(tenant: Object) -> bool:
    """Whether the operator has seen the spec as it is now, and it is so."""
    seen = tenant.get("status", {}).get("observedGeneration", 0) >= tenant["metadata"]["generation"]
    return bool(seen and conditions(tenant).get("Ready", {}).get("status") == "True")


def row(tenant: Object, now: dt.datetime, *, wide: bool = False) -> tuple[str, ...]:
    """A line of the list."""
    spec, status = tenant["spec"], tenant.get("status", {})
    why = trouble(tenant)
    said = f"{why['reason']}: {why.get('message', '')}".rstrip(": ") if why else ""
    usual = (
        tenant["metadata"]["name"],
        status.get("phase", "Pending"),
        conditions(tenant).get("Ready", {}).get("status", "Unknown"),
        spec.get("plan", ""),
        spec.get("region", ""),
        status.get("app", {}).get("version", ""),
        age(tenant["metadata"]["creationTimestamp"], now),
    )
    more = (
        spec.get("googleProject", ""),
        spec.get("release", {}).get("channel", ""),
        status.get("revision", ""),
    )
    return (*usual, *(more if wide else ()), _short(said, 120 if wide else 60))


def heading(*, wide: bool = False) -> tuple[str, ...]:
    """The first line of the list."""
    more = ("PROJECT", "CHANNEL", "REVISION") if wide else ()
    return ("NAME", "PHASE", "READY", "PLAN", "REGION", "VERSION", "AGE", *more, "WHY")


def _short(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length - 1]}…"


def status(tenant: Object, now: dt.datetime) -> str:
    """A tenant's state, condition by condition, with what to do about those that are not good."""
    spec, observed = tenant["spec"], tenant.get("status", {})
    facts = [
        ("Tenant", tenant["metadata"]["name"]),
        ("Phase", observed.get("phase", "Pending")),
        ("Asked for", " ".join(filter(None, [spec.get("state", ""), spec.get("suspendReason", "")]))),
        ("Address", observed.get("app", {}).get("url", "")),
        ("Plan", f"{spec.get('plan', '')}, {spec.get('region', '')}, {spec.get('googleProject', '')}"),
        ("Version", observed.get("app", {}).get("version", "")),
        ("Protected", "yes" if spec.get("deletion", {}).get("protected") else "no"),
        *_deletion(spec.get("deletion", {}), observed.get("deletion", {}), now),
    ]
    lines = [f"{name + ':':<12}{value}" for name, value in facts if value]
    if observed.get("observedGeneration", 0) < tenant["metadata"]["generation"]:
        lines.append("\nThe operator has not seen the latest change yet; what follows is from before.")
    found = conditions(tenant)
    rows = [
        (
            kind,
            each["status"],
            each["reason"],
            age(each.get("lastTransitionTime"), now),
            each.get("message", ""),
        )
        for kind, each in found.items()
    ]
    lines += ["", table(("CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"), rows)] if rows else []
    lines += advice(found)
    return "\n".join(lines)


def is_paused(rollout: Object) -> bool:
    """Whether the rollout is paused: whatever is not plainly no, as the operator reads it."""
    return bool((rollout.get("data") or {}).get("paused") != "false")


def rollout(found: Object, tenants: Iterable[Object], now: dt.datetime) -> str:
    """Whether the rollout is paused, and which versions tenants run."""
    data = found.get("data") or {}
    written = [
        each["time"]
        for each in found["metadata"].get("managedFields") or ()
        if "f:paused" in each.get("fieldsV1", {}).get("f:data", {})
    ]
    since = f" for {age(max(written), now)}" if written else ""
    said = f"paused{since}: {data.get('reason') or 'no reason was given'}"
    if data.get("paused") not in ("true", "false"):
        said += f"\n(ConfigMap rollout says paused: {data.get('paused')}, which is neither true nor false)"
    counts: dict[str, list[int]] = {}
    for tenant in tenants:
        truths = conditions(tenant)
        row = counts.setdefault(tenant.get("status", {}).get("app", {}).get("version", ""), [0, 0, 0])
        row[0] += 1
        row[1] += truths.get("Ready", {}).get("status") == "True"
        row[2] += truths.get("UpgradeBlocked", {}).get("status") == "True"
    rows = [(version or "none yet", *map(str, row)) for version, row in sorted(counts.items())]
    shown = ["", table(("VERSION", "TENANTS", "READY", "BLOCKED"), rows)] if rows else []
    return "\n".join([f"The rollout is {said if is_paused(found) else 'not paused'}", *shown])


def _deletion(asked: Object, deletion: Object, now: dt.datetime) -> list[tuple[str, str]]:
    who = deletion.get("requestedBy", "")
    return [
        ("Erasure", f"asked for by {who or 'Staff'}" if who or asked.get("requested") else ""),
        ("Erased", until(deletion.get("eraseAfter"), now)),
        ("Begun", until(deletion.get("startedAt"), now)),
        ("Done", ", ".join(deletion.get("completed", []))),
        ("Given up", ", ".join(deletion.get("abandoned", []))),
        ("Blocked by", deletion.get("blockedBy", "")),
    ]


def advice(found: Mapping[str, Object]) -> list[str]:
    """Which runbook helps with what is not good."""
    bad = [kind for kind in PARTS if found.get(kind, {}).get("status") == "False"]
    bad += [kind for kind in TROUBLES if found.get(kind, {}).get("status") == "True"]
    bad += ["Isolated"] if found.get("Isolated", {}).get("status") == "False" else []
    return ["", *(f"{kind}: see docs/runbooks/{RUNBOOKS[kind]}.md" for kind in bad)] if bad else []


def export_row(export: Object, now: dt.datetime) -> tuple[str, ...]:
    """A line of a tenant's exports."""
    status = export.get("status", {})
    return (
        export["metadata"]["name"],
        status.get("phase", "Pending"),
        export["spec"]["requestedBy"],
        export_progress(export),
        until(status.get("expiresAt"), now),
        age(export["metadata"]["creationTimestamp"], now),
    )


def export_progress(export: Object) -> str:
    """How far an export is."""
    status = export.get("status", {})
    if status.get("phase") == "Complete":
        counts = status.get("counts", {})
        return f"{counts.get('messages', 0):,} messages, {status.get('bytes', 0):,} bytes"
    done = status.get("progress", {})
    total = done.get("total", 0)
    percent = f" ({done.get('messages', 0) * 100 // total} %)" if total else ""
    return f"{done.get('messages', 0):,} of {total:,} messages{percent}" if done else ""


def grant_row(grant: Object, now: dt.datetime) -> tuple[str, ...]:
    """A line of a tenant's grants."""
    status = grant.get("status", {})
    return (
        grant["metadata"]["name"],
        status.get("phase", "Requested"),
        grant["spec"]["level"],
        grant["spec"]["subject"],
        until(status.get("approval", {}).get("expiresAt"), now),
        _short(grant["spec"]["reason"], 60),
    )
