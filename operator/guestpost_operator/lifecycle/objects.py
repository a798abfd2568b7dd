"""Keeps a tenant's objects in the cluster as they are rendered, and removes what no longer is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import structlog

from guestpost_operator import drift, metrics
from guestpost_operator.api import names
from guestpost_operator.api.tenant import Tenant
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.errors import BackendError, ConflictError
from guestpost_operator.backends.kinds import BY_NAME, CLUSTER, JOB, NAMESPACE, SECRET, Kind
from guestpost_operator.inventory import Inventory, Key, Observed, shared_key, version_of
from guestpost_operator.lifecycle.memory import BlockedError, Memory, not_adopted
from guestpost_operator.revision import Object
from guestpost_operator.states import DATABASE

log = structlog.get_logger()

# Never pruned, whatever is rendered: with them go the customer's data.
_PRECIOUS = frozenset({NAMESPACE.name, SECRET.name, CLUSTER.name})


class Objects:
    """Applies what is missing or differs; leaves alone, without a request, what is known to be right."""

    def __init__(self, cluster: Cluster, inventory: Inventory) -> None:
        self._cluster = cluster
        self._inventory = inventory

    def settled(self, tenant: Tenant, hashes: Mapping[Key, bytes], memory: Memory) -> bool:
        """Whether every object is known to be as rendered, so that nothing has to be asked."""
        observed = self._inventory.objects(tenant.uid)
        return all(_clean(memory, key, digest, observed.get(key)) for key, digest in hashes.items())

    async def keep(
        self, tenant: Tenant, manifests: Iterable[Object], memory: Memory
    ) -> dict[Key, BackendError | BlockedError]:
        """Make the cluster hold these objects.

        Returns:
            What failed, by object; one failure stops no other object.
        """
        observed = self._inventory.objects(tenant.uid)
        dirty = {
            key: manifest
            for key, manifest in ((key_of(each), each) for each in manifests)
            if not _clean(memory, key, applied_hash(manifest), observed.get(key))
        }
        try:
            live = await self._read(tenant, {BY_NAME[key.kind] for key in dirty if key in observed})
        except BackendError as error:
            return dict.fromkeys(dirty, error)
        results = await asyncio.gather(
            *(self._restore(tenant, key, manifest, live.get(key), memory) for key, manifest in dirty.items()),
            return_exceptions=True,
        )
        failed: dict[Key, BackendError | BlockedError] = {}
        for key, result in zip(dirty, results, strict=True):
            if isinstance(result, BackendError | BlockedError):
                failed[key] = result
                log.warning("object not applied", kind=key.kind, object=key.name, error=str(result))
            elif isinstance(result, BaseException):
                raise result
        return failed

    async def prune(self, tenant: Tenant, wanted: Iterable[Key]) -> dict[Key, BackendError]:
        """Delete objects of this tenant, in its namespace, that are not rendered any more."""
        keep = set(wanted)
        failed: dict[Key, BackendError] = {}
        for key, observed in list(self._inventory.objects(tenant.uid).items()):
            if (
                key in keep
                or key.kind in _PRECIOUS
                or observed.deleting
                or observed.namespace != tenant.namespace
            ):
                continue
            try:
                await self._cluster.delete(BY_NAME[key.kind], key.name, observed.namespace, observed.uid)
                metrics.PRUNED.labels(key.kind).inc()
                log.info("object pruned", kind=key.kind, object=key.name)
            except BackendError as error:
                failed[key] = error
        return failed

    async def _read(self, tenant: Tenant, kinds: set[Kind]) -> dict[Key, Object]:
        selector = f"{names.LABEL_TENANT_UID}={tenant.uid}"
        lists = await asyncio.gather(
            *(
                self._cluster.find(kind, tenant.namespace if kind.namespaced else None, selector)
                for kind in kinds
            )
        )
        return {key_of(each): each for found in lists for each in found}

    async def _check_database(self, tenant: Tenant) -> None:
        """Apply over no database that was not made for this tenant: one day its data would be erased."""
        for found in await self._cluster.find(CLUSTER, tenant.namespace):
            metadata = found["metadata"]
            owner = (metadata.get("labels") or {}).get(names.LABEL_TENANT_UID)
            ours = tenant.uid == owner or metadata["uid"] == tenant.status.database.get("uid")
            if metadata["name"] == DATABASE.name and not ours:
                whose = f"belongs to the tenant with uid {owner}" if owner else "was made by somebody else"
                what = f"Cluster {tenant.namespace}/{DATABASE.name}"
                raise BlockedError("DatabaseTaken", not_adopted(what, whose, tenant.uid))

    async def _restore(
        self, tenant: Tenant, key: Key, manifest: Object, live: Object | None, memory: Memory
    ) -> None:
        kind, wanted = BY_NAME[key.kind], applied_hash(manifest)
        known = memory.good.get(key)
        if live is not None:
            self._inventory.observe(live)
            if "deletionTimestamp" in live["metadata"]:
                raise ConflictError(
                    f"{key.kind} {key.name} is being deleted; it is made again when it is gone"
                )
            if kind is JOB:
                manifest = drift.as_begun(manifest, live)
            foreign = drift.foreign_fields(live)
            if not foreign and drift.contains(live, manifest):
                self._remember(tenant, key, wanted, live, memory)
                return
            if drift.needs_take_over(live):
                log.info("fields taken over", kind=key.kind, object=key.name, managers=foreign)
                await self._cluster.take_over(kind, live, drift.take_over(live))
        elif key == DATABASE and not memory.new_namespace:
            await self._check_database(tenant)
        applied = await self._cluster.apply(kind, manifest)
        self._inventory.observe(applied)
        self._remember(tenant, key, wanted, applied, memory)
        if known is not None:
            metrics.DRIFT.labels(key.kind).inc()
            log.info("drift corrected", kind=key.kind, object=key.name)

    def _remember(self, tenant: Tenant, key: Key, wanted: bytes, live: Object, memory: Memory) -> None:
        """Both agree: until one of them changes the object needs neither a read nor a write."""
        observed = self._inventory.objects(tenant.uid).get(key)
        newest = observed is not None and observed.version == version_of(live["metadata"])
        # The same text, in memory once.
        digest = observed.digest if observed is not None and newest else drift.content_hash(live)
        memory.agrees(key, wanted, digest)


def key_of(obj: Object) -> Key:
    """The key of an object or manifest."""
    return shared_key(obj["kind"], obj["metadata"]["name"])


def applied_hash(manifest: Object) -> bytes:
    """The hash that `render.stamp` wrote into a manifest."""
    return bytes.fromhex(manifest["metadata"]["annotations"][names.ANNOTATION_APPLIED])


def _clean(memory: Memory, key: Key, digest: bytes, observed: Observed | None) -> bool:
    known = (memory.rendered.get(key), memory.good.get(key))
    return observed is not None and not observed.deleting and known == (digest, observed.digest)
