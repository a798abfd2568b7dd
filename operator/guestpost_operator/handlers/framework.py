"""kopf's settings; docs/decisions/kopf.md says why each is what it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import kopf

from guestpost_operator.api import names

SERVER_SECONDS, CLIENT_SECONDS, CONNECT_SECONDS, SILENCE_SECONDS = 300, 310, 30, 90


class NoDiffBase(kopf.DiffBaseStorage):
    """Keeps no last-handled configuration: reconciling is level-based and needs no difference.

    So kopf's only write to a running tenant is its finalizer, and no annotation can outgrow its limit.
    """

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        """What was handled is always what is."""
        return self.build(body=body)

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> kopf.BodyEssence:
        """Nothing is compared, so nothing is copied."""
        del body, extra_fields
        return kopf.BodyEssence(spec={})

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Nothing to keep."""


def configure(settings: kopf.OperatorSettings) -> None:
    """Set what has to differ from kopf's defaults."""
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.persistence.finalizer = names.FINALIZER
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=names.GROUP)
    settings.watching.server_timeout = SERVER_SECONDS
    settings.watching.client_timeout = CLIENT_SECONDS
    settings.watching.connect_timeout = CONNECT_SECONDS
    settings.watching.inactivity_timeout = SILENCE_SECONDS
    settings.watching.chunk_size = 250
    settings.networking.connect_timeout = CONNECT_SECONDS
    settings.networking.request_timeout = 60
    settings.queueing.worker_limit = None


def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """Credentials by KUBECONFIG, else by the pod's service account; kopf asks again when they expire."""
    return kopf.login_with_kubeconfig(**kwargs) or kopf.login_with_service_account(**kwargs)
