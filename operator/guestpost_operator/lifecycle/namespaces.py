"""Keeps a tenant's namespace: its own, nobody else's, and never an empty one in place of a lost one."""

from __future__ import annotations

import structlog

from guestpost_operator import drift, render
from guestpost_operator.api import names
from guestpost_operator.api.tenant import Tenant
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.errors import AlreadyExistsError, ConflictError
from guestpost_operator.backends.kinds import NAMESPACE
from guestpost_operator.inventory import Inventory, Key
from guestpost_operator.lifecycle import problems
from guestpost_operator.lifecycle.memory import BlockedError, Memory
from guestpost_operator.lifecycle.objects import applied_hash, key_of
from guestpost_operator.revision import Revision

log = structlog.get_logger()


class Namespaces:
    """Get-or-create for the namespace of a tenant."""

    def __init__(self, cluster: Cluster, inventory: Inventory) -> None:
        self._cluster = cluster
        self._inventory = inventory

    async def keep(self, tenant: Tenant, revision: Revision, memory: Memory) -> str:
        """The uid of the tenant's own namespace, made if it may be made.

        Raises:
            BlockedError: when it is somebody else's, or the one that held the data is gone.
            BackendError: when the cluster does not answer as needed.
        """
        key = Key(NAMESPACE.name, tenant.namespace)
        recorded = tenant.status.namespace.uid
        observed = self._inventory.objects(tenant.uid).get(key)
        if observed is None and not (recorded and tenant.has_data):
            observed_uid = await self._create(tenant, revision, memory)
        elif observed is None:
            observed_uid = await self._existing(tenant)
        elif observed.deleting:
            raise ConflictError(f"namespace {tenant.namespace} is being deleted, though its tenant is not")
        else:
            observed_uid = observed.uid
        if recorded and observed_uid != recorded and tenant.has_data:
            raise problems.namespace_lost(tenant)
        return observed_uid

    async def _create(self, tenant: Tenant, revision: Revision, memory: Memory) -> str:
        manifest = render.namespace(tenant, revision)
        try:
            created = await self._cluster.create(NAMESPACE, manifest)
        except AlreadyExistsError:
            return await self._existing(tenant)
        self._inventory.observe(created)
        memory.new_namespace = True
        memory.agrees(key_of(manifest), applied_hash(manifest), drift.content_hash(created))
        log.info("namespace created", object=tenant.namespace)
        return str(created["metadata"]["uid"])

    async def _existing(self, tenant: Tenant) -> str:
        live = await self._cluster.get(NAMESPACE, tenant.namespace)
        if live is None:
            if tenant.has_data:
                raise problems.namespace_lost(tenant)
            raise ConflictError(f"namespace {tenant.namespace} appeared and went away again")
        metadata = live["metadata"]
        labels = metadata.get("labels") or {}
        ours = metadata["uid"] == tenant.status.namespace.uid
        if labels.get(names.LABEL_TENANT_UID) != tenant.uid and not ours:
            raise BlockedError("NamespaceTaken", problems.namespace_taken(tenant.namespace, labels))
        self._inventory.observe(live)
        return str(metadata["uid"])
