"""Which revision a tenant is rendered from, and where revisions are kept."""

from __future__ import annotations

from guestpost_operator.api.tenant import Tenant
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.errors import AlreadyExistsError
from guestpost_operator.backends.kinds import CONFIG_MAP
from guestpost_operator.revision import Revision, RevisionError, config_map_name, from_config_map
from guestpost_operator.settings import Rollout


class Revisions:
    """The current revision and, as tenants need them, earlier ones.

    Args:
        cluster: where revisions are stored, as ConfigMaps.
        current: what new tenants get.
        namespace: the operator's.
        rollout: whether existing tenants keep theirs.
    """

    def __init__(self, cluster: Cluster, current: Revision, namespace: str, rollout: Rollout) -> None:
        self.current = current
        self._cluster = cluster
        self._namespace = namespace
        self._rollout = rollout
        self._loaded = {current.id: current}

    async def store(self) -> None:
        """Keep the current revision in the cluster, before any tenant names it.

        Raises:
            BackendError: when it can't be stored.
            RevisionError: when a ConfigMap of that name holds something else.
        """
        try:
            await self._cluster.create(CONFIG_MAP, self.current.to_config_map(self._namespace))
        except AlreadyExistsError:
            stored = await self._cluster.get(CONFIG_MAP, self.current.config_map, self._namespace)
            if stored is not None:
                from_config_map(stored)

    async def of(self, tenant: Tenant) -> Revision:
        """The revision that a tenant is pinned to; the current one for a new tenant.

        Raises:
            BackendError: when it can't be read.
            RevisionError: when it is gone or was changed.
        """
        pinned = tenant.status.revision
        if not pinned or self._rollout is Rollout.IMMEDIATE:
            return self.current
        if pinned not in self._loaded:
            name = config_map_name(pinned)
            stored = await self._cluster.get(CONFIG_MAP, name, self._namespace)
            if stored is None:
                raise RevisionError(
                    f"ConfigMap {self._namespace}/{name}, which this tenant is rendered from, is gone; "
                    "restore it from a backup. Nothing of the tenant is changed until then."
                )
            self._loaded[pinned] = from_config_map(stored)
        return self._loaded[pinned]
