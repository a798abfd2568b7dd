"""Where revisions are kept, which there are, and until when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from guestpost_operator import disuse
from guestpost_operator.api import names
from guestpost_operator.backends.cluster import Cluster
from guestpost_operator.backends.errors import AlreadyExistsError, NotFoundError
from guestpost_operator.backends.kinds import CONFIG_MAP, TENANT
from guestpost_operator.revision import Object, Revision, RevisionError, config_map_name, from_config_map

log = structlog.get_logger()


class Revisions:
    """The current revision and, as tenants need them, earlier ones.

    Args:
        cluster: where revisions are stored, as ConfigMaps.
        current: that of this program and its configuration.
        namespace: the operator's.
    """

    def __init__(self, cluster: Cluster, current: Revision, namespace: str) -> None:
        self.current = current
        self._cluster = cluster
        self._namespace = namespace
        self._loaded = {current.id: current}
        # Revision → version of the CRM in it, the oldest first.
        self._versions = {current.id: current.version}

    async def store(self) -> None:
        """Keep the current revision in the cluster, before any tenant names it, and learn of the others.

        Raises:
            BackendError: when it can't be stored, or the others can't be listed.
            RevisionError: when a ConfigMap of that name holds something else.
        """
        stored = await self._cluster.get(CONFIG_MAP, self.current.config_map, self._namespace)
        if stored is None:
            try:
                await self._cluster.create(CONFIG_MAP, self.current.to_config_map(self._namespace))
            except AlreadyExistsError:
                stored = await self._cluster.get(CONFIG_MAP, self.current.config_map, self._namespace)
        if stored is not None:
            from_config_map(stored)
        self._note(await self._list())

    async def tidy(self, bodies: Iterable[Mapping[str, Any]], keep: timedelta, now: datetime) -> None:
        """Remove what no tenant has needed for long, and learn which there are.

        Args:
            bodies: all tenants, as last read.
            keep: how long a revision is kept that nobody uses.
            now: the time.

        Raises:
            BackendError: when something could not be read or written.
        """
        stored = await self._list()
        self._note(stored)
        since = {each: _unused_since(metadata) for each, metadata in stored.items()}
        verdict = disuse.judge(since, self._needed(bodies), keep, now)
        if verdict.remove:
            # Rarely, and nothing brings it back: what was read before may be behind.
            verdict = disuse.judge(since, self._needed(await self._cluster.find(TENANT)), keep, now)
        for each in verdict.begin:
            await self._mark(each, now.strftime("%Y-%m-%dT%H:%M:%SZ"))
        for each in verdict.end:
            await self._mark(each, None)
        for each in verdict.remove:
            # Nobody is given it any more, also while it is being removed.
            self._versions.pop(each, None)
            self._loaded.pop(each, None)
            metadata = stored[each]
            await self._cluster.delete(
                CONFIG_MAP, metadata["name"], self._namespace, metadata["uid"], metadata["resourceVersion"]
            )
            log.info("revision removed", revision=each, unused_since=str(since[each]))

    def _needed(self, bodies: Iterable[Mapping[str, Any]]) -> set[str]:
        return {self.current.id} | disuse.used(bodies, self.newest())

    async def _mark(self, revision: str, since: str | None) -> None:
        """Write down since when a revision is not used; None takes it back."""
        patch = {"metadata": {"annotations": {names.ANNOTATION_UNUSED: since}}}
        try:
            await self._cluster.merge(CONFIG_MAP, config_map_name(revision), self._namespace, patch)
        except NotFoundError:
            # A person has removed it meanwhile.
            return

    async def _list(self) -> dict[str, Object]:
        """Metadata of what is stored, by revision, the oldest first."""
        stored = await self._cluster.find(CONFIG_MAP, self._namespace, names.LABEL_REVISION)
        stored.sort(key=lambda each: str(each["metadata"].get("creationTimestamp", "")))
        return {each["metadata"]["labels"][names.LABEL_REVISION]: each["metadata"] for each in stored}

    def _note(self, stored: Mapping[str, Object]) -> None:
        versions = {
            each: (metadata.get("annotations") or {}).get(names.ANNOTATION_VERSION, "")
            for each, metadata in stored.items()
        }
        self._versions = {**versions, self.current.id: self.current.version}

    def version(self, revision: str) -> str:
        """Version of the CRM in a revision; "" when the revision is not known."""
        return self._versions.get(revision, "")

    def newest(self) -> Mapping[str, str]:
        """Version → the newest revision that has it."""
        return {version: revision for revision, version in self._versions.items() if version}

    async def get(self, revision: str) -> Revision:
        """A revision by its id.

        Raises:
            BackendError: when it can't be read.
            RevisionError: when it is gone or was changed.
        """
        if revision not in self._loaded:
            name = config_map_name(revision)
            stored = await self._cluster.get(CONFIG_MAP, name, self._namespace)
            if stored is None:
                raise RevisionError(
                    f"ConfigMap {self._namespace}/{name}, which this tenant is rendered from, is gone; "
                    "restore it from a backup. Nothing of the tenant is changed until then."
                )
            self._loaded[revision] = from_config_map(stored)
        return self._loaded[revision]


def _unused_since(metadata: Object) -> datetime | None:
    text = (metadata.get("annotations") or {}).get(names.ANNOTATION_UNUSED)
    try:
        since = datetime.fromisoformat(text) if text else None
    except ValueError:
        since = None
    # What is not ours, or lacks a time zone, is written anew, and the time begins again.
    return since if since is not None and since.tzinfo is not None else None
