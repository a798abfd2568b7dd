"""What is said when a part of a tenant cannot be made as wanted, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Mapping

from guestpost_operator.api import names
from guestpost_operator.api.tenant import Tenant
from guestpost_operator.backends.errors import BackendError, InvalidError, NotFoundError, RefusedError
from guestpost_operator.backends.kinds import (
    BACKEND_TLS_POLICY,
    DEPLOYMENT,
    HTTP_ROUTE,
    INGRESS,
    JOB,
    SERVICE,
)
from guestpost_operator.inventory import Key
from guestpost_operator.lifecycle.memory import BlockedError
from guestpost_operator.states import DATABASE
from guestpost_operator.status import Step

_APPLICATION_KINDS = frozenset(
    {DEPLOYMENT.name, JOB.name, SERVICE.name, INGRESS.name, HTTP_ROUTE.name, BACKEND_TLS_POLICY.name}
)


def part(key: Key) -> str:
    """Which part of a tenant an object belongs to, of those that have a condition of their own."""
    if key == DATABASE:
        return "database"
    return "application" if key.kind in _APPLICATION_KINDS else "namespace"


def failed(what: str, error: BackendError | BlockedError) -> Step:
    """A part that was tried and did not work.

    Args:
        what: the part, for people.
        error: what came of it.
    """
    if isinstance(error, BlockedError):
        return error.step()
    stalled = isinstance(error, RefusedError | InvalidError | NotFoundError)
    hint = ""
    if isinstance(error, NotFoundError):
        hint = "; is the API that serves it installed in this cluster?"
    elif isinstance(error, RefusedError):
        hint = "; the operator lacks a right, a quota is used up, or an admission policy says no"
    return Step(
        done=False, reason=error.reason, message=f"{what}: {error}{hint}", stalled=stalled, failed=True
    )


def namespace_lost(tenant: Tenant) -> BlockedError:
    """The namespace that held the data is gone, or another one has its name."""
    return BlockedError(
        "NamespaceLost",
        f"namespace {tenant.namespace} with uid {tenant.status.namespace.uid}, which held this tenant's "
        "data, is gone. "
        "No empty server is put in its place: restore a backup, or erase the tenant and make it again.",
    )


def namespace_taken(namespace: str, labels: Mapping[str, str]) -> str:
    """What is said about a namespace that is not the tenant's, and whose it is by its labels."""
    owner = labels.get(names.LABEL_TENANT)
    uid = labels.get(names.LABEL_TENANT_UID)
    if owner or uid:
        whose = f"belongs to tenant {owner or 'unknown'} with uid {uid or 'unknown'}"
    else:
        manager = labels.get(names.LABEL_MANAGED_BY)
        whose = f"was made by {manager}" if manager else "was made by somebody else"
    return (
        f"namespace {namespace} exists already and {whose}; it is not adopted. "
        "Rename or remove it, or give the tenant another name."
    )
