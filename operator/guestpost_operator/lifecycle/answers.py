"""The operator's answer to what people ask for inside tenants' namespaces: written, and taken note of."""

from __future__ import annotations

from typing import Protocol

from guestpost_operator.asked import Asked
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.errors import NotFoundError
from guestpost_operator.backends.kinds import Kind
from guestpost_operator.revision import Object


class Wish(Protocol):
    """A TenantExport, TenantRequest or SupportGrant."""

    @property
    def name(self) -> str:
        """metadata.name."""

    @property
    def namespace(self) -> str:
        """metadata.namespace."""

    @property
    def uid(self) -> str:
        """metadata.uid."""


async def write(cluster: Cluster, asked: Asked, kind: Kind, wish: Wish, changes: Object) -> bool | None:
    """Merge changes into its status.

    Returns:
        Whether there is more in it now than was known: another pass has to follow. None when it is gone.

    Raises:
        BackendError: when it could not be written.
    """
    try:
        written = await cluster.merge_status(kind, wish.name, wish.namespace, wish.uid, changes)
    except NotFoundError:
        # It is gone: the watch tells. A conflict may be the API server itself, so that it is tried again.
        return None
    written["kind"] = kind.name
    return asked.answered(written, changes)
