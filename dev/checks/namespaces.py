"""Plays the namespace controller, without its five seconds.

The real one waits that long before it begins to empty a deleted namespace, for API servers that run side by
side. Tests that erase tenants would do little else than wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Any, Self

from guestpost_operator.backends.cluster import KubernetesCluster
from guestpost_operator.backends.errors import BackendError, NotFoundError
from guestpost_operator.backends.kinds import (
    EXPORT,
    GRANT,
    NAMESPACE,
    OWNED,
    POD,
    REQUEST,
    VOLUME_CLAIM,
    VOLUME_SNAPSHOT,
)

CONTROLLER = "namespace-controller"
# What may be in a namespace, as far as tests put it there.
INSIDE = tuple(
    kind
    for kind in (*OWNED, EXPORT, GRANT, REQUEST, POD, VOLUME_CLAIM, VOLUME_SNAPSHOT)
    if kind.namespaced and kind.api_version != "gateway.networking.k8s.io/v1"
)


class Namespaces:
    """Empties deleted namespaces and lets them go, as long as the block lasts, in a thread of its own.

    As the real one it waits for what has a finalizer. KUBECONFIG says where the API server is.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="namespaces", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        connecting = KubernetesCluster.connect(agent=CONTROLLER)
        self._cluster = asyncio.run_coroutine_threadsafe(connecting, self._loop).result(30)
        self._playing = asyncio.run_coroutine_threadsafe(self._play(), self._loop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._playing.cancel()
        asyncio.run_coroutine_threadsafe(self._cluster.close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    async def _play(self) -> None:
        ending: dict[str, asyncio.Task[None]] = {}
        while True:
            with contextlib.suppress(BackendError):
                # From the beginning: with those that are there.
                async for event in self._cluster.watch(NAMESPACE, "", "0", server_seconds=300, silence=90):
                    self._look(event["object"], ending)
            await asyncio.sleep(0.2)

    def _look(self, namespace: dict[str, Any], ending: dict[str, asyncio.Task[None]]) -> None:
        metadata = namespace["metadata"]
        if "deletionTimestamp" in metadata and metadata["uid"] not in ending:
            ending[metadata["uid"]] = asyncio.create_task(self._end(metadata["name"], metadata["uid"]))

    async def _end(self, name: str, uid: str) -> None:
        while True:
            try:
                left = [kind for kind in INSIDE if await self._cluster.find(kind, name)]
                for kind in left:
                    await self._cluster.request("DELETE", kind.path(name))
                if not left and await self._gone(name, uid):
                    return
            except BackendError:
                # Changed meanwhile, or the API server is busy.
                await asyncio.sleep(0.2)
            await asyncio.sleep(0.05)

    async def _gone(self, name: str, uid: str) -> bool:
        found = await self._cluster.get(NAMESPACE, name)
        if found is None or found["metadata"]["uid"] != uid:
            return True
        body = {**found, "apiVersion": "v1", "kind": "Namespace", "spec": {"finalizers": []}}
        try:
            await self._cluster.request("PUT", f"/api/v1/namespaces/{name}/finalize", body)
        except NotFoundError:
            return True
        return not body["metadata"].get("finalizers")
