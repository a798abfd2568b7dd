"""Whether people have paused the rollout: docs/decisions/releases.md."""

from __future__ import annotations

import structlog

from guestpost_operator.api import names
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.kinds import CONFIG_MAP
from guestpost_operator.revision import Object
from guestpost_operator.rollout import Pause

log = structlog.get_logger()


class Pausing:
    """What the ConfigMap in the operator's namespace said when it was last read.

    Only people change it. It is no object of the chart's: `helm upgrade` would take back what they wrote.

    Args:
        cluster: where it is.
        namespace: the operator's.
    """

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster, self._namespace = cluster, namespace
        self._known: Pause | None = None

    @property
    def pause(self) -> Pause:
        """As last read; what is not known yet lets nobody move."""
        return self._known or Pause(True, "not read yet")

    async def read(self) -> None:
        """Look at it again; who deletes it changes nothing, for it is made anew as it was.

        Raises:
            BackendError: it could not be read or made; what was known before is still taken for true.
        """
        stored = await self._cluster.get(CONFIG_MAP, names.ROLLOUT, self._namespace)
        if stored is None:
            stored = await self._cluster.create(CONFIG_MAP, self._body(self._known or Pause()))
        found = Pause.read(stored.get("data") or {})
        if found != (self._known or Pause()):
            log.info("paused" if found.on else "not paused", reason=found.reason)
        self._known = found

    def _body(self, pause: Pause) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": names.ROLLOUT,
                "namespace": self._namespace,
                "labels": names.own_labels("operator"),
            },
            "data": {"paused": "true" if pause.on else "false", "reason": pause.reason},
        }
