"""kopf's settings; docs/decisions/kopf.md says why each is what it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import aiohttp
import kopf

from guestpost_operator.api import names
from guestpost_operator.backends.fence import Fence

SERVER_SECONDS, CLIENT_SECONDS, CONNECT_SECONDS, SILENCE_SECONDS = 300, 310, 30, 90
IDLE_SECONDS, EXIT_SECONDS = 0.5, 0.1
# kopf's own, its watch included: TLS takes a quarter of a MiB for each.
CONNECTIONS = 16


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


class NoProgress(kopf.ProgressStorage):
    """Keeps no progress of handlers: the only one that has any tries again by itself until it is through.

    So all that kopf writes is bound to the version of the object that it was made for. A note in an
    annotation is not: after an erasure it would hit a new tenant of that name, whose finalizer would go next.
    """

    def fetch(self, *, key: str, body: kopf.Body) -> None:
        """Nothing was begun before."""
        del key, body

    def store(self, *, key: str, record: object, body: kopf.Body, patch: kopf.Patch) -> None:
        """Nothing to keep."""

    def purge(self, *, key: str, body: kopf.Body, patch: kopf.Patch) -> None:
        """Nothing was kept."""

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None:
        """Nobody waits for a change."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        """Nothing was kept."""
        return essence


def configure(settings: kopf.OperatorSettings) -> None:
    """Set what has to differ from kopf's defaults."""
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.persistence.finalizer = names.FINALIZER
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = NoProgress()
    settings.watching.server_timeout = SERVER_SECONDS
    settings.watching.client_timeout = CLIENT_SECONDS
    settings.watching.connect_timeout = CONNECT_SECONDS
    settings.watching.inactivity_timeout = SILENCE_SECONDS
    settings.watching.chunk_size = 250
    settings.networking.connect_timeout = CONNECT_SECONDS
    settings.networking.request_timeout = 60
    settings.queueing.worker_limit = None
    # A worker that idles holds its tenant's last event; at a start there is one for each tenant.
    settings.queueing.idle_timeout = IDLE_SECONDS
    # An erasure that is under way is gone on with by the next operator, which waits for this one to end.
    settings.queueing.exit_timeout = EXIT_SECONDS


def login(fence: Fence) -> Callable[..., Awaitable[kopf.AiohttpSession | None]]:
    """Credentials by KUBECONFIG, else by the pod's service account; kopf asks again when they expire.

    Args:
        fence: asked before each of kopf's own writes, as before each of ours.
    """

    async def pass_fence(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if request.method != "GET":
            fence.pass_write()
        return await handler(request)

    async def fenced(**kwargs: Any) -> kopf.AiohttpSession | None:
        found = kopf.login_with_kubeconfig(**kwargs) or kopf.login_with_service_account(**kwargs)
        if found is None:
            return None
        session = aiohttp.ClientSession(
            # Of a thousand tenants that come at once each gets a finalizer: not a thousand connections.
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=found.as_ssl_context()),
            headers=found.as_http_headers(),
            middlewares=(pass_fence,),
        )
        return kopf.AiohttpSession(
            server=found.server,
            default_namespace=found.default_namespace,
            expiration=found.expiration,
            aiohttp_session=session,
        )

    return fenced
