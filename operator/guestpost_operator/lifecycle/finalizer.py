"""Our finalizer on tenants: the chart's policy or kopf puts it there, nothing is made before, it goes last.

kopf takes every HTTP 422 for a conflict, drops its patch without a word and waits for the next change of the
object, so a refusal would be seen by nobody. These two say what the API server answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guestpost_operator.api import names
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.errors import NotFoundError
from guestpost_operator.backends.kinds import TENANT
from guestpost_operator.revision import Object


async def add(cluster: Cluster, body: Mapping[str, Any]) -> Object:
    """Put the finalizer on a tenant that has not changed since it was read.

    Returns:
        The tenant as the API server gives it back.

    Raises:
        BackendError: when the API server does not take it.
    """
    return await _write(cluster, body, [*_of(body), names.FINALIZER])


async def remove(cluster: Cluster, body: Mapping[str, Any]) -> None:
    """Take the finalizer from a tenant that has not changed since it was read; absent is success.

    Raises:
        BackendError: when the API server does not take it.
    """
    left = [each for each in _of(body) if each != names.FINALIZER]
    try:
        await _write(cluster, body, left)
    except NotFoundError:
        return


def _of(body: Mapping[str, Any]) -> list[str]:
    found: list[str] = body["metadata"].get("finalizers") or []
    return found


async def _write(cluster: Cluster, body: Mapping[str, Any], finalizers: list[str]) -> Object:
    metadata = body["metadata"]
    # The list is replaced whole: the version keeps us from dropping what others have just added.
    version = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
    patch = {"metadata": {**version, "finalizers": finalizers}}
    return await cluster.merge(TENANT, metadata["name"], None, patch)
