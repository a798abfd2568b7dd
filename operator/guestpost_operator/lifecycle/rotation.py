"""Exchanges a tenant's keys and passwords, one stage at a time, while its programs go on.

A Secret of the operator's is immutable, so another one takes its place. What is to be in it waits in a Secret
beside it until then: at no moment is a key in none of the two.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from guestpost_operator import credentials, rotation
from guestpost_operator.api import names
from guestpost_operator.api.tenant import Keys, Tenant
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.errors import AlreadyExistsError, ConflictError
from guestpost_operator.backends.kinds import CLUSTER, SECRET
from guestpost_operator.inventory import Inventory, Key
from guestpost_operator.lifecycle.memory import BlockedError, not_adopted
from guestpost_operator.lifecycle.tenantkeys import TenantKeys
from guestpost_operator.revision import Object
from guestpost_operator.rotation import BEFORE, Policy, Stage
from guestpost_operator.states import DATABASE

log = structlog.get_logger()

# PostgreSQL's logins are looked at so often while one is waited for: nothing that is watched tells of them.
POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Turn:
    """What a look at a tenant's keys came to: a status to write, and seconds until the next look."""

    keys: Keys | None = None
    again: float | None = None


class Rotation:
    """Goes from stage to stage.

    Args:
        cluster: where the Secrets are.
        inventory: what the watches know of them.
        keys: makes new ones.
        policy: when to exchange.
        now: the time.
    """

    def __init__(
        self,
        cluster: Cluster,
        inventory: Inventory,
        keys: TenantKeys,
        policy: Policy,
        now: Callable[[], dt.datetime],
    ) -> None:
        self._cluster = cluster
        self._inventory = inventory
        self._keys = keys
        self._policy = policy
        self._now = now

    async def turn(self, tenant: Tenant, *, settled: bool) -> Turn:
        """Go to the next stage, if it is time and all of the last one has arrived.

        Args:
            tenant: as last read.
            settled: whether every program of the tenant runs as it was last rendered.

        Raises:
            BlockedError: the Secrets contradict each other.
            BackendError: when something could not be read or written.
        """
        ahead = rotation.following(tenant, self._now(), self._policy)
        if settled:
            await self._forget(tenant)
        if ahead.stage is None or not settled:
            return Turn(again=ahead.wait)
        login = tenant.status.keys.login
        if ahead.stage == Stage.SWITCHED and not await self._opens(tenant, rotation.other(login)):
            return Turn(again=POLL_SECONDS)
        stage = await self._exchange(tenant, ahead.stage)
        if ahead.stage == stage == Stage.ROTATED:
            # Nobody uses it now; it is made again with another password.
            await self._remove(tenant, names.LOGINS[rotation.other(login)])
        log.info("keys exchanged", stage=stage)
        return Turn(rotation.reached(tenant, stage, self._now()), again=0.0)

    async def finish(self, tenant: Tenant) -> bool:
        """Put in place what waits, if anything does, and remove it there; whether something did.

        Raises:
            BlockedError: it is not ours, or has nothing to do with the keys that are there.
            BackendError: when something could not be read or written.
        """
        waiting = await self._cluster.get(SECRET, names.SECRET_KEYS_NEXT, tenant.namespace, whole=True)
        if waiting is None:
            return False
        check_ours(tenant, waiting)
        uid, notes = waiting["metadata"]["uid"], waiting["metadata"].get("annotations") or {}
        current = await self._cluster.get(SECRET, names.SECRET_KEYS, tenant.namespace)
        if current is not None and current["metadata"]["uid"] == notes.get(names.ANNOTATION_REPLACES):
            await self._cluster.delete(
                SECRET, names.SECRET_KEYS, tenant.namespace, current["metadata"]["uid"]
            )
            current = None
        if current is None:
            current = await self._cluster.create(SECRET, credentials.in_place(waiting))
            self._inventory.observe({"kind": SECRET.name, "metadata": current["metadata"]})
        came_from = (current["metadata"].get("annotations") or {}).get(names.ANNOTATION_MADE_FROM)
        if came_from != uid:
            raise BlockedError(
                "KeysContradict",
                f"Secrets {names.SECRET_KEYS} and {names.SECRET_KEYS_NEXT} in {tenant.namespace} are of "
                "different exchanges, so none of them is removed. Find out which one opens the tenant's "
                "data, keep copies of both, and delete the other one.",
            )
        await self._remove(tenant, names.SECRET_KEYS_NEXT)
        return True

    async def _exchange(self, tenant: Tenant, stage: Stage) -> Stage:
        """Have keys of a stage in place; returns the stage that they are in, should it be another one."""
        current = await self._cluster.get(SECRET, names.SECRET_KEYS, tenant.namespace, whole=True)
        if current is None:
            raise ConflictError(f"Secret {names.SECRET_KEYS} is gone; it is looked for again")
        at = (current["metadata"].get("annotations") or {}).get(names.ANNOTATION_STAGE, "")
        if at not in BEFORE[stage]:
            # It was put in place before the status told, or comes from a backup.
            return Stage(at or Stage.ROTATED)
        try:
            wrapped = await self._keys.wrapped(tenant) if stage == Stage.INTRODUCED else ""
            await self._cluster.create(SECRET, credentials.exchanged(current, stage, wrapped))
        except AlreadyExistsError:
            log.info("an exchange goes on that was interrupted")
        await self.finish(tenant)
        return stage

    async def _forget(self, tenant: Tenant) -> None:
        """Remove copies of keys that pods of before have mounted: by now there are none."""
        secrets = {
            key.name: seen
            for key, seen in self._inventory.objects(tenant.uid).items()
            if key.kind == SECRET.name
        }
        if names.SECRET_KEYS not in secrets:
            return
        used = names.mounted_keys(secrets[names.SECRET_KEYS].uid)
        for name, seen in secrets.items():
            copies = name.startswith(names.SECRET_KEYS_COPY) and name != names.SECRET_KEYS_NEXT
            if copies and name != used and not seen.deleting:
                await self._remove(tenant, name)

    async def _remove(self, tenant: Tenant, name: str) -> None:
        found = await self._cluster.get(SECRET, name, tenant.namespace)
        if found is not None:
            await self._cluster.delete(SECRET, name, tenant.namespace, found["metadata"]["uid"])
        self._inventory.deleted(tenant.uid, Key(SECRET.name, name))

    async def _opens(self, tenant: Tenant, login: str) -> bool:
        """Whether PostgreSQL knows a login by the password that is in its Secret."""
        secret = await self._cluster.get(SECRET, names.LOGINS[login], tenant.namespace)
        if secret is None:
            return False
        for found in await self._cluster.find(CLUSTER, tenant.namespace):
            if found["metadata"]["name"] == DATABASE.name:
                return _reconciled(found, login, secret["metadata"]["resourceVersion"])
        return False


def check_ours(tenant: Tenant, secret: Object) -> None:
    """Take no Secret that somebody else has made, who may know what is in it (BlockedError)."""
    metadata = secret["metadata"]
    marked = (metadata.get("labels") or {}).get(names.LABEL_TENANT_UID) == tenant.uid
    made_by = {each.get("manager") for each in metadata.get("managedFields") or ()}
    if not marked and names.FIELD_MANAGER not in made_by:
        what = f"Secret {tenant.namespace}/{metadata['name']}"
        whose = "was made by somebody else, who may know what is in it"
        raise BlockedError("SecretTaken", not_adopted(what, whose, tenant.uid))


def _reconciled(cluster: Object, login: str, version: str) -> bool:
    """Whether CloudNativePG has given a login the password of this version of its Secret.

    https://cloudnative-pg.io/documentation/current/declarative_role_management/
    """
    told = (cluster.get("status") or {}).get("managedRolesStatus") or {}
    known = (told.get("passwordStatus") or {}).get(login) or {}
    return (
        login in ((told.get("byStatus") or {}).get("reconciled") or ())
        and known.get("resourceVersion") == version
    )
