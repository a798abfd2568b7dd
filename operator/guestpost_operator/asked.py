"""What people ask for inside tenants' namespaces, as the watches tell it: whole objects, for they are few."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from guestpost_operator import status
from guestpost_operator.inventory import version_of
from guestpost_operator.revision import Object


class Asked:
    """Objects of our namespaced kinds, by kind and namespace; a change is told as the namespace's name."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str], dict[str, Object]] = {}

    def of(self, kind: str, namespace: str) -> list[Object]:
        """The objects of a kind in a namespace, the oldest first."""

        def age(body: Object) -> tuple[str, str]:
            return body["metadata"]["creationTimestamp"], body["metadata"]["name"]

        return sorted(self._objects.get((kind, namespace), {}).values(), key=age)

    def observe(self, obj: Mapping[str, Any]) -> set[str]:
        """Take note of an object; empty for old news."""
        metadata = obj["metadata"]
        there = self._objects.setdefault((obj["kind"], metadata["namespace"]), {})
        known = there.get(metadata["name"])
        if known is not None and version_of(known["metadata"]) >= version_of(metadata):
            return set()
        there[metadata["name"]] = dict(obj)
        return {metadata["namespace"]}

    def answered(self, obj: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
        """Take note of the answer to a status write of ours.

        Args:
            obj: the answer.
            changes: merge patch of the status that was written.

        Returns:
            Whether there is more than we wrote and knew: of that no watch tells, for it is old news by then.
        """
        metadata = obj["metadata"]
        known = self._objects.get((obj["kind"], metadata["namespace"]), {}).get(metadata["name"])
        self.observe(obj)
        if known is None:
            return True
        expected = status.merged(known.get("status") or {}, changes)
        found = obj.get("status") or {}
        return expected != found or known["metadata"].get("generation") != metadata.get("generation")

    def forget(self, obj: Mapping[str, Any]) -> set[str]:
        """Take note that an object is gone; news of an earlier object of that name are ignored."""
        metadata = obj["metadata"]
        place = (obj["kind"], metadata["namespace"])
        known = self._objects.get(place, {}).get(metadata["name"])
        if known is None or known["metadata"]["uid"] != metadata["uid"]:
            return set()
        self._drop(place, metadata["name"])
        return {metadata["namespace"]}

    def keep_only(self, kind: str, seen: Iterable[tuple[str | None, str]], since: int) -> set[str]:
        """After a full list of a kind: what was not in it is gone, unless it is newer than the list.

        Args:
            kind: name of the kind that was listed.
            seen: namespace and name of each object in the list.
            since: the list's resource version.
        """
        present = set(seen)
        changed: set[str] = set()
        for place in [each for each in self._objects if each[0] == kind]:
            for name, body in list(self._objects[place].items()):
                if (place[1], name) not in present and version_of(body["metadata"]) <= since:
                    self._drop(place, name)
                    changed.add(place[1])
        return changed

    def _drop(self, place: tuple[str, str], name: str) -> None:
        del self._objects[place][name]
        if not self._objects[place]:
            del self._objects[place]
