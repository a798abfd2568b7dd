"""Everything that a tenant goes through in its life, for tests in which something fails meanwhile."""

from __future__ import annotations

import functools
from typing import Any

import erasures
from guestpost_operator.api import names
from guestpost_operator.backends.kinds import (
    CLAIM,
    CONFIG_MAP,
    EXPORT,
    PERSISTENT_VOLUME,
    REQUEST,
    SECRET,
    SERVICE,
    STATEFUL_SET,
    VOLUME_SNAPSHOT,
    VOLUME_SNAPSHOT_CONTENT,
    Kind,
)
from operator_stage import Lifecycle, Stage, Subject
from support_desk import ALL, Desk, job_of

REASON = "The invoice of May is open"
SYSTEM = "guestpost-system"


async def nothing(stage: Stage, subject: Subject) -> None:
    """There is no tenant yet."""


async def ready(stage: Stage, subject: Subject, **spec: Any) -> None:
    """A tenant that runs."""
    await stage.tenants.create(subject.name, **spec)
    await stage.tenants.wait(subject.name, "Ready")


async def into(stage: Stage, subject: Subject, *, state: str, reason: str | None = None) -> None:
    """Its state is set, and reached."""
    await stage.tenants.patch(subject.name, spec={"state": state, "suspendReason": reason})
    await stage.tenants.wait(subject.name, "Ready", "True", state)


async def asleep(stage: Stage, subject: Subject) -> None:
    """A tenant that hibernates."""
    await ready(stage, subject)
    await into(stage, subject, state="Hibernated")


async def upgraded(stage: Stage, subject: Subject) -> None:
    """The operator's release is what web and sync run."""

    async def there() -> bool:
        status = (await stage.tenants.get(subject.name) or {}).get("status", {})
        app = status.get("app", {})
        return bool(
            app.get("version") == f"1.0.{stage.version}" and app.get("revision") == status.get("revision")
        )

    await stage.tenants.eventually(there, f"{subject.name} to be at the next release")
    await stage.tenants.wait(subject.name, "Ready")


async def export(stage: Stage, subject: Subject) -> None:
    """Staff asks for an export; it is made, and expires."""
    await make(stage, EXPORT, {"name": "one", "namespace": subject.namespace}, {"requestedBy": "Staff"})

    async def over() -> bool:
        found = await stage.admin.get(EXPORT, "one", subject.namespace) or {}
        left = [
            await stage.admin.get(kind, "export-one", subject.namespace) for kind in (STATEFUL_SET, SERVICE)
        ]
        return found.get("status", {}).get("phase") == "Expired" and left == [None, None]

    await stage.tenants.eventually(over, "the export to expire and its pod to go")


async def rotate(stage: Stage, subject: Subject) -> None:
    """Keys and passwords are exchanged."""
    await stage.tenants.patch(subject.name, metadata={"annotations": {names.ANNOTATION_ROTATE: "monday"}})

    async def over() -> bool:
        keys = (await stage.tenants.get(subject.name) or {}).get("status", {}).get("keys") or {}
        return keys.get("stage") == "Rotated" and keys.get("requested") == "monday"

    async def tidy() -> bool:
        keys = await stage.admin.get(SECRET, names.SECRET_KEYS, subject.namespace)
        found = [each["metadata"]["name"] for each in await stage.admin.find(SECRET, subject.namespace)]
        copies = [each for each in found if each.startswith(names.SECRET_KEYS_COPY)]
        return keys is not None and copies == [names.mounted_keys(keys["metadata"]["uid"])]

    await stage.tenants.eventually(over, "the exchange to be over")
    await stage.tenants.eventually(tidy, "copies of the keys of before to go")
    await stage.tenants.wait(subject.name, "Ready")


async def grant(stage: Stage, subject: Subject, *, level: str) -> None:
    """Staff asks, the customer approves, and ends it."""
    tenant = await stage.tenants.get(subject.name) or {}
    desk = Desk(stage.admin, stage.tenants, tenant)
    asked = await desk.ask(level=level)
    await desk.wait(asked, "Requested")
    await desk.approve(asked, level=level)
    await desk.wait(asked, "Active")
    if level == "Shell":
        await desk.wait_parts(job_of(asked), ALL)
    await desk.write(asked, revokedAt="2026-11-24T12:00:00Z")
    await desk.wait(asked, "Revoked")
    await desk.wait_parts(job_of(asked), set())


async def furnished(stage: Stage, subject: Subject) -> None:
    """A tenant that has everything that an erasure may find."""
    await ready(stage, subject, deletion={"gracePeriodSeconds": 0, "finalExport": "Required"})
    tenant = await stage.tenants.get(subject.name) or {}
    await stage.admin.create(CLAIM, erasures.claim(tenant))
    await stage.admin.create(PERSISTENT_VOLUME, erasures.volume(f"pv-{subject.name}", subject.namespace))
    snapshot = {"name": "nightly", "namespace": subject.namespace}
    await make(stage, VOLUME_SNAPSHOT, snapshot, {})
    content = {"deletionPolicy": "Retain", "volumeSnapshotRef": snapshot}
    await make(stage, VOLUME_SNAPSHOT_CONTENT, {"name": f"content-{subject.name}"}, content)


async def erase(stage: Stage, subject: Subject) -> None:
    """The customer asks for it. There is no key for receipts, so that one is made."""
    for kind, key in ((SECRET, names.SECRET_RECEIPTS), (CONFIG_MAP, names.RECEIPT_KEYS)):
        await stage.admin.delete(kind, key, SYSTEM, None)
    await make(stage, REQUEST, {"name": "request-1", "namespace": subject.namespace}, {"type": "Erase"})
    await stage.tenants.wait_gone(subject.name)


async def make(stage: Stage, kind: Kind, metadata: dict[str, Any], spec: dict[str, Any]) -> None:
    """Make an object."""
    body = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, "spec": spec}
    await stage.admin.create(kind, body)


LIFECYCLES = {
    each.name: each
    for each in (
        Lifecycle("provision", nothing, ready),
        Lifecycle("suspend", ready, functools.partial(into, state="Suspended", reason=REASON)),
        Lifecycle("hibernate", ready, functools.partial(into, state="Hibernated")),
        Lifecycle("resume", asleep, functools.partial(into, state="Running")),
        Lifecycle("upgrade", ready, upgraded, begin=Stage.deploy, reuse=True),
        Lifecycle("export", ready, export),
        Lifecycle("rotate", ready, rotate),
        Lifecycle("grant Browse", ready, functools.partial(grant, level="Browse")),
        Lifecycle("grant Shell", ready, functools.partial(grant, level="Shell")),
        Lifecycle("erase", furnished, erase),
    )
}
