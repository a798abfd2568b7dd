"""What one tenant's page says, made from the objects. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from guestpost_dashboard import words
from guestpost_dashboard.rows import conditions, row, seconds

Object = Mapping[str, Any]
# Conditions in the order of the page. Of the first group True is good, of the second False is.
GOOD = ("Ready", "NamespaceReady", "DatabaseReady", "MessagingReady", "ApplicationReady", "Isolated")
BAD = ("Stalled", "UpgradeBlocked", "DeletionBlocked", "Paused")
RUNBOOKS = {
    "Ready": "tenants-not-ready",
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
ADVICE = {
    "Ready": "Look at the part below that is not ready: it is the cause.",
    "NamespaceReady": "Something else may have its name, or a quota or policy refuses it.",
    "DatabaseReady": "Look at the PostgreSQL cluster and its volume.",
    "MessagingReady": "Look at the Google project: rights, quota, or a topic somebody removed.",
    "ApplicationReady": "Look at the pods of web and sync: image, memory, migration.",
    "Isolated": "A packet found its way from one tenant to another: see to the network policies.",
    "Stalled": "It does not go on without a person. The reason names the cause.",
    "UpgradeBlocked": "The wave has stopped. Look at the first tenant that fails before going on.",
    "DeletionBlocked": "Make the step reachable again; giving it up is the last resort, and recorded.",
    "Paused": "Nothing is reconciled. Remove the annotation when the work is done.",
}

# Numbers of a TenantUsage, in the order of the page.
HELD = {
    "people": "People",
    "mailboxes": "Mailboxes",
    "conversations": "Conversations",
    "messages": "Messages",
    "sites": "Sites",
    "contacts": "Contacts",
    "orders": "Orders",
}
DONE = {
    "signIns": "Sign-ins",
    "conversationsOpened": "Conversations opened",
    "attachmentsOpened": "Attachments opened",
    "messagesSent": "Messages sent",
    "mailboxesConnected": "Mailboxes connected",
    "exportsRequested": "Exports asked for",
}


@dataclass(frozen=True)
class Condition:
    """A condition, judged.

    Attributes:
        tone: good, bad, busy or calm.
        since: seconds since 1970.
        advice: what to do; empty when nothing is to be done.
        runbook: address; empty when nothing is to be done.
    """

    type: str
    status: str
    reason: str
    message: str
    tone: str
    since: float
    advice: str
    runbook: str


@dataclass(frozen=True)
class Event:
    """An event of Kubernetes."""

    at: float
    reason: str
    note: str
    warning: bool
    about: str
    count: int


@dataclass(frozen=True)
class Usage:
    """How much a tenant holds and how often things are done there.

    Attributes:
        reported: seconds since 1970.
        held: (label, number) pairs.
        done: (label, number) pairs, since the tenant was made.
    """

    reported: float
    held: tuple[tuple[str, str], ...]
    done: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Step:
    """A moment in the history of a tenant's releases."""

    at: float
    what: str
    revision: str


@dataclass(frozen=True)
class About:
    """Everything that the object itself says.

    Attributes:
        current: whether the operator has seen the spec as it is now.
        facts: (heading, (name, value) pairs), what is known of it by concern.
    """

    name: str
    phase: str
    state: str
    url: str
    created: float
    deleting: float
    current: bool
    conditions: tuple[Condition, ...]
    facts: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    history: tuple[Step, ...]
    moving: bool
    yaml: str


def tenant(found: Object, runbooks: str) -> About:
    """What a GuestPostTenant says.

    Args:
        found: the object.
        runbooks: address of docs/runbooks, with a slash at its end.
    """
    metadata, status = found["metadata"], found.get("status") or {}
    known = row(found)
    url = str((status.get("app") or {}).get("url") or "")
    return About(
        name=known.name,
        phase=known.phase,
        state=known.state,
        url=url if url.startswith(("https://", "http://")) else "",
        created=known.created,
        deleting=seconds(metadata.get("deletionTimestamp")),
        current=int(status.get("observedGeneration") or 0) >= int(metadata.get("generation") or 0),
        conditions=judged(found, runbooks),
        facts=_facts(found),
        history=_history(found),
        moving=known.moving,
        yaml=as_yaml(found),
    )


def judged(found: Object, runbooks: str) -> tuple[Condition, ...]:
    """The conditions, what is wrong first."""
    truths = conditions(found)
    order = [*BAD, *GOOD, *sorted(truths.keys() - {*BAD, *GOOD})]
    all_of_them = [_judged(truths[kind], runbooks) for kind in order if kind in truths]
    return tuple(sorted(all_of_them, key=lambda each: each.tone != "bad"))


def _judged(said: Object, runbooks: str) -> Condition:
    kind, status = str(said["type"]), str(said["status"])
    if kind in BAD:
        tone = {"True": "bad", "False": "calm"}.get(status, "busy")
    elif kind in GOOD:
        tone = {"True": "good", "False": "bad"}.get(status, "busy")
    else:
        tone = "calm" if status == "False" else "busy"
    wrong = tone == "bad"
    return Condition(
        type=kind,
        status=status,
        reason=str(said.get("reason", "")),
        message=str(said.get("message", "")),
        tone=tone,
        since=seconds(said.get("lastTransitionTime")),
        advice=ADVICE.get(kind, "") if wrong else "",
        runbook=f"{runbooks}{RUNBOOKS[kind]}.md" if wrong and kind in RUNBOOKS else "",
    )


def _facts(found: Object) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    spec, status = found.get("spec") or {}, found.get("status") or {}
    app, database, messaging = (status.get(part) or {} for part in ("app", "database", "messaging"))
    release, moved = spec.get("release") or {}, status.get("release") or {}
    deletion, asked = status.get("deletion") or {}, spec.get("deletion") or {}
    keys, contact = status.get("keys") or {}, status.get("contact") or {}
    channel = f"{release.get('channel', '')} {release.get('version', '')}".strip()
    volumes = ", ".join(str(each.get("name")) for each in status.get("volumes") or ())
    owner = spec.get("owner") or {}
    groups = (
        ("Server", (
            ("Owner", f"{owner.get('name', '')} <{owner.get('email', '')}>"),
            ("Contact", f"{contact.get('name', '')} <{contact.get('email', '')}>" if contact else ""),
            ("Plan", spec.get("plan")),
            ("Asked for", spec.get("state")),
            ("Why suspended", spec.get("suspendReason")),
            ("Region", spec.get("region")),
            ("Google project", spec.get("googleProject")),
            ("Namespace", (status.get("namespace") or {}).get("name")),
        )),
        ("Release", (
            ("Channel", channel),
            ("Version", app.get("version")),
            ("Revision", status.get("revision")),
            ("Web and sync at", app.get("revision") if app.get("revision") != status.get("revision") else ""),
            ("Before", moved.get("previousRevision")),
        )),
        ("Database", (
            ("Cluster", database.get("name")),
            ("Size", database.get("size")),
            ("Storage class", database.get("storageClassName")),
            ("Volumes", volumes),
        )),
        ("Messaging", (("Topic", messaging.get("topic")), ("Subscription", messaging.get("subscription")))),
        ("Keys", (
            ("Stage", keys.get("stage")),
            ("Since", words.stamp(str(keys.get("since") or ""))),
            ("Exchanged", words.stamp(str(keys.get("rotatedAt") or ""))),
        )),
        ("Deletion", (
            ("Protected", "yes" if asked.get("protected") else "no"),
            ("Asked for", words.stamp(str(deletion.get("requestedAt") or ""))),
            ("By", deletion.get("requestedBy")),
            ("Erased after", words.stamp(str(deletion.get("eraseAfter") or ""))),
            ("Begun", words.stamp(str(deletion.get("startedAt") or ""))),
            ("Done", ", ".join(deletion.get("completed") or ())),
            ("Waits at", deletion.get("blockedBy")),
            ("Given up", ", ".join(deletion.get("abandoned") or ())),
            ("Last export", (deletion.get("export") or {}).get("outcome")),
        )),
    )  # fmt: skip
    kept = ((title, tuple((name, str(value)) for name, value in pairs if value)) for title, pairs in groups)
    return tuple((title, pairs) for title, pairs in kept if pairs)


def _history(found: Object) -> tuple[Step, ...]:
    """What the status tells of releases, the newest first."""
    status = found.get("status") or {}
    moved, revision = status.get("release") or {}, str(status.get("revision") or "")
    before = str(moved.get("previousRevision") or "")
    steps = [
        Step(seconds(found["metadata"].get("creationTimestamp")), "Made", "" if before else revision),
        Step(seconds(moved.get("movedAt")), f"Taken on, after {before}" if before else "Taken on", revision),
        Step(seconds(moved.get("arrivedAt")), "Arrived: web and sync went over to it", revision),
    ]
    return tuple(sorted((each for each in steps if each.at), key=lambda each: -each.at))


def usage(found: Object) -> Usage:
    """What the tenant's own web tells of how much there is: numbers."""
    status = found.get("status") or {}
    done = status.get("events") or {}
    held = [(label, words.number(int(status[name]))) for name, label in HELD.items() if name in status]
    if "databaseBytes" in status:
        held.append(("Database", words.size(int(status["databaseBytes"]))))
    return Usage(
        reported=seconds(status.get("reportedAt")),
        held=tuple(held),
        done=tuple((label, words.number(int(done[name]))) for name, label in DONE.items() if name in done),
    )


def events(found: Iterable[Object]) -> list[Event]:
    """Events, the newest first."""
    told = [_event(each) for each in found]
    return sorted(told, key=lambda each: -each.at)


def _event(said: Object) -> Event:
    series, regarding = said.get("series") or {}, said.get("regarding") or {}
    times = (
        series.get("lastObservedTime"), said.get("eventTime"), said.get("deprecatedLastTimestamp"),
        said["metadata"].get("creationTimestamp"),
    )  # fmt: skip
    return Event(
        at=next((seconds(each) for each in times if each), 0),
        reason=str(said.get("reason") or ""),
        note=str(said.get("note") or ""),
        warning=said.get("type") == "Warning",
        about=f"{regarding.get('kind', '')} {regarding.get('name', '')}".strip(),
        count=int(series.get("count") or said.get("deprecatedCount") or 1),
    )


def as_yaml(found: Object) -> str:
    """The object as people read it: without what only machines keep in it."""
    shown = copy.deepcopy(dict(found))
    shown["metadata"].pop("managedFields", None)
    annotations = shown["metadata"].get("annotations") or {}
    annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
    for name in [
        each
        for each in annotations
        if each.startswith("kopf.zalando.org/") or each.endswith("/last-handled-configuration")
    ]:
        del annotations[name]
    return words.as_yaml(shown)
