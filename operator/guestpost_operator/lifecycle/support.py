"""SupportGrants over time: what runs for them is rendered with the tenant; here is what their status says."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Callable, Mapping

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from guestpost_operator import support
from guestpost_operator.api import grant as api
from guestpost_operator.api import names
from guestpost_operator.api.grant import Grant
from guestpost_operator.api.part import problems
from guestpost_operator.api.tenant import Tenant
from guestpost_operator.asked import Asked
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.kinds import GRANT, JOB, SECRET
from guestpost_operator.inventory import Inventory, Key
from guestpost_operator.lifecycle import answers
from guestpost_operator.lifecycle.memory import Memory
from guestpost_operator.status import Step
from guestpost_operator.support import Place, Shell, Verdict

log = structlog.get_logger()

# What could not be made for a Shell is tried again so soon.
RETRY_SECONDS = 10.0


class Grants:
    """Decides about the SupportGrants of tenants, and writes it down.

    Args:
        cluster: where their status is.
        asked: what the watch knows of them.
        inventory: what the watches know of their Jobs and of the tenants' Secrets.
        now: the time.
    """

    def __init__(
        self, cluster: Cluster, asked: Asked, inventory: Inventory, now: Callable[[], dt.datetime]
    ) -> None:
        self._cluster = cluster
        self._asked = asked
        self._inventory = inventory
        self._now = now

    def wanted(self, tenant: Tenant) -> tuple[Shell, ...]:
        """What is rendered: Shells that the operator has written down itself and that have not ended."""
        if _rests(tenant):
            return ()
        shells = (support.still(grant, self._now()) for grant in self._of(tenant))
        return tuple(shell for shell in shells if shell is not None)

    async def settle(self, tenant: Tenant, failed: Mapping[str, Step], memory: Memory) -> float | None:
        """Bring the statuses up to date.

        Args:
            tenant: whose grants.
            failed: why objects could not be made, by object's name.
            memory: of the tenant.

        Returns:
            Seconds until they have to be looked at again, None when a change will tell.

        Raises:
            BackendError: when a status could not be written, or the key not be read.
        """
        grants = self._of(tenant)
        if not grants:
            return None
        decided = any(each.status.approval is not None for each in grants)
        key = await self._key(tenant, memory) if decided else None
        again: list[float] = []
        for verdict in support.decide(grants, Place(tenant.uid, key, _rests(tenant)), self._now()):
            trouble = self._trouble(verdict, failed)
            if await self._tell(verdict, trouble or self._ready(tenant, verdict)):
                # What is written down now is rendered, or is no more, in the next pass.
                again.append(0.0)
            if trouble is not None:
                again.append(RETRY_SECONDS)
            if verdict.ends is not None:
                again.append(max(0.0, (verdict.ends - self._now()).total_seconds()))
        return min(again, default=None)

    def _of(self, tenant: Tenant) -> list[Grant]:
        found = []
        for body in self._asked.of(GRANT.name, tenant.namespace):
            try:
                found.append(api.parse(body))
            except ValidationError as error:
                log.warning("grant cannot be read", grant=body["metadata"]["name"], error=problems(error))
        return found

    async def _key(self, tenant: Tenant, memory: Memory) -> Ed25519PublicKey | None:
        """The public key of the tenant's web. It stands beside the private one, which is not read for it."""
        observed = self._inventory.objects(tenant.uid).get(Key(SECRET.name, names.SECRET_KEYS))
        if observed is None:
            return None
        if memory.approval_key is None or memory.approval_key[0] != observed.uid:
            secret = await self._cluster.get(SECRET, names.SECRET_KEYS, tenant.namespace)
            notes = (secret or {}).get("metadata", {}).get("annotations") or {}
            try:
                raw = base64.b64decode(notes.get(names.ANNOTATION_APPROVAL_KEY, ""), validate=True)
                memory.approval_key = (observed.uid, Ed25519PublicKey.from_public_bytes(raw))
            except (binascii.Error, ValueError):
                log.error("the tenant's keys have none for approvals", secret=names.SECRET_KEYS)
                return None
        return memory.approval_key[1]

    def _trouble(self, verdict: Verdict, failed: Mapping[str, Step]) -> Step | None:
        if verdict.shell is None:
            return None
        job = verdict.shell.job
        return next((step for name, step in failed.items() if name.startswith(job)), None)

    def _ready(self, tenant: Tenant, verdict: Verdict) -> Step | None:
        if verdict.shell is None:
            return None
        observed = self._inventory.objects(tenant.uid).get(Key(JOB.name, verdict.shell.job))
        if observed is None or observed.readiness.reason == "NotComplete":
            return Step(done=False, reason="Starting", message="its pod is being started")
        if observed.readiness.reason == "Running":
            return Step(done=True, reason="Running", message=support.how(verdict.grant))
        message = "its pod has ended; ask again with another SupportGrant"
        return Step(done=False, reason="Ended", message=message)

    async def _tell(self, verdict: Verdict, ready: Step | None) -> bool:
        """Whether another pass has to follow: the grant, or what is rendered for it, is another now."""
        grant = verdict.grant
        now = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
        changes = support.status(verdict, ready, now)
        if not changes:
            return False
        more = await answers.write(self._cluster, self._asked, GRANT, grant, changes)
        if more is None:
            return False
        log.info("support grant", grant=grant.name, phase=verdict.phase, reason=verdict.reason)
        return more or "shell" in changes


def _rests(tenant: Tenant) -> bool:
    return tenant.spec.state == "Hibernated" or tenant.deleting
