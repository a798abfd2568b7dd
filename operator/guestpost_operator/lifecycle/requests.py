"""What customers ask for from inside the CRM: answered, and acted upon when its time has come."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable

import structlog
from pydantic import ValidationError

from guestpost_operator import deletion
from guestpost_operator.api import request as api
from guestpost_operator.api.part import problems
from guestpost_operator.api.request import Contact, Request
from guestpost_operator.api.tenant import DeletionStatus, Tenant, parse
from guestpost_operator.asked import Asked
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.kinds import REQUEST, TENANT
from guestpost_operator.lifecycle import answers
from guestpost_operator.revision import Object

log = structlog.get_logger()

# When an erasure was due and did not begin, the tenant is looked at again so soon.
AGAIN_SECONDS = 1.0


class Requests:
    """The requests of tenants.

    Args:
        cluster: where they are answered.
        asked: what the watch knows of them.
        now: the time.
    """

    def __init__(self, cluster: Cluster, asked: Asked, now: Callable[[], dt.datetime]) -> None:
        self._cluster = cluster
        self._asked = asked
        self._now = now

    def clock(self, tenant: Tenant) -> DeletionStatus | None:
        """The erasure that is asked for, by the customer or by staff."""
        return deletion.asked(tenant, self._of(tenant), self._now())

    def contact(self, tenant: Tenant) -> Contact | None:
        """Whom the service writes to, as the owner said last."""
        return deletion.contact(self._of(tenant))

    def final_export(self, tenant: Tenant) -> str:
        """Whether a last export is wanted: Required or Skip."""
        return deletion.final_export(tenant, self._of(tenant))

    async def settle(self, tenant: Tenant, clock: DeletionStatus | None) -> float | None:
        """Answer all requests, remove what counts no more, and begin the erasure when it is due.

        Args:
            tenant: as last read.
            clock: the erasure that is asked for, as the status says it.

        Returns:
            Seconds until the tenant has to be looked at again, None when a change will tell.

        Raises:
            BackendError: when something could not be written.
        """
        if await self.answer(tenant, clock):
            return 0.0
        if clock is None:
            return None
        left = (deletion.moment(clock.erase_after) - self._now()).total_seconds()
        if left > 0:
            return left
        if tenant.spec.deletion.protected or await self._begin(tenant, clock):
            return None
        return AGAIN_SECONDS

    async def answer(self, tenant: Tenant, clock: DeletionStatus | None) -> bool:
        """Answer all requests, and remove those that count no more (BackendError).

        Returns:
            Whether they have to be looked at again: one is another by now.
        """
        requests, again = self._of(tenant), False
        for name, answer in deletion.answers(tenant, requests, clock).items():
            request = next(each for each in requests if each.name == name)
            changes = deletion.status(request, answer, deletion.written(self._now()))
            if changes and await self._tell(request, changes):
                again = True
        for request in deletion.stale(tenant, requests, self._now()):
            await self._cluster.delete(REQUEST, request.name, request.namespace, request.uid)
        return again

    async def _begin(self, tenant: Tenant, told: DeletionStatus) -> bool:
        """Delete the tenant. False when it was taken back, or anything changed since it was told."""
        live = await self._cluster.get(TENANT, tenant.name)
        if live is None or live["metadata"]["uid"] != tenant.uid:
            return True
        # The watches may be late: what was changed or taken back this very moment counts too.
        requests = _read(await self._cluster.find(REQUEST, tenant.namespace))
        changed = parse(live)
        if changed.spec.deletion.protected or deletion.asked(changed, requests, self._now()) != told:
            return False
        version = live["metadata"]["resourceVersion"]
        begun = await self._cluster.delete(TENANT, tenant.name, None, tenant.uid, version)
        if begun:
            log.info("erasure begins", requested_by=told.requested_by)
        return begun

    def _of(self, tenant: Tenant) -> list[Request]:
        return _read(self._asked.of(REQUEST.name, tenant.namespace))

    async def _tell(self, request: Request, changes: Object) -> bool:
        """Whether it is another now than it was taken for."""
        more = await answers.write(self._cluster, self._asked, REQUEST, request, changes)
        if more is None:
            return False
        log.info("request answered", request=request.name, type=request.spec.type, phase=changes.get("phase"))
        return more


def _read(bodies: Iterable[Object]) -> list[Request]:
    """Requests as they are understood; those that are not are left out."""
    found = []
    for body in bodies:
        try:
            found.append(api.parse(body))
        except ValidationError as error:
            log.warning("request cannot be read", request=body["metadata"]["name"], error=problems(error))
    return found
