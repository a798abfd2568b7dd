"""Keeps a tenant's Secrets: made once, never rewritten, made again only where that loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

import structlog

from guestpost_operator import credentials
from guestpost_operator.api import names
from guestpost_operator.api.tenant import Tenant
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.errors import AlreadyExistsError, ConflictError
from guestpost_operator.backends.kinds import SECRET
from guestpost_operator.inventory import Inventory, Key, Observed
from guestpost_operator.lifecycle.memory import BlockedError, Memory
from guestpost_operator.lifecycle.rotation import Rotation, check_ours
from guestpost_operator.lifecycle.tenantkeys import TenantKeys
from guestpost_operator.render import Credentials
from guestpost_operator.revision import Object

log = structlog.get_logger()

SECRETS = (names.SECRET_DATABASE, names.SECRET_KEYS, names.SECRET_WEB_TLS)


class SecretKeeper:
    """Get-or-create for the Secrets of a tenant."""

    def __init__(
        self,
        cluster: Cluster,
        inventory: Inventory,
        keys: TenantKeys,
        rotation: Rotation,
        now: Callable[[], datetime],
    ) -> None:
        self._cluster = cluster
        self._inventory = inventory
        self._keys = keys
        self._rotation = rotation
        self._now = now

    async def keep(self, tenant: Tenant, hostname: str, memory: Memory) -> Credentials:
        """Make what is missing.

        Raises:
            BlockedError: when the tenant's key is gone although it has data.
            BackendError: when the cluster does not answer as needed.
        """
        if self._observed(tenant, names.SECRET_KEYS_NEXT) is not None:
            await self._rotation.finish(tenant)
        await self._renew(tenant, hostname, memory)
        keys = tenant.status.keys
        wanted = (*SECRETS, names.LOGINS[names.OTHER_LOGIN]) if keys.stage else SECRETS
        made = await asyncio.gather(*(self._one(tenant, name, hostname, memory) for name in wanted))
        certificate = await self._certificate(tenant, memory)
        uids = dict(zip(wanted, made, strict=True))
        mounted = names.SECRET_KEYS
        if keys.stage:
            mounted = names.mounted_keys(uids[names.SECRET_KEYS])
            await self._one(tenant, mounted, hostname, memory)
        return Credentials(
            uids=uids,
            web_certificate=certificate.pem,
            login=keys.login,
            other_login=names.OTHER_LOGIN if keys.stage else "",
            keys=mounted,
        )

    def _observed(self, tenant: Tenant, name: str) -> Observed | None:
        return self._inventory.objects(tenant.uid).get(Key(SECRET.name, name))

    async def _one(self, tenant: Tenant, name: str, hostname: str, memory: Memory) -> str:
        """The uid of a Secret, made if it is missing."""
        observed = self._observed(tenant, name)
        if observed is not None:
            if observed.deleting:
                raise ConflictError(f"Secret {name} is being deleted; it is made again when it is gone")
            return observed.uid
        if name == names.SECRET_KEYS and tenant.has_data:
            # The watch selects by label: it may be there, its labels removed.
            existing = await self._cluster.get(SECRET, name, tenant.namespace)
            if existing is None and await self._rotation.finish(tenant):
                existing = await self._cluster.get(SECRET, name, tenant.namespace)
            if existing is None:
                raise BlockedError(
                    "TenantKeyLost",
                    f"Secret {tenant.namespace}/{name} is gone, and with it the key of this tenant's data. "
                    "It is not replaced, for a new key cannot read them: restore the Secret from a backup, "
                    "or erase the tenant.",
                )
            return await self._relabel(tenant, existing)
        body = await self._generate(tenant, name, hostname)
        try:
            created = await self._cluster.create(SECRET, body)
        except AlreadyExistsError:
            existing = await self._cluster.get(SECRET, name, tenant.namespace)
            if existing is None:
                raise
            return await self._relabel(tenant, existing)
        if name == names.SECRET_WEB_TLS:
            self._remember_certificate(created, memory)
        self._note(created)
        log.info("secret generated", object=name)
        return str(created["metadata"]["uid"])

    async def _relabel(self, tenant: Tenant, secret: Object) -> str:
        """Put our labels back on a Secret of ours; its data is not touched.

        Raises:
            BlockedError: when we have not made it: somebody may know what is in it.
        """
        metadata = secret["metadata"]
        labels = names.common_labels(tenant.name, tenant.uid, "credentials")
        check_ours(tenant, secret)
        if (metadata.get("labels") or {}).items() >= labels.items():
            self._note(secret)
        else:
            patch = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": metadata["name"], "namespace": tenant.namespace, "labels": labels},
            }
            self._note(await self._cluster.apply(SECRET, patch))
        return str(metadata["uid"])

    async def _generate(self, tenant: Tenant, name: str, hostname: str) -> Object:
        labels = names.common_labels(tenant.name, tenant.uid, "credentials")
        for login, secret in names.LOGINS.items():
            if name == secret:
                return credentials.database(tenant.namespace, labels, login)
        if name == names.SECRET_KEYS:
            return credentials.keys(tenant.namespace, labels, await self._keys.wrapped(tenant))
        if name.startswith(names.SECRET_KEYS_COPY):
            keys = await self._cluster.get(SECRET, names.SECRET_KEYS, tenant.namespace, whole=True)
            if keys is None or names.mounted_keys(keys["metadata"]["uid"]) != name:
                raise ConflictError(f"Secret {names.SECRET_KEYS} was replaced meanwhile; it is copied again")
            return credentials.copy(keys, name)
        return credentials.web_tls(tenant.namespace, labels, hostname, self._now())

    def _note(self, secret: Object) -> None:
        # What the watch would tell: metadata only, so that its next word changes nothing.
        self._inventory.observe({"kind": "Secret", "metadata": secret["metadata"]})

    def _remember_certificate(self, secret: Object, memory: Memory) -> None:
        certificate = credentials.read_certificate(credentials.certificate_of(secret))
        memory.certificate = (secret["metadata"]["uid"], certificate) if certificate else None

    async def _certificate(self, tenant: Tenant, memory: Memory) -> credentials.Certificate:
        observed = self._observed(tenant, names.SECRET_WEB_TLS)
        if memory.certificate is None or (observed and memory.certificate[0] != observed.uid):
            secret = await self._cluster.get(SECRET, names.SECRET_WEB_TLS, tenant.namespace, whole=True)
            if secret is None:
                raise ConflictError("the web's certificate is gone; it is made again")
            self._remember_certificate(secret, memory)
            if memory.certificate is None:
                await self._cluster.delete(
                    SECRET, names.SECRET_WEB_TLS, tenant.namespace, secret["metadata"]["uid"]
                )
                raise ConflictError("the web's certificate cannot be read; it is made again")
        return memory.certificate[1]

    async def _renew(self, tenant: Tenant, hostname: str, memory: Memory) -> None:
        """Remove the web's certificate when it nears its end or the host name is another one."""
        observed = self._observed(tenant, names.SECRET_WEB_TLS)
        if observed is None or observed.deleting:
            return
        certificate = await self._certificate(tenant, memory)
        if certificate.serves(tenant.namespace, hostname, self._now()):
            return
        await self._cluster.delete(SECRET, names.SECRET_WEB_TLS, tenant.namespace, observed.uid)
        memory.certificate = None
        # This pass makes the new one.
        self._inventory.deleted(tenant.uid, Key(SECRET.name, names.SECRET_WEB_TLS))
        log.info("certificate replaced", object=names.SECRET_WEB_TLS)
