"""Keeps a tenant's topic, subscription and their IAM as promised (P2.2): its own, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from guestpost_operator.api import names
from guestpost_operator.api.tenant import Tenant
from guestpost_operator.backends.errors import AlreadyExistsError, ConflictError
from guestpost_operator.backends.pubsub import Messaging, Policy, Subscription, Topic
from guestpost_operator.lifecycle.memory import BlockedError
from guestpost_operator.settings import GoogleProject

log = structlog.get_logger()

PUBLISHER = "roles/pubsub.publisher"
SUBSCRIBER = "roles/pubsub.subscriber"


def labels(tenant: Tenant) -> dict[str, str]:
    """Labels of the topic and the subscription (Google allows neither dots nor slashes)."""
    return {"tenant": tenant.name, "tenant-uid": tenant.uid, "managed-by": names.FIELD_MANAGER}


def topic(tenant: Tenant) -> Topic:
    """The topic as wanted: its messages rest in the tenant's region only, and only until they are read."""
    project = tenant.spec.google_project
    return Topic(
        name=names.topic(project, tenant.name, tenant.uid),
        labels=labels(tenant),
        regions=(tenant.spec.region,),
    )


def subscription(tenant: Tenant) -> Subscription:
    """The subscription as wanted: pulled, never expiring, least retention, no dead letters."""
    project = tenant.spec.google_project
    return Subscription(
        name=names.subscription(project, tenant.name, tenant.uid),
        topic=names.topic(project, tenant.name, tenant.uid),
        labels=labels(tenant),
    )


def topic_policy(project: GoogleProject) -> Policy:
    """Only Gmail publishes.

    https://developers.google.com/workspace/gmail/api/guides/push
    """
    return {PUBLISHER: frozenset({f"serviceAccount:{project.gmail_push_account}"})}


def subscription_policy(tenant: Tenant, project: GoogleProject) -> Policy:
    """Only this tenant's sync reads.

    https://cloud.google.com/iam/docs/principal-identifiers (a Kubernetes service account of a pool)
    """
    if not project.workload_identity_pool:
        return {}
    member = names.principal(project.number, project.workload_identity_pool, tenant.namespace, "sync")
    return {SUBSCRIBER: frozenset({member})}


class MessagingKeeper:
    """Makes what is missing, corrects what differs, adopts nothing."""

    def __init__(self, messaging: Messaging) -> None:
        self._messaging = messaging

    async def keep(self, tenant: Tenant, project: GoogleProject, *, fresh: bool) -> None:
        """Make Pub/Sub as wanted.

        Args:
            tenant: whose.
            project: its Google project.
            fresh: nothing was made yet as far as is known, so try to create before reading.

        Raises:
            BlockedError: when topic or subscription belong to something else.
            BackendError: when Pub/Sub does not answer as needed.
        """
        made = await self._topic(topic(tenant), fresh=fresh)
        await asyncio.gather(
            self._policy(topic(tenant).name, topic_policy(project), fresh=made),
            self._subscribe(tenant, project, fresh=fresh),
        )

    async def _topic(self, wanted: Topic, *, fresh: bool) -> bool:
        """Whether it was made just now."""
        found = None if fresh else await self._messaging.get_topic(wanted.name)
        if found is None:
            try:
                await self._messaging.create_topic(wanted)
            except AlreadyExistsError:
                found = await self._messaging.get_topic(wanted.name)
                if found is None:
                    raise ConflictError(f"{wanted.name} appeared and went away again") from None
            else:
                log.info("topic created", topic=wanted.name)
                return True
        _check_owner(wanted.name, found.labels, wanted.labels)
        if found != wanted:
            await self._messaging.update_topic(wanted)
            log.info("topic corrected", topic=wanted.name)
        return False

    async def _subscribe(self, tenant: Tenant, project: GoogleProject, *, fresh: bool) -> None:
        wanted = subscription(tenant)
        made = await self._subscription(wanted, fresh=fresh)
        await self._policy(wanted.name, subscription_policy(tenant, project), fresh=made)

    async def _subscription(self, wanted: Subscription, *, fresh: bool) -> bool:
        """Whether it was made just now."""
        found = None if fresh else await self._messaging.get_subscription(wanted.name)
        if found is None:
            try:
                await self._messaging.create_subscription(wanted)
            except AlreadyExistsError:
                found = await self._messaging.get_subscription(wanted.name)
                if found is None:
                    raise ConflictError(f"{wanted.name} appeared and went away again") from None
            else:
                log.info("subscription created", subscription=wanted.name)
                return True
        _check_owner(wanted.name, found.labels, wanted.labels)
        if found.topic != wanted.topic:
            # Its topic was deleted (`_deleted-topic_`): it hears nothing, also when the topic is made again.
            log.info("subscription made again", subscription=wanted.name, was_on=found.topic)
            await self._messaging.delete_subscription(wanted.name)
            await self._messaging.create_subscription(wanted)
            return True
        if found != wanted:
            await self._messaging.update_subscription(wanted)
            log.info("subscription corrected", subscription=wanted.name)
        return False

    async def _policy(self, resource: str, wanted: Policy, *, fresh: bool) -> None:
        """Exactly these bindings: one more reader would break the promise."""
        if fresh and not wanted:
            return
        if not fresh and await self._messaging.get_policy(resource) == wanted:
            return
        await self._messaging.set_policy(resource, wanted)


def _check_owner(name: str, found: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    owner = found.get("tenant-uid")
    if owner != wanted["tenant-uid"]:
        whose = f"belongs to the tenant with uid {owner}" if owner else "carries no tenant's uid"
        raise BlockedError(
            "MessagingTaken",
            f"{name} exists already and {whose}; it is not adopted. Remove it if nothing needs it.",
        )
