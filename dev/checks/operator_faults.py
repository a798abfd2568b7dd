"""The operator's clients of the API server and of Pub/Sub, as tests need them: watched, or misbehaving."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from guestpost_operator.backends.cluster import KubernetesCluster
from guestpost_operator.backends.pubsub import PubSub


class Calls(Protocol):
    """Is told of every call that leaves the operator, and makes it."""

    async def made(self, what: str, writes: bool, act: Callable[[], Awaitable[Any]]) -> Any:
        """Make a call, or not."""


class AfterError(Exception):
    """The request is carried out, its answer is lost."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class FaultyCluster(KubernetesCluster):
    """The real client, told when to misbehave.

    `fault(method, path)` is asked before each request: an exception is raised instead of the
    request; the exception wrapped by `AfterError` is raised although the request was carried out.
    """

    fault: Callable[[str, str], Exception | None] = staticmethod(lambda method, path: None)

    calls: Calls | None = None

    async def request(self, method: str, path: str, *args: Any, **options: Any) -> Any:
        """One request, or what was told instead."""
        error = self.fault(method, path)
        if isinstance(error, AfterError):
            await super().request(method, path, *args, **options)
            raise error.error
        if error is not None:
            raise error
        if self.calls is None:
            return await super().request(method, path, *args, **options)
        return await self.calls.made(
            f"{method} {path}",
            method != "GET",
            lambda: super(FaultyCluster, self).request(method, path, *args, **options),
        )


class FaultyPubSub(PubSub):
    """The real client, whose calls are watched."""

    calls: Calls | None = None

    async def _call(self, method: str, resource: str, call: Any) -> Any:
        if self.calls is None:
            return await super()._call(method, resource, call)
        return await self.calls.made(
            f"{method} {resource}",
            not method.startswith("Get"),
            lambda: super(FaultyPubSub, self)._call(method, resource, call),
        )
