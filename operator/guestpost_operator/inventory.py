"""What the cluster holds of each tenant, as the watches tell it: names, uids and hashes, no content."""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class Observed:
    """What is kept of one object.

    Attributes:
        digest: hash of its content, see `drift.content_hash`.
        version: its resource version as a number, to tell old news from new.
    """

    uid: str
    namespace: str | None
    digest: str
    version: int
    deleting: bool
    readiness: Readiness


class Inventory:
    """Owned objects by tenant uid. Fed by watches and by the answers to our own writes."""

    def __init__(self) -> None:
        self._tenants: dict[str, dict[Key, Observed]] = {}
        self._places: dict[tuple[str, str | None, str], str] = {}

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
        place = (obj["kind"], metadata.get("namespace"), metadata["name"])
        before = self._places.get(place)
        changed: set[str] = set()
        if before is not None and before != owner:
            self._drop(place, before)
            changed.add(before)
        if owner is None:
            return changed
        key = Key(obj["kind"], metadata["name"])
        old = self._tenants.get(owner, {}).get(key)
        version = _version(metadata)
        if old is not None and old.version >= version:
            return changed
        new = Observed(
            uid=metadata["uid"],
            namespace=metadata.get("namespace"),
            digest=drift.content_hash(obj),
            version=version,
            deleting="deletionTimestamp" in metadata,
            readiness=readiness.of(obj),
        )
        self._tenants.setdefault(owner, {})[key] = new
        self._places[place] = owner
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
        place = (obj["kind"], metadata.get("namespace"), metadata["name"])
        owner = self._places.get(place)
        if owner is None:
            return set()
        known = self._tenants[owner][Key(obj["kind"], metadata["name"])]
        if known.uid != metadata["uid"] or known.version > _version(metadata):
            return set()
        self._drop(place, owner)
        return {owner}

    def keep_only(self, kind: str, seen: Iterable[tuple[str | None, str]], since: int) -> set[str]:
        """After a full list of a kind: what was not in it is gone, unless it is newer than the list.

        Args:
            kind: name of the kind that was listed.
            seen: namespace and name of each object in the list.
            since: the list's resource version.
        """
        present = set(seen)
        changed: set[str] = set()
        for place, owner in list(self._places.items()):
            if place[0] != kind or place[1:] in present:
                continue
            if self._tenants[owner][Key(kind, place[2])].version <= since:
                self._drop(place, owner)
                changed.add(owner)
        return changed

    def deleted(self, tenant_uid: str, key: Key) -> None:
        """Take note that we have deleted an object ourselves, before the watch tells."""
        known = self._tenants.get(tenant_uid, {}).get(key)
        if known is not None:
            self._drop((key.kind, known.namespace, key.name), tenant_uid)

    def forget_tenant(self, tenant_uid: str) -> None:
        """Drop everything about a tenant that is gone."""
        for key, each in self._tenants.pop(tenant_uid, {}).items():
            self._places.pop((key.kind, each.namespace, key.name), None)

    def _drop(self, place: tuple[str, str | None, str], owner: str) -> None:
        del self._places[place]
        objects = self._tenants[owner]
        del objects[Key(place[0], place[2])]
        if not objects:
            del self._tenants[owner]


def _version(metadata: Mapping[str, Any]) -> int:
    # Comparable as numbers since Kubernetes 1.35 (KEP-5504), and in practice always with etcd.
    text = str(metadata.get("resourceVersion", "0"))
    return int(text) if text.isdigit() else 0
