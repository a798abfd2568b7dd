"""The steps of an erasure before data are touched: the last export, the closing page, Google's consents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guestpost_operator import steps
from guestpost_operator.api import export as api
from guestpost_operator.api import names
from guestpost_operator.api.export import Export
from guestpost_operator.api.tenant import LastExport, Tenant
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.errors import AlreadyExistsError, ConflictError
from guestpost_operator.backends.kinds import CLAIM, CLUSTER, DEPLOYMENT, EXPORT, POD
from guestpost_operator.inventory import Inventory
from guestpost_operator.lifecycle.erase_stores import Stores
from guestpost_operator.lifecycle.exports import Exports
from guestpost_operator.lifecycle.memory import BlockedError, Memory, NotYetError
from guestpost_operator.lifecycle.provision import Provisioner
from guestpost_operator.lifecycle.requests import Requests
from guestpost_operator.readiness import HIBERNATED
from guestpost_operator.render import UnsatisfiableError
from guestpost_operator.revision import RevisionError
from guestpost_operator.states import CLOSED, DATABASE, LEAVING, OFFBOARD, Wanted, ended
from guestpost_operator.status import Step


class Access:
    """Ends who gets in. What has to run for it is rendered like everything else of the tenant."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        inventory: Inventory,
        provisioner: Provisioner,
        exports: Exports,
        requests: Requests,
        stores: Stores,
    ) -> None:
        self._cluster = cluster
        self._inventory = inventory
        self._provisioner = provisioner
        self._exports = exports
        self._requests = requests
        self._stores = stores

    async def final_export(self, tenant: Tenant, memory: Memory) -> dict[str, Any]:
        """Nobody works here any more; the owner can fetch a last export until it expires."""
        if self._requests.final_export(tenant) == "Skip":
            return {"export": LastExport(outcome="Skipped")}
        if not tenant.has_data or await self._stores.own_namespace(tenant) is None:
            return {"export": LastExport(outcome="Empty")}
        export = self._exports.final(tenant)
        if export is not None and export.spec.requested_by != api.BY_ERASURE:
            message = f"TenantExport {api.FINAL} was made by somebody else: delete it, and it is made again"
            raise BlockedError("FinalExportTaken", message)
        outcome = _outcome(export) if export is not None else None
        if outcome is not None:
            return {"export": outcome}
        await self._require_database(tenant)
        if export is None:
            await self._ask_for_export(tenant)
        now = Wanted(closing=LEAVING, sync=False, exports=self._exports.wanted(tenant))
        parts = await self._provisioner.keep(tenant, memory, now)
        await self._exports.settle(tenant, parts, memory)
        _raise_problem(parts)
        self._require_awake(tenant)
        _wait_for(self._exports.final(tenant))
        return {}

    async def application(self, tenant: Tenant, memory: Memory) -> dict[str, Any]:
        """The web says that the CRM is gone, and reaches nothing; sync and exports have ended."""
        if await self._stores.own_namespace(tenant) is None:
            return {}
        if not await self._close(tenant, memory):
            for name in ("sync", "web"):
                await self._cluster.delete(DEPLOYMENT, name, tenant.namespace, None)
        working = f"{names.LABEL_COMPONENT} in (web,sync,export),!{names.LABEL_CLOSED}"
        selector = f"{working},{names.LABEL_TENANT_UID}={tenant.uid}"
        pods = await self._cluster.find(POD, tenant.namespace, selector)
        if pods:
            raise NotYetError(f"{len(pods)} pods of web, sync and exports to end")
        return {}

    async def google(self, tenant: Tenant, memory: Memory) -> dict[str, Any]:
        """Gmail's notifications stopped, consents revoked, mailboxes free again.

        Without a claim no mailbox was connected, for the broker claims it before it gives a token.
        """
        claims = await self._cluster.find(CLAIM, None, f"{names.LABEL_TENANT_UID}={tenant.uid}")
        if claims and tenant.has_data and await self._stores.own_namespace(tenant) is not None:
            await self._require_database(tenant)
            parts = await self._provisioner.keep(
                tenant, memory, Wanted(closing=CLOSED, sync=False, offboard=True)
            )
            _raise_problem(parts)
            self._require_awake(tenant)
            if not ended(self._inventory.objects(tenant.uid), OFFBOARD):
                raise NotYetError(
                    f"the consents of {len(claims)} mailboxes to be revoked; see the logs of Job offboard"
                )
        await self._stores.claims(tenant)
        return {}

    async def _close(self, tenant: Tenant, memory: Memory) -> bool:
        """Put the closing page there. False when this tenant cannot have one, which stops nothing."""
        database = self._inventory.objects(tenant.uid).get(DATABASE)
        # Not woken for this, and not made again if it is gone.
        asleep = database is not None and database.readiness == HIBERNATED
        if database is None:
            return False
        try:
            parts = await self._provisioner.keep(
                tenant, memory, Wanted(closing=CLOSED, sync=False, database=not asleep)
            )
            _raise_problem(parts)
        except (StalledError, UnsatisfiableError, RevisionError):
            return False
        return True

    async def _require_database(self, tenant: Tenant) -> None:
        """The database that held the data; an empty one in its place would revoke and export nothing."""
        wanted = tenant.status.database.get("uid", "")
        for found in await self._cluster.find(CLUSTER, tenant.namespace):
            metadata = found["metadata"]
            if metadata["name"] == DATABASE.name and metadata["uid"] == wanted:
                return
        raise BlockedError(
            "DatabaseLost",
            f"PostgreSQL cluster {tenant.namespace}/{DATABASE.name}, which held this tenant's data, is gone, "
            "and with it what this step needs. Restore it, or give the step up in spec.deletion.abandon; "
            "people can revoke consents themselves at https://myaccount.google.com/connections.",
        )

    def _require_awake(self, tenant: Tenant) -> None:
        step = steps.ready(self._inventory.objects(tenant.uid).get(DATABASE))
        if not step.done:
            raise NotYetError(f"the database to be ready: {step.message or step.reason}")

    async def _ask_for_export(self, tenant: Tenant) -> None:
        metadata = {"name": api.FINAL, "namespace": tenant.namespace}
        body = {"apiVersion": EXPORT.api_version, "kind": EXPORT.name, "metadata": metadata}
        try:
            created = await self._cluster.create(EXPORT, {**body, "spec": {"requestedBy": api.BY_ERASURE}})
        except AlreadyExistsError:
            # The watch has not told yet.
            return
        self._exports.made(created)


def _outcome(export: Export) -> LastExport | None:
    """What became of the last export, None while it is under way or waits to be fetched."""
    status = export.status
    if status.phase not in ("Complete", "Expired"):
        return None
    if not status.counts.messages and not status.counts.records:
        return LastExport(outcome="Empty")
    if status.downloaded_at:
        return LastExport(outcome="Downloaded", sha256=status.sha256)
    return LastExport(outcome="Expired", sha256=status.sha256) if status.phase == "Expired" else None


def _wait_for(export: Export | None) -> None:
    if export is None or export.status.phase in ("", "Pending", "Running"):
        raise NotYetError("the last export to be made")
    failed = export.status.condition("Failed")
    if export.status.phase == "Failed":
        message = failed.message if failed else "see the logs of its pod"
        raise BlockedError("FinalExportFailed", f"the last export could not be made: {message}")
    until = export.status.expires_at
    raise NotYetError(f"the owner to download the last export, until {until} at most", patient=True)


class StalledError(BlockedError):
    """Something of a tenant cannot be made without a person."""


def _raise_problem(parts: Mapping[str, Step]) -> None:
    """Raise why something could not be made (BlockedError, StalledError when a person has to act)."""
    for step in parts.values():
        if not step.done:
            if step.reason == ConflictError.reason:
                raise NotYetError(step.message)
            raise (StalledError if step.stalled else BlockedError)(step.reason, step.message)
