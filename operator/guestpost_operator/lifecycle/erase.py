"""Removes everything that a tenant made, in order, from outside the namespace that dies.

Level-based like provisioning: each step looks, removes what is left, and is done when it sees that
nothing is. 404 is success; a refusal or a timeout is not, and is tried again for ever.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog

from guestpost_operator.api import names
from guestpost_operator.api.tenant import Tenant
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.errors import BackendError, NotFoundError
from guestpost_operator.backends.kinds import (
    CLAIM,
    CLUSTER,
    DEPLOYMENT,
    NAMESPACE,
    PERSISTENT_VOLUME,
    POD,
    SECRET,
    VOLUME_CLAIM,
)
from guestpost_operator.backends.pubsub import Messaging
from guestpost_operator.lifecycle.memory import BlockedError
from guestpost_operator.revision import Object
from guestpost_operator.status import Step

log = structlog.get_logger()


class NotYetError(Exception):
    """Removal was asked for and is under way; the message says what is waited for."""


@dataclass
class Progress:
    """How far one attempt came.

    Attributes:
        completed: names of the steps that are done, in order.
        step: the step it is at, "" when all are done.
        waiting: what is waited for, when that is all.
        blocked: why the step cannot go on, if so.
    """

    completed: list[str] = field(default_factory=list)
    step: str = ""
    waiting: str = ""
    blocked: Step | None = None

    @property
    def done(self) -> bool:
        """Whether everything is gone."""
        return not self.step


class Eraser:
    """Erases tenants. Holds no state: an attempt begins by looking."""

    def __init__(self, cluster: Cluster, messaging: Messaging) -> None:
        self._cluster = cluster
        self._messaging = messaging

    async def attempt(self, tenant: Tenant, seen_done: Sequence[str] = ()) -> Progress:
        """Go as far as possible, once.

        Args:
            tenant: as just read, status included.
            seen_done: steps that were seen to be done a moment ago and need no second look.

        Returns:
            How far it came. Nothing is raised for what lies outside the process.
        """
        progress = Progress()
        if tenant.spec.deletion.protected:
            progress.step = "Protection"
            progress.blocked = Step(
                done=False,
                reason="Protected",
                message="spec.deletion.protected is true: nothing is erased. Set it to false to erase it.",
                stalled=True,
            )
            return progress
        given_up = {each.step for each in tenant.spec.deletion.abandon}
        for name, step in self._steps():
            problem, waiting = (None, "") if name in seen_done else await _run(step, tenant)
            if problem is None and not waiting:
                progress.completed.append(name)
            elif name in given_up:
                log.warning("erasure step given up", step=name, why=problem.message if problem else waiting)
            else:
                progress.step, progress.blocked, progress.waiting = name, problem, waiting
                return progress
        return progress

    def _steps(self) -> tuple[tuple[str, Callable[[Tenant], Awaitable[None]]], ...]:
        return (
            ("Application", self._application),
            ("Messaging", self._topic_and_subscription),
            ("Database", self._database),
            ("Volumes", self._volumes),
            ("Keys", self._keys),
            ("Namespace", self._namespace),
            ("GoogleAccess", self._claims),
        )

    async def _own_namespace(self, tenant: Tenant) -> Object | None:
        """The namespace if it is this tenant's; None when it is gone or somebody else's."""
        live = await self._cluster.get(NAMESPACE, tenant.namespace)
        if live is None:
            return None
        labelled = (live["metadata"].get("labels") or {}).get(names.LABEL_TENANT_UID) == tenant.uid
        return live if labelled or live["metadata"]["uid"] == tenant.status.namespace.uid else None

    async def _application(self, tenant: Tenant) -> None:
        """Web and sync: nothing reads or writes any more."""
        if await self._own_namespace(tenant) is None:
            return
        for name in ("sync", "web"):
            await self._cluster.delete(DEPLOYMENT, name, tenant.namespace, None)
        selector = f"{names.LABEL_COMPONENT} in (web,sync),{names.LABEL_TENANT_UID}={tenant.uid}"
        pods = await self._cluster.find(POD, tenant.namespace, selector)
        if pods:
            raise NotYetError(f"{len(pods)} pods of web and sync to end")

    async def _topic_and_subscription(self, tenant: Tenant) -> None:
        """Subscription, then topic. Their ids are in the status if ever they were made."""
        messaging = tenant.status.messaging
        if not messaging.topic:
            return
        subscription = await self._messaging.get_subscription(messaging.subscription)
        if subscription is not None and subscription.labels.get("tenant-uid") == tenant.uid:
            await self._messaging.delete_subscription(messaging.subscription)
        topic = await self._messaging.get_topic(messaging.topic)
        if topic is not None and topic.labels.get("tenant-uid") == tenant.uid:
            await self._messaging.delete_topic(messaging.topic)

    async def _database(self, tenant: Tenant) -> None:
        """The PostgreSQL Cluster, its pods and its volume claims."""
        if await self._own_namespace(tenant) is None:
            return
        try:
            if await self._cluster.delete(CLUSTER, "db", tenant.namespace, None):
                raise NotYetError("the PostgreSQL cluster to be removed")
        except NotFoundError:
            return
        selector = "cnpg.io/cluster=db"
        for kind in (POD, VOLUME_CLAIM):
            left = await self._cluster.find(kind, tenant.namespace, selector)
            for each in left:
                if "deletionTimestamp" not in each["metadata"]:
                    await self._cluster.delete(
                        kind, each["metadata"]["name"], tenant.namespace, each["metadata"]["uid"]
                    )
            if left:
                raise NotYetError(f"{len(left)} {kind.plural} of the database to end")

    async def _volumes(self, tenant: Tenant) -> None:
        """The disks, also of storage classes that retain: their policy is set to Delete."""
        recorded = {each["name"] for each in tenant.status.volumes}
        foreign = await self._own_namespace(tenant) is None and await self._cluster.get(
            NAMESPACE, tenant.namespace
        )
        left = []
        for volume in await self._cluster.find(PERSISTENT_VOLUME):
            claim = volume["spec"].get("claimRef") or {}
            name = volume["metadata"]["name"]
            ours = claim.get("namespace") == tenant.namespace and (name in recorded or not foreign)
            if not ours:
                continue
            left.append(name)
            if volume["spec"].get("persistentVolumeReclaimPolicy") == "Retain":
                patch = {"spec": {"persistentVolumeReclaimPolicy": "Delete"}}
                await self._cluster.merge(PERSISTENT_VOLUME, name, None, patch)
                log.info("volume will be deleted, not retained", object=name)
            if (volume.get("status") or {}).get("phase") == "Failed":
                message = f"PersistentVolume {name}: {volume['status'].get('message', 'its deletion failed')}"
                raise BlockedError("VolumeNotDeleted", message)
        if left:
            raise NotYetError(f"volumes {', '.join(sorted(left))} to be deleted")

    async def _keys(self, tenant: Tenant) -> None:
        """The tenant's key: what was encrypted with it is worth nothing from here on."""
        if await self._own_namespace(tenant) is not None:
            await self._cluster.delete(SECRET, names.SECRET_KEYS, tenant.namespace, None)

    async def _namespace(self, tenant: Tenant) -> None:
        live = await self._own_namespace(tenant)
        if live is None:
            return
        if "deletionTimestamp" not in live["metadata"]:
            await self._cluster.delete(NAMESPACE, tenant.namespace, None, live["metadata"]["uid"])
        told = [
            f"{each.get('type')}: {each.get('message')}"
            for each in (live.get("status") or {}).get("conditions") or ()
            if each.get("status") == "True"
        ]
        raise NotYetError("; ".join((f"namespace {tenant.namespace} to be removed", *told)))

    async def _claims(self, tenant: Tenant) -> None:
        """Mailboxes that this tenant held may be connected by others again."""
        try:
            claims = await self._cluster.find(CLAIM, None, f"{names.LABEL_TENANT_UID}={tenant.uid}")
        except NotFoundError:
            return
        for claim in claims:
            await self._cluster.delete(CLAIM, claim["metadata"]["name"], None, claim["metadata"]["uid"])


async def _run(step: Callable[[Tenant], Awaitable[None]], tenant: Tenant) -> tuple[Step | None, str]:
    """What stops the step, and what it waits for."""
    try:
        await step(tenant)
    except NotYetError as waiting:
        return None, str(waiting)
    except BlockedError as problem:
        return problem.step(), ""
    except BackendError as error:
        return Step(done=False, reason=error.reason, message=f"{error}; it is tried again"), ""
    return None, ""
