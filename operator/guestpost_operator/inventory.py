"""What the cluster holds of each tenant, as the watches tell it: names, uids and hashes, no content.

Ten thousand tenants have a quarter of a million objects, so what many share is in memory once.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from guestpost_operator import drift, readiness
from guestpost_operator.api import names
from guestpost_operator.readiness import Readiness


class Key(NamedTuple):
    """An owned object within its tenant: kind and name (a tenant has one namespace)."""

    kind: str
    name: str


@functools.lru_cache(4096)
def shared_key(kind: str, name: str) -> Key:
    """The key of an object; that of the Deployment `web` is in memory once for all tenants."""
    return Key(sys.intern(kind), sys.intern(name))


@dataclass(frozen=True, slots=True)
class Observed:
    """What is kept of one object.

    Attributes:
        digest: hash of its content, see `drift.content_hash`.
        version: its resource version as a number, to tell old news from new.
    """

    uid: str
    namespace: str | None
    digest: bytes
    version: int
    deleting: bool
    readiness: Readiness


class Inventory:
    """Owned objects by tenant uid. Fed by watches and by the answers to our own writes."""

    def __init__(self) -> None:
        self._tenants: dict[str, dict[Key, Observed]] = {}
        # Who has something there: by namespace, and of what is in none by kind and name.
        self._owners: dict[str, tuple[str, ...]] = {}

    def objects(self, tenant_uid: str) -> Mapping[Key, Observed]:
        """The objects of a tenant."""
        return self._tenants.get(tenant_uid, {})

    def observe(self, obj: Mapping[str, Any]) -> set[str]:
        """Take note of an object.

        Returns:
            uids of the tenants for which something changed; empty for old or unchanged news.
        """
        metadata = obj["metadata"]
        owner = (metadata.get("labels") or {}).get(names.LABEL_TENANT_UID)
        this, namespace = shared_key(obj["kind"], metadata["name"]), metadata.get("namespace")
        before = self._owner(this, namespace)
        changed: set[str] = set()
        if before is not None and before != owner:
            self._drop(this, namespace, before)
            changed.add(before)
        if owner is None:
            return changed
        old = self._tenants.get(owner, {}).get(this)
        version = version_of(metadata)
        if old is not None and old.version >= version:
            return changed
        new = Observed(
            uid=metadata["uid"],
            namespace=sys.intern(namespace) if namespace else None,
            digest=drift.content_hash(obj),
            version=version,
            deleting="deletionTimestamp" in metadata,
            readiness=readiness.of(obj),
        )
        self._put(sys.intern(owner), this, new)
        if old is None or (old.uid, old.digest, old.deleting, old.readiness) != (
            new.uid,
            new.digest,
            new.deleting,
            new.readiness,
        ):
            changed.add(owner)
        return changed

    def forget(self, obj: Mapping[str, Any]) -> set[str]:
        """Take note that an object is gone; news of an earlier object of that name are ignored."""
        metadata = obj["metadata"]
        this, namespace = shared_key(obj["kind"], metadata["name"]), metadata.get("namespace")
        owner = self._owner(this, namespace)
        if owner is None:
            return set()
        known = self._tenants[owner][this]
        if known.uid != metadata["uid"] or known.version > version_of(metadata):
            return set()
        self._drop(this, namespace, owner)
        return {owner}

    def keep_only(self, kind: str, seen: Iterable[tuple[str | None, str]], since: int) -> set[str]:
        """After a full list of a kind: what was not in it is gone, unless it is newer than the list.

        Args:
            kind: name of the kind that was listed.
            seen: namespace and name of each object in the list.
            since: the list's resource version.
        """
        present = set(seen)
        missing = [
            (owner, this, each)
            for owner, objects in self._tenants.items()
            for this, each in objects.items()
            if this.kind == kind and (each.namespace, this.name) not in present and each.version <= since
        ]
        for owner, this, each in missing:
            self._drop(this, each.namespace, owner)
        return {owner for owner, _, _ in missing}

    def deleted(self, tenant_uid: str, this: Key) -> None:
        """Take note that we have deleted an object ourselves, before the watch tells."""
        known = self._tenants.get(tenant_uid, {}).get(this)
        if known is not None:
            self._drop(this, known.namespace, tenant_uid)

    def forget_tenant(self, tenant_uid: str) -> None:
        """Drop everything about a tenant that is gone."""
        for this, each in list(self._tenants.get(tenant_uid, {}).items()):
            self._drop(this, each.namespace, tenant_uid)

    def _owner(self, this: Key, namespace: str | None) -> str | None:
        """Whose the object is that is known there."""
        for owner in self._owners.get(_space(this, namespace), ()):
            known = self._tenants[owner].get(this)
            if known is not None and known.namespace == namespace:
                return owner
        return None

    def _put(self, owner: str, this: Key, new: Observed) -> None:
        self._tenants.setdefault(owner, {})[this] = new
        space = _space(this, new.namespace)
        owners = self._owners.get(space, ())
        if owner not in owners:
            self._owners[space] = (*owners, owner)

    def _drop(self, this: Key, namespace: str | None, owner: str) -> None:
        objects, space = self._tenants[owner], _space(this, namespace)
        del objects[this]
        if not any(_space(other, each.namespace) == space for other, each in objects.items()):
            owners = tuple(each for each in self._owners[space] if each != owner)
            if owners:
                self._owners[space] = owners
            else:
                del self._owners[space]
        if not objects:
            del self._tenants[owner]


def _space(this: Key, namespace: str | None) -> str:
    return namespace or f"{this.kind}/{this.name}"


def version_of(metadata: Mapping[str, Any]) -> int:
    """The resource version as a number, to tell old news from new."""
    # Comparable as numbers since Kubernetes 1.35 (KEP-5504), and in practice always with etcd.
    text = str(metadata.get("resourceVersion", "0"))
    return int(text) if text.isdigit() else 0
