"""Keeps the key that signs receipts, and writes them."""

from __future__ import annotations

import base64

import structlog

from guestpost_operator import receipts
from guestpost_operator.api import names
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.errors import AlreadyExistsError, ConflictError
from guestpost_operator.backends.kinds import CONFIG_MAP, RECEIPT, SECRET
from guestpost_operator.lifecycle.memory import BlockedError
from guestpost_operator.receipts import ReceiptError, SigningKey
from guestpost_operator.revision import Object

log = structlog.get_logger()

KEY = "private.pem"
_LABELS = names.own_labels("receipts")


class Receipts:
    """Writes signed receipts.

    Args:
        cluster: where they are kept.
        namespace: the operator's, for the key.
    """

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace

    async def written(self, tenant_uid: str) -> Object | None:
        """The receipt of a tenant, if there is one (BackendError)."""
        return await self._cluster.get(RECEIPT, receipts.name(tenant_uid))

    async def write(self, statement: Object) -> None:
        """Sign and write a receipt; one that is there already stays as it is.

        Raises:
            BlockedError: when the key cannot be read.
            BackendError: when the cluster does not take it.
        """
        key = await self._key()
        name = receipts.name(statement["tenantUID"])
        body = {
            "apiVersion": RECEIPT.api_version,
            "kind": RECEIPT.name,
            "metadata": {"name": name, "labels": {names.LABEL_PART_OF: "guestpost"}},
            "spec": key.sign(statement),
        }
        try:
            await self._cluster.create(RECEIPT, body)
        except AlreadyExistsError:
            return
        log.info("receipt written", receipt=name, verified=statement["verified"], key=key.id)

    async def _key(self) -> SigningKey:
        """The installation's key, made once; its public part is published before it signs anything."""
        stored = await self._cluster.get(SECRET, names.SECRET_RECEIPTS, self._namespace, whole=True)
        if stored is None:
            key = SigningKey.generate()
            data = {KEY: base64.b64encode(key.private_pem()).decode()}
            body = self._object("Secret", names.SECRET_RECEIPTS) | {"type": "Opaque", "data": data}
            try:
                await self._cluster.create(SECRET, body)
            except AlreadyExistsError as error:
                raise ConflictError("another one has just made the key for receipts") from error
            log.info("key for receipts generated", key=key.id)
        else:
            try:
                key = SigningKey.load(base64.b64decode((stored.get("data") or {}).get(KEY, "")))
            except (ReceiptError, ValueError) as error:
                message = (
                    f"Secret {self._namespace}/{names.SECRET_RECEIPTS}: {error}; restore it from a backup"
                )
                raise BlockedError("ReceiptKeyUnusable", message) from error
        await self._publish(key)
        return key

    async def _publish(self, key: SigningKey) -> None:
        """Add the public key to those that receipts are checked with; earlier ones stay."""
        entry, pem = f"{key.id}.pem", key.public_pem().decode()
        published = await self._cluster.get(CONFIG_MAP, names.RECEIPT_KEYS, self._namespace)
        if published is None:
            body = self._object("ConfigMap", names.RECEIPT_KEYS) | {"data": {entry: pem}}
            await self._cluster.create(CONFIG_MAP, body)
        elif (published.get("data") or {}).get(entry) != pem:
            await self._cluster.merge(CONFIG_MAP, names.RECEIPT_KEYS, self._namespace, {"data": {entry: pem}})

    def _object(self, kind: str, name: str) -> Object:
        metadata = {"name": name, "namespace": self._namespace, "labels": _LABELS}
        return {"apiVersion": "v1", "kind": kind, "metadata": metadata}
