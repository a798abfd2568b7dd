"""The steps of an erasure that remove what is stored, and the look afterwards whether it is gone."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import structlog

from guestpost_operator.api import names
from guestpost_operator.api.tenant import Tenant
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.errors import BackendError, NotFoundError
from guestpost_operator.backends.kinds import (
    CLAIM,
    CLUSTER,
    NAMESPACE,
    PERSISTENT_VOLUME,
    POD,
    SECRET,
    VOLUME_CLAIM,
    VOLUME_SNAPSHOT,
    VOLUME_SNAPSHOT_CONTENT,
    Kind,
)
from guestpost_operator.backends.kms import KeyManagement
from guestpost_operator.backends.pubsub import Messaging
from guestpost_operator.lifecycle.memory import BlockedError, Memory, NotYetError
from guestpost_operator.revision import Object
from guestpost_operator.states import DATABASE

log = structlog.get_logger()


class Stores:
    """Everything that holds something of a tenant."""

    def __init__(self, cluster: Cluster, messaging: Messaging, kms: KeyManagement) -> None:
        self._cluster = cluster
        self._messaging = messaging
        self._kms = kms

    async def own_namespace(self, tenant: Tenant) -> Object | None:
        """The namespace if it is this tenant's; None when it is gone or somebody else's."""
        live = await self._cluster.get(NAMESPACE, tenant.namespace)
        if live is None:
            return None
        labelled = (live["metadata"].get("labels") or {}).get(names.LABEL_TENANT_UID) == tenant.uid
        return live if labelled or live["metadata"]["uid"] == tenant.status.namespace.uid else None

    async def announce(self, tenant: Tenant) -> None:
        """Have the API server refuse what contradicts an erasure: the chart's policies read this label."""
        live = await self.own_namespace(tenant)
        if live is not None and names.LABEL_ERASING not in (live["metadata"].get("labels") or {}):
            patch = {"metadata": {"labels": {names.LABEL_ERASING: "true"}}}
            await self._cluster.merge(NAMESPACE, tenant.namespace, None, patch)

    async def survey(self, tenant: Tenant) -> list[tuple[str, int]]:
        """What is there, by kind. Pub/Sub that does not answer is counted as the status says."""
        namespace = await self.own_namespace(tenant)
        found = {"Namespace": int(namespace is not None)}
        if namespace is not None:
            clusters = await self._optional(CLUSTER, tenant.namespace)
            found["Database"] = len([each for each in clusters if each["metadata"]["name"] == DATABASE.name])
            found["PersistentVolumeClaim"] = len(await self._cluster.find(VOLUME_CLAIM, tenant.namespace))
            found["Key"] = int(bool(await self._own_keys(tenant)))
            found["VolumeSnapshot"] = len(await self._optional(VOLUME_SNAPSHOT, tenant.namespace))
        found["PersistentVolume"] = len(await self._own_volumes(tenant))
        found["MailboxClaim"] = len(await self._own_claims(tenant))
        found["Topic"], found["Subscription"] = await self._survey_messaging(tenant)
        if tenant.status.keys.kms_key:
            found["CryptoKeyVersion"] = await self._survey_kms(tenant)
        return sorted(found.items())

    async def _survey_messaging(self, tenant: Tenant) -> tuple[int, int]:
        recorded = int(bool(tenant.status.messaging.topic))
        try:
            there = await self._own_messaging(tenant)
        except BackendError:
            return recorded, recorded
        return int("topic" in there), int("subscription" in there)

    async def _survey_kms(self, tenant: Tenant) -> int:
        try:
            return len(await self._own_versions(tenant))
        except BackendError:
            return 1

    async def claims(self, tenant: Tenant) -> None:
        """Mailboxes that this tenant held may be connected by others again."""
        for claim in await self._own_claims(tenant):
            await self._cluster.delete(CLAIM, claim["metadata"]["name"], None, claim["metadata"]["uid"])
        if await self._own_claims(tenant):
            raise NotYetError("the mailboxes' claims to go")

    async def messaging(self, tenant: Tenant, memory: Memory) -> dict[str, Any]:
        """Subscription, then topic. Their ids are in the status if ever they were made."""
        del memory
        there = await self._own_messaging(tenant)
        if "subscription" in there:
            await self._messaging.delete_subscription(tenant.status.messaging.subscription)
        if "topic" in there:
            await self._messaging.delete_topic(tenant.status.messaging.topic)
        if there and await self._own_messaging(tenant):
            raise NotYetError("topic and subscription to go")
        return {}

    async def database(self, tenant: Tenant, memory: Memory) -> dict[str, Any]:
        """The PostgreSQL Cluster, its pods and its volume claims."""
        del memory
        if await self.own_namespace(tenant) is None:
            return {}
        try:
            if await self._cluster.delete(CLUSTER, DATABASE.name, tenant.namespace, None):
                raise NotYetError("the PostgreSQL cluster to be removed")
        except NotFoundError:
            return {}
        for kind in (POD, VOLUME_CLAIM):
            await self._remove(kind, tenant.namespace, "cnpg.io/cluster=db")
        return {}

    async def volumes(self, tenant: Tenant, memory: Memory) -> dict[str, Any]:
        """Claims, snapshots and disks, also of classes that retain: their policy is set to Delete."""
        del memory
        if await self.own_namespace(tenant) is not None:
            await self._remove(VOLUME_CLAIM, tenant.namespace)
            await self._release_snapshots(tenant)
            await self._remove(VOLUME_SNAPSHOT, tenant.namespace)
        else:
            await self._release_snapshots(tenant)
        for content in await self._own_snapshot_contents(tenant):
            # Its snapshot is gone: nothing else removes it any more.
            metadata = content["metadata"]
            await self._cluster.delete(VOLUME_SNAPSHOT_CONTENT, metadata["name"], None, metadata["uid"])
        left = [content["metadata"]["name"] for content in await self._own_snapshot_contents(tenant)]
        for volume in await self._own_volumes(tenant):
            left.append(volume["metadata"]["name"])
            await self._release(volume)
        if left:
            raise NotYetError(f"volumes {', '.join(sorted(left))} to be deleted")
        return {}

    async def keys(self, tenant: Tenant, memory: Memory) -> dict[str, Any]:
        """The tenant's key: what was encrypted with it is worth nothing from here on, in any copy or backup.

        A version in KMS opens nothing once it is destroyed; Google wipes it a day later.
        """
        del memory
        for version in await self._own_versions(tenant):
            await self._kms.destroy_version(version)
        if left := await self._own_versions(tenant):
            raise NotYetError(f"{', '.join(left)} to be destroyed")
        if await self.own_namespace(tenant) is None:
            return {}
        for name in await self._own_keys(tenant):
            await self._cluster.delete(SECRET, name, tenant.namespace, None)
        if await self._own_keys(tenant):
            raise NotYetError("the tenant's key to go")
        return {}

    async def namespace(self, tenant: Tenant, memory: Memory) -> dict[str, Any]:
        """All that is left, with the namespace."""
        del memory
        live = await self.own_namespace(tenant)
        if live is None:
            return {}
        if "deletionTimestamp" not in live["metadata"]:
            await self._cluster.delete(NAMESPACE, tenant.namespace, None, live["metadata"]["uid"])
        told = [
            f"{each.get('type')}: {each.get('message')}"
            for each in (live.get("status") or {}).get("conditions") or ()
            if each.get("status") == "True"
        ]
        raise NotYetError("; ".join((f"namespace {tenant.namespace} to be removed", *told)))

    async def left(self, tenant: Tenant, but: Collection[str]) -> set[str]:
        """Steps whose things are there, after all were done.

        Args:
            tenant: whose.
            but: steps that were given up: what they would remove is not looked for.

        Raises:
            BackendError: something did not answer, so that nothing can be said.
        """
        there: set[str] = set()
        if await self.own_namespace(tenant) is not None:
            there.add("Namespace")
            if await self._own_keys(tenant):
                there.add("Keys")
            if await self._optional(CLUSTER, tenant.namespace):
                there.add("Database")
        if "Messaging" not in but and await self._own_messaging(tenant):
            there.add("Messaging")
        if "Volumes" not in but and (
            await self._own_volumes(tenant) or await self._own_snapshot_contents(tenant)
        ):
            there.add("Volumes")
        if "Keys" not in but and await self._own_versions(tenant):
            there.add("Keys")
        if await self._own_claims(tenant):
            there.add("GoogleAccess")
        return there - set(but)

    # -- What is this tenant's

    async def _own_keys(self, tenant: Tenant) -> list[str]:
        """Where the tenant's key is: in several Secrets, when it was exchanged."""
        found = [each["metadata"]["name"] for each in await self._cluster.find(SECRET, tenant.namespace)]
        return [
            name for name in found if name == names.SECRET_KEYS or name.startswith(names.SECRET_KEYS_COPY)
        ]

    async def _own_versions(self, tenant: Tenant) -> list[str]:
        """Versions of the tenant's key in KMS that open something."""
        name = tenant.status.keys.kms_key
        found = await self._kms.get_key(name) if name else None
        if found is None or found.labels.get("tenant-uid") != tenant.uid:
            return []
        return await self._kms.live_versions(name)

    async def _own_claims(self, tenant: Tenant) -> list[Object]:
        return await self._optional(CLAIM, None, f"{names.LABEL_TENANT_UID}={tenant.uid}")

    async def _own_messaging(self, tenant: Tenant) -> set[str]:
        """Which of topic and subscription are there and carry this tenant's uid."""
        there: set[str] = set()
        messaging = tenant.status.messaging
        if not messaging.topic:
            return there
        subscription = await self._messaging.get_subscription(messaging.subscription)
        if subscription is not None and subscription.labels.get("tenant-uid") == tenant.uid:
            there.add("subscription")
        topic = await self._messaging.get_topic(messaging.topic)
        if topic is not None and topic.labels.get("tenant-uid") == tenant.uid:
            there.add("topic")
        return there

    async def _own_volumes(self, tenant: Tenant) -> list[Object]:
        """Those that were claimed in the namespace; of a namespace that is another's, only recorded ones."""
        recorded = {each["name"] for each in tenant.status.volumes}
        foreign = await self._foreign_namespace(tenant)
        return [
            volume
            for volume in await self._cluster.find(PERSISTENT_VOLUME)
            if (volume["spec"].get("claimRef") or {}).get("namespace") == tenant.namespace
            and (volume["metadata"]["name"] in recorded or not foreign)
        ]

    async def _own_snapshot_contents(self, tenant: Tenant) -> list[Object]:
        if await self._foreign_namespace(tenant):
            return []
        return [
            content
            for content in await self._optional(VOLUME_SNAPSHOT_CONTENT)
            if (content["spec"].get("volumeSnapshotRef") or {}).get("namespace") == tenant.namespace
        ]

    async def _foreign_namespace(self, tenant: Tenant) -> bool:
        """Whether the namespace's name is somebody else's by now."""
        return (
            await self.own_namespace(tenant) is None
            and await self._cluster.get(NAMESPACE, tenant.namespace) is not None
        )

    async def _optional(self, kind: Kind, namespace: str | None = None, selector: str = "") -> list[Object]:
        """Objects of a kind that this cluster may not know."""
        try:
            return await self._cluster.find(kind, namespace, selector)
        except NotFoundError:
            return []

    # -- Removing

    async def _remove(self, kind: Kind, namespace: str, selector: str = "") -> None:
        """Delete all that match, and wait until they are gone."""
        left = await self._optional(kind, namespace, selector)
        for each in left:
            if "deletionTimestamp" not in each["metadata"]:
                await self._cluster.delete(kind, each["metadata"]["name"], namespace, each["metadata"]["uid"])
        if left:
            raise NotYetError(f"{len(left)} {kind.plural} to end")

    async def _release_snapshots(self, tenant: Tenant) -> None:
        """What a snapshot holds goes with it, also where its class would retain it."""
        for content in await self._own_snapshot_contents(tenant):
            if content["spec"].get("deletionPolicy") == "Retain":
                patch = {"spec": {"deletionPolicy": "Delete"}}
                await self._cluster.merge(VOLUME_SNAPSHOT_CONTENT, content["metadata"]["name"], None, patch)
                log.info("snapshot will be deleted, not retained", object=content["metadata"]["name"])

    async def _release(self, volume: Object) -> None:
        """What a volume holds goes with it, also where its class would retain it."""
        name = volume["metadata"]["name"]
        if volume["spec"].get("persistentVolumeReclaimPolicy") == "Retain":
            patch = {"spec": {"persistentVolumeReclaimPolicy": "Delete"}}
            await self._cluster.merge(PERSISTENT_VOLUME, name, None, patch)
            log.info("volume will be deleted, not retained", object=name)
        if (volume.get("status") or {}).get("phase") == "Failed":
            message = f"PersistentVolume {name}: {volume['status'].get('message', 'its deletion failed')}"
            raise BlockedError("VolumeNotDeleted", message)
