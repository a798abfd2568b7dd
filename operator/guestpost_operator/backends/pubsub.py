"""Google Cloud Pub/Sub: one topic, one subscription and their IAM per tenant.

Credentials are the environment's (Workload Identity in production); PUBSUB_EMULATOR_HOST takes the
stand-in or Google's emulator instead.
https://cloud.google.com/pubsub/docs/reference/rpc/google.pubsub.v1
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import grpc
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.protobuf import duration_pb2, field_mask_pb2
from google.pubsub_v1 import PublisherAsyncClient, SubscriberAsyncClient, types
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport

from guestpost_operator import metrics
from guestpost_operator.backends.errors import (
    AlreadyExistsError,
    BackendError,
    ConflictError,
    InvalidError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    UnsupportedError,
)
from guestpost_operator.backends.fence import Fence

EMULATOR_VARIABLE = "PUBSUB_EMULATOR_HOST"
ACK_DEADLINE_SECONDS = 60
# The least that Pub/Sub takes: https://cloud.google.com/pubsub/quotas#resource_limits
RETENTION_SECONDS = 600
TIMED_OUT = "DEADLINE_EXCEEDED"
# gRPC ends a call at its deadline; where it does not, this much later we do.
GRACE_SECONDS = 5

Policy = Mapping[str, frozenset[str]]
T = TypeVar("T")


@dataclass(frozen=True)
class Topic:
    """A topic as far as the operator sets it.

    Attributes:
        regions: where messages are stored and processed, wherever they are published.
        enforce_in_transit: whether publishing from other regions is refused. Gmail chooses for itself where
            it publishes from, so this would lose its notifications: docs/decisions/messaging.md.
        retained: whether messages are kept after they were acknowledged.
    """

    name: str
    labels: Mapping[str, str]
    regions: tuple[str, ...]
    enforce_in_transit: bool = False
    retained: bool = False


@dataclass(frozen=True)
class Subscription:
    """A pull subscription as far as the operator sets it."""

    name: str
    topic: str
    labels: Mapping[str, str]
    retention_seconds: int = RETENTION_SECONDS
    expires: bool = False
    dead_letters: bool = False
    pushes: bool = False


class Messaging(Protocol):
    """What lifecycles do to Pub/Sub. Every method raises `BackendError` when it fails."""

    async def get_topic(self, name: str) -> Topic | None:
        """The topic, None when absent."""

    async def create_topic(self, topic: Topic) -> None:
        """Make it; raises `AlreadyExistsError`."""

    async def update_topic(self, topic: Topic) -> None:
        """Set labels and regions, remove retention."""

    async def delete_topic(self, name: str) -> None:
        """Delete it; absent is success."""

    async def get_subscription(self, name: str) -> Subscription | None:
        """The subscription, None when absent."""

    async def create_subscription(self, subscription: Subscription) -> None:
        """Make it; raises `AlreadyExistsError`."""

    async def update_subscription(self, subscription: Subscription) -> None:
        """Set labels, retention, no expiry, no dead letters."""

    async def delete_subscription(self, name: str) -> None:
        """Delete it; absent is success."""

    async def get_policy(self, resource: str) -> Policy:
        """IAM bindings of a topic or subscription: role → members."""

    async def set_policy(self, resource: str, policy: Policy) -> None:
        """Replace the IAM bindings of a topic or subscription."""


class PubSub:
    """`Messaging` over Google's asynchronous clients, with bounded calls and timeouts.

    After a call that was not answered in time, calls for the same project fail at once for as long as
    a timeout; then one of them tries. So a project that hangs holds up the tenants of no other.

    Args:
        concurrency: calls at the same time.
        timeout: seconds for one call.
        fence: asked before each call that changes something; open by default.
    """

    def __init__(self, *, concurrency: int = 16, timeout: float = 30, fence: Fence | None = None) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._timeout = timeout
        self._fence = fence or Fence.open()
        self._silent_until: dict[str, float] = {}
        self._clients: tuple[PublisherAsyncClient, SubscriberAsyncClient] | None = None

    def _connect(self) -> tuple[PublisherAsyncClient, SubscriberAsyncClient]:
        # Late, so that missing credentials are a condition of tenants and not a crash at start.
        if self._clients is None:
            emulator = os.environ.get(EMULATOR_VARIABLE)
            if emulator:
                channel = grpc.aio.insecure_channel(emulator)
                self._clients = (
                    PublisherAsyncClient(transport=PublisherGrpcAsyncIOTransport(channel=channel)),
                    SubscriberAsyncClient(transport=SubscriberGrpcAsyncIOTransport(channel=channel)),
                )
            else:
                try:
                    self._clients = (PublisherAsyncClient(), SubscriberAsyncClient())
                except GoogleAuthError as error:
                    raise RefusedError(f"no Google credentials: {error}") from error
        return self._clients

    async def close(self) -> None:
        """Close the connections."""
        if self._clients is not None:
            for client in self._clients:
                transport: Any = client.transport
                await transport.close()

    async def get_topic(self, name: str) -> Topic | None:
        """The topic, None when absent."""
        try:
            found = await self._call(
                "GetTopic", name, lambda publisher, _: publisher.get_topic(topic=name, **self._options)
            )
        except NotFoundError:
            return None
        policy = found.message_storage_policy
        return Topic(
            name=found.name,
            labels=dict(found.labels),
            regions=tuple(policy.allowed_persistence_regions),
            enforce_in_transit=policy.enforce_in_transit,
            retained=bool(found.message_retention_duration),
        )

    async def create_topic(self, topic: Topic) -> None:
        """Make it; raises `AlreadyExistsError`."""
        request = _topic(topic)
        await self._call(
            "CreateTopic",
            topic.name,
            lambda publisher, _: publisher.create_topic(request=request, **self._options),
        )

    async def update_topic(self, topic: Topic) -> None:
        """Set labels and regions, remove retention."""
        mask = ["labels", "message_storage_policy", "message_retention_duration"]
        request = types.UpdateTopicRequest(
            topic=_topic(topic), update_mask=field_mask_pb2.FieldMask(paths=mask)
        )
        await self._call(
            "UpdateTopic",
            topic.name,
            lambda publisher, _: publisher.update_topic(request=request, **self._options),
        )

    async def delete_topic(self, name: str) -> None:
        """Delete it; absent is success."""
        try:
            await self._call(
                "DeleteTopic", name, lambda publisher, _: publisher.delete_topic(topic=name, **self._options)
            )
        except NotFoundError:
            return

    async def get_subscription(self, name: str) -> Subscription | None:
        """The subscription, None when absent."""
        try:
            found = await self._call(
                "GetSubscription",
                name,
                lambda _, subscriber: subscriber.get_subscription(subscription=name, **self._options),
            )
        except NotFoundError:
            return None
        return Subscription(
            name=found.name,
            topic=found.topic,
            labels=dict(found.labels),
            retention_seconds=int(found.message_retention_duration.total_seconds()),
            expires=bool(found.expiration_policy.ttl),
            dead_letters=bool(found.dead_letter_policy.dead_letter_topic),
            pushes=bool(found.push_config.push_endpoint),
        )

    async def create_subscription(self, subscription: Subscription) -> None:
        """Make it; raises `AlreadyExistsError`."""
        request = _subscription(subscription)
        await self._call(
            "CreateSubscription",
            subscription.name,
            lambda _, subscriber: subscriber.create_subscription(request=request, **self._options),
        )

    async def update_subscription(self, subscription: Subscription) -> None:
        """Set labels, retention, no expiry, no dead letters."""
        mask = [
            "labels",
            "message_retention_duration",
            "expiration_policy",
            "dead_letter_policy",
            "push_config",
        ]
        request = types.UpdateSubscriptionRequest(
            subscription=_subscription(subscription), update_mask=field_mask_pb2.FieldMask(paths=mask)
        )
        await self._call(
            "UpdateSubscription",
            subscription.name,
            lambda _, subscriber: subscriber.update_subscription(request=request, **self._options),
        )

    async def delete_subscription(self, name: str) -> None:
        """Delete it; absent is success."""
        try:
            await self._call(
                "DeleteSubscription",
                name,
                lambda _, subscriber: subscriber.delete_subscription(subscription=name, **self._options),
            )
        except NotFoundError:
            return

    async def get_policy(self, resource: str) -> Policy:
        """IAM bindings of a topic or subscription: role → members."""
        request = iam_policy_pb2.GetIamPolicyRequest(resource=resource)
        try:
            found = await self._call(
                "GetIamPolicy",
                resource,
                lambda publisher, _: publisher.get_iam_policy(request=request, **self._options),
            )
        except UnsupportedError:
            return self._without_iam()
        policy: dict[str, frozenset[str]] = {}
        for binding in found.bindings:
            # A condition narrows a binding: as it is none of ours, it must not count as one.
            role = (
                f"{binding.role} if {binding.condition.expression}"
                if binding.condition.expression
                else binding.role
            )
            policy[role] = policy.get(role, frozenset()) | frozenset(binding.members)
        return policy

    async def set_policy(self, resource: str, policy: Policy) -> None:
        """Replace the IAM bindings of a topic or subscription."""
        bindings = [
            policy_pb2.Binding(role=role, members=sorted(members)) for role, members in sorted(policy.items())
        ]
        request = iam_policy_pb2.SetIamPolicyRequest(
            resource=resource, policy=policy_pb2.Policy(bindings=bindings)
        )
        try:
            await self._call(
                "SetIamPolicy",
                resource,
                lambda publisher, _: publisher.set_iam_policy(request=request, **self._options),
            )
        except UnsupportedError:
            self._without_iam()

    def _without_iam(self) -> Policy:
        # Google's own emulator knows no IAM; the real service always does.
        if not os.environ.get(EMULATOR_VARIABLE):
            raise UnsupportedError("Pub/Sub: IAM is not supported")
        return {}

    @property
    def _options(self) -> dict[str, Any]:
        # No retries in the library: the tenant's own back-off repeats, and the condition says why.
        return {"timeout": self._timeout, "retry": None}

    async def _call(
        self,
        method: str,
        resource: str,
        call: Callable[[PublisherAsyncClient, SubscriberAsyncClient], Awaitable[T]],
    ) -> T:
        project = resource.split("/")[1]
        async with self._slots:
            self._fail_if_silent(project)
            patience = self._timeout + GRACE_SECONDS
            if not method.startswith("Get"):
                patience = min(patience, self._fence.pass_write())
            begin = time.perf_counter()
            code = "OK"
            try:
                clients = self._connect()
                async with asyncio.timeout(patience):
                    return await call(*clients)
            except (exceptions.GoogleAPICallError, GoogleAuthError, TimeoutError) as error:
                code = _code(error)
                raise _error(method, error) from error
            finally:
                self._heard(project, code)
                metrics.PUBSUB_REQUESTS.labels(method, code).inc()
                metrics.PUBSUB_SECONDS.labels(method).observe(time.perf_counter() - begin)

    def _fail_if_silent(self, project: str) -> None:
        until = self._silent_until.get(project)
        if until is None:
            return
        now = time.monotonic()
        if now < until:
            raise UnavailableError(f"Pub/Sub gave no answer in time for project {project} a moment ago")
        # This call tries; the others go on failing until it is known what became of it.
        self._silent_until[project] = now + self._timeout + GRACE_SECONDS

    def _heard(self, project: str, code: str) -> None:
        if code == TIMED_OUT:
            self._silent_until[project] = time.monotonic() + self._timeout
        else:
            self._silent_until.pop(project, None)


def _topic(topic: Topic) -> types.Topic:
    return types.Topic(
        name=topic.name,
        labels=dict(topic.labels),
        message_storage_policy=types.MessageStoragePolicy(
            allowed_persistence_regions=list(topic.regions), enforce_in_transit=topic.enforce_in_transit
        ),
    )


def _subscription(subscription: Subscription) -> types.Subscription:
    return types.Subscription(
        name=subscription.name,
        topic=subscription.topic,
        labels=dict(subscription.labels),
        ack_deadline_seconds=ACK_DEADLINE_SECONDS,
        retain_acked_messages=False,
        message_retention_duration=duration_pb2.Duration(seconds=subscription.retention_seconds),
        # A policy without a time to live: the subscription never expires.
        expiration_policy=types.ExpirationPolicy(),
    )


def _code(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return TIMED_OUT
    grpc_code = getattr(error, "grpc_status_code", None)
    return grpc_code.name if grpc_code is not None else "UNAVAILABLE"


def _error(method: str, error: Exception) -> BackendError:
    kinds: dict[str, type[BackendError]] = {
        "NOT_FOUND": NotFoundError,
        "ALREADY_EXISTS": AlreadyExistsError,
        "PERMISSION_DENIED": RefusedError,
        "UNAUTHENTICATED": RefusedError,
        "INVALID_ARGUMENT": InvalidError,
        "FAILED_PRECONDITION": InvalidError,
        "OUT_OF_RANGE": InvalidError,
        "UNIMPLEMENTED": UnsupportedError,
        "ABORTED": ConflictError,
    }
    text = getattr(error, "message", None) or str(error) or type(error).__name__
    return kinds.get(_code(error), UnavailableError)(f"Pub/Sub {method}: {text}")
