"""What `spec.state` means for what is rendered: who runs, who rests, and in which order. Pure.

It is applied to what templates give and is no part of them, so that a tenant whose revision is pinned can
be suspended and woken by every later operator. See docs/decisions/states.md.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from guestpost_operator.api.names import LABEL_CLOSED
from guestpost_operator.api.tenant import Tenant
from guestpost_operator.exports import Run
from guestpost_operator.inventory import Key, Observed
from guestpost_operator.readiness import HIBERNATED, HIBERNATING, STOPPED
from guestpost_operator.revision import Object
from guestpost_operator.support import Shell

DATABASE = Key("Cluster", "db")
WEB, SYNC = Key("Deployment", "web"), Key("Deployment", "sync")
PAUSE, MIGRATE, OFFBOARD = "pause", "migrate", "offboard"
# The web while its tenant is erased: first the owner may fetch the last export, then it says that it is over.
LEAVING, CLOSED = "leaving", "closed"
# https://cloudnative-pg.io/documentation/current/declarative_hibernation/
HIBERNATION = "cnpg.io/hibernation"
# Of a web that has nothing of its tenant any more: its own certificate, and room for temporary files.
_KEPT_MOUNTS = ("tmp", "web-tls")
# The Job is tried for ever in effect: Google may be away for long, and the pauses between grow to minutes.
_TRIES = 10_000


@dataclass(frozen=True)
class Wanted:
    """Who runs now, on the way to the state that is asked for.

    Attributes:
        suspend_reason: what the web says instead of its pages.
        web, sync, database: whether each runs.
        pause: whether the Job is wanted that stops Gmail's notifications.
        migrate: whether the Job is wanted that brings the database to what the next CRM needs.
        waits_for: what comes before the part of the app that rests still, "" when nothing does.
        exports: those that have a volume.
        shells: terminals of support that are open to somebody.
        erase_after: when an erasure begins that was asked for, "" when none was.
        closing: LEAVING or CLOSED while the tenant is erased, else "".
        offboard: whether the Job is wanted that revokes the consents at Google.
    """

    suspend_reason: str = ""
    web: bool = True
    sync: bool = True
    database: bool = True
    pause: bool = False
    migrate: bool = False
    waits_for: str = ""
    exports: tuple[Run, ...] = ()
    shells: tuple[Shell, ...] = ()
    erase_after: str = ""
    closing: str = ""
    offboard: bool = False


def wanted(
    tenant: Tenant, observed: Mapping[Key, Observed], *, messaging: bool = True, migrated: bool = True
) -> Wanted:
    """What to run now.

    What rests wakes in this order: database, messaging, app. What runs goes on whatever happens to those.

    Args:
        tenant: with the state that is asked for.
        observed: what the cluster holds of it.
        messaging: whether topic and subscription are as wanted.
        migrated: whether the database is what web and sync of the revision in force need.
    """
    if tenant.spec.state == "Hibernated":
        return _resting(observed)
    waits_for = ""
    if not _ready(observed, DATABASE):
        waits_for = "the database to wake"
    elif not messaging:
        waits_for = "topic and subscription"
    elif not migrated:
        waits_for = "the database to be migrated"
    migrate = not migrated and (_ready(observed, DATABASE) or bool(_jobs(observed, MIGRATE)))
    web = not (waits_for and _stopped(observed, WEB))
    if tenant.spec.state == "Suspended":
        return Wanted(
            suspend_reason=tenant.spec.suspend_reason,
            web=web,
            sync=False,
            pause=_stopped(observed, SYNC) and (_ready(observed, DATABASE) or bool(_jobs(observed, PAUSE))),
            migrate=migrate,
            waits_for="" if web else waits_for,
        )
    # Sync asks for watches; a Job that is left over would be taken for that of the next pause.
    waits_for = waits_for or ("the Job of the last pause to go" if _jobs(observed, PAUSE) else "")
    sync = not (waits_for and _stopped(observed, SYNC))
    return Wanted(web=web, sync=sync, migrate=migrate, waits_for="" if web and sync else waits_for)


def wakes(tenant: Tenant, observed: Mapping[Key, Observed]) -> bool:
    """Whether something of the app rests that shall run, so that what comes before it has to be looked at."""
    return bool(wanted(tenant, observed, messaging=False).waits_for)


def serves(tenant: Tenant, observed: Mapping[Key, Observed]) -> bool:
    """Whether database and web run, the web as it is rendered: so the CRM has what it was given last."""
    awake = tenant.spec.state != "Hibernated"
    return awake and _ready(observed, DATABASE) and _ready(observed, WEB) and not _stopped(observed, WEB)


def _resting(observed: Mapping[Key, Observed]) -> Wanted:
    database = observed.get(DATABASE)
    if database is not None and database.readiness == HIBERNATED:
        return Wanted(web=False, sync=False, database=False)
    # Gmail is told before its tokens are out of reach, and CloudNativePG hibernates only what is healthy.
    stopped = _stopped(observed, WEB) and _stopped(observed, SYNC)
    healthy = database is not None and (database.readiness.ready or database.readiness == HIBERNATING)
    rest = healthy and stopped and paused(observed)
    return Wanted(web=False, sync=False, database=not rest, pause=_stopped(observed, SYNC))


def apply(manifests: list[Object], now: Wanted) -> list[Object]:
    """The manifests as they are wanted now; those given are changed."""
    by_key = {Key(each["kind"], each["metadata"]["name"]): each for each in manifests}
    for program, runs in ((PAUSE, now.pause), (OFFBOARD, now.offboard)):
        if runs and SYNC in by_key:
            manifests = [*manifests, job(by_key[SYNC], program)]
    for key, runs in ((WEB, now.web), (SYNC, now.sync)):
        if key in by_key and not runs:
            by_key[key]["spec"]["replicas"] = 0
    if WEB in by_key:
        _tell(by_key[WEB], now)
    if DATABASE in by_key:
        # Also when it is off: an annotation that somebody else sets is drift then, and undone.
        annotations = by_key[DATABASE]["metadata"].setdefault("annotations", {})
        annotations[HIBERNATION] = "off" if now.database else "on"
    return manifests


def _tell(web: Object, now: Wanted) -> None:
    """Have the web say what is going on with its tenant."""
    if now.closing == CLOSED:
        _close(web)
        return
    [container] = web["spec"]["template"]["spec"]["containers"]
    said = {"SUSPEND_REASON": now.suspend_reason, "ERASE_AFTER": now.erase_after, "CLOSING": now.closing}
    container["env"] = [
        *container["env"],
        *({"name": name, "value": value} for name, value in said.items() if value),
    ]


def _close(web: Object) -> None:
    """Leave a web that says that the CRM is gone, and that has nothing of it: no key, no database, no token.

    It replaces the old pods at once, also those that would never be ready.
    """
    spec = web["spec"]
    spec["strategy"] = {"type": "Recreate"}
    spec["template"]["metadata"]["labels"][LABEL_CLOSED] = "true"
    pod = spec["template"]["spec"]
    pod.pop("initContainers", None)
    [container] = pod["containers"]
    container.pop("lifecycle", None)
    container["args"] = [CLOSED]
    container["env"] = [each for each in container["env"] if "valueFrom" not in each]
    container["volumeMounts"] = [each for each in container["volumeMounts"] if each["name"] in _KEPT_MOUNTS]
    pod["volumes"] = [each for each in pod["volumes"] if each["name"] in _KEPT_MOUNTS]


def job(deployment: Object, program: str, mark: str = "") -> Object:
    """A Job that runs one of the CRM's programs once, in a pod like those of a Deployment.

    Its name ends in a hash of its spec, for a Job's pods cannot be changed.

    Args:
        deployment: as rendered.
        program: of the CRM.
        mark: what else tells it from others, such as a revision.
    """
    template = copy.deepcopy(deployment["spec"]["template"])
    pod = template["spec"]
    pod.pop("initContainers", None)
    pod["restartPolicy"] = "OnFailure"
    [container] = pod["containers"]
    container["name"] = program
    container["args"] = [program]
    for part in ("startupProbe", "livenessProbe", "readinessProbe", "ports"):
        container.pop(part, None)
    spec = {"backoffLimit": _TRIES, "completions": 1, "parallelism": 1, "template": template}
    digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:10]
    metadata = deployment["metadata"]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "-".join(each for each in (program, mark, digest) if each),
            "namespace": metadata["namespace"],
            "labels": dict(metadata["labels"]),
        },
        "spec": spec,
    }


def paused(observed: Mapping[Key, Observed]) -> bool:
    """Whether Gmail's notifications are stopped."""
    return ended(observed, PAUSE)


def ended(observed: Mapping[Key, Observed], program: str) -> bool:
    """Whether the Job of a program has come to a good end."""
    return any(each.readiness.ready for each in _jobs(observed, program))


def migrated(observed: Mapping[Key, Observed], revision: str) -> bool:
    """Whether the database is what a revision's CRM needs, by the Job that was made for it."""
    return ended(observed, f"{MIGRATE}-{revision}")


def _jobs(observed: Mapping[Key, Observed], program: str) -> list[Observed]:
    return [
        each for key, each in observed.items() if key.kind == "Job" and key.name.startswith(f"{program}-")
    ]


def _ready(observed: Mapping[Key, Observed], key: Key) -> bool:
    found = observed.get(key)
    return found is not None and found.readiness.ready


def _stopped(observed: Mapping[Key, Observed], key: Key) -> bool:
    found = observed.get(key)
    return found is not None and found.readiness == STOPPED
