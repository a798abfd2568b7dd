"""The Kubernetes API as the broker needs it: who asks, which tenant that is, and mailbox claims.

Rights: tokenreviews create; guestposttenants get; mailboxclaims get, create, delete.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar, cast

import aiohttp
from kubernetes.aio import client

from guestpost_broker.errors import kubernetes_unavailable

AUDIENCE = "guestpost-broker"
GROUP, VERSION = "guestpostcrm.com", "v1alpha1"
T = TypeVar("T")


@dataclass(frozen=True)
class Tenant:
    """What the broker reads of a GuestPostTenant.

    Attributes:
        url: address of its CRM, empty while there is none.
        namespace: of its pods, empty while there is none.
        deleting: whether it is being deleted.
    """

    name: str
    uid: str
    project: str
    url: str
    namespace: str
    deleting: bool


@dataclass(frozen=True)
class Claim:
    """A mailbox claim: its name, whose it is, and the object's uid."""

    name: str
    tenant_name: str
    tenant_uid: str
    uid: str = ""


class Kubernetes(Protocol):
    """What the broker asks of Kubernetes; every call may raise BrokerError temporarily_unavailable."""

    async def review(self, token: str) -> str | None:
        """The user name that a service account token proves, None when it proves nothing."""

    async def tenant(self, name: str) -> Tenant | None:
        """A tenant by name."""

    async def create_claim(self, claim: Claim) -> Claim | None:
        """Make a claim and give it with its uid; None when there is one of this name already."""

    async def claim(self, name: str) -> Claim | None:
        """A claim by name."""

    async def delete_claim(self, claim: Claim) -> None:
        """Remove a claim, if it is still this very object."""


class ApiKubernetes:
    """Kubernetes through its API server."""

    def __init__(self, api: client.ApiClient) -> None:
        self._authentication = client.AuthenticationV1Api(api)
        self._objects = client.CustomObjectsApi(api)

    async def review(self, token: str) -> str | None:
        """See Kubernetes.review."""
        spec = client.V1TokenReviewSpec(token=token, audiences=[AUDIENCE])
        body = client.V1TokenReview(spec=spec)
        answer = await _ask(self._authentication.create_token_review(body=body, _request_timeout=5))
        status = answer.status
        if status is None or not status.authenticated or AUDIENCE not in (status.audiences or []):
            return None
        return str(status.user.username) if status.user else None

    async def tenant(self, name: str) -> Tenant | None:
        """See Kubernetes.tenant."""
        found = await self._get("guestposttenants", name)
        if found is None:
            return None
        status = found.get("status") or {}
        return Tenant(
            name=name,
            uid=found["metadata"]["uid"],
            project=found["spec"]["googleProject"],
            url=(status.get("app") or {}).get("url", ""),
            namespace=(status.get("namespace") or {}).get("name", ""),
            deleting="deletionTimestamp" in found["metadata"],
        )

    async def create_claim(self, claim: Claim) -> Claim | None:
        """See Kubernetes.create_claim."""
        owner = {"name": claim.tenant_name, "uid": claim.tenant_uid}
        labels = {
            "app.kubernetes.io/managed-by": "guestpost-broker",
            "app.kubernetes.io/part-of": "guestpost",
            f"{GROUP}/tenant": claim.tenant_name,
            f"{GROUP}/tenant-uid": claim.tenant_uid,
        }
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "MailboxClaim",
            "metadata": {"name": claim.name, "labels": labels},
            "spec": {"tenant": owner},
        }
        try:
            made: Any = await _ask(
                self._objects.create_cluster_custom_object(
                    GROUP, VERSION, "mailboxclaims", body, _request_timeout=5
                )
            )
        except client.ApiException as error:
            if error.status == 409:
                return None
            raise
        return replace(claim, uid=made["metadata"]["uid"])

    async def claim(self, name: str) -> Claim | None:
        """See Kubernetes.claim."""
        found = await self._get("mailboxclaims", name)
        if found is None:
            return None
        tenant = found["spec"]["tenant"]
        return Claim(name, tenant["name"], tenant["uid"], found["metadata"]["uid"])

    async def delete_claim(self, claim: Claim) -> None:
        """See Kubernetes.delete_claim."""
        options = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=claim.uid))
        try:
            await _ask(
                self._objects.delete_cluster_custom_object(
                    GROUP, VERSION, "mailboxclaims", claim.name, body=options, _request_timeout=5
                )
            )
        except client.ApiException as error:
            if error.status not in (404, 409):
                raise

    async def _get(self, plural: str, name: str) -> Mapping[str, Any] | None:
        try:
            found = await _ask(
                self._objects.get_cluster_custom_object(GROUP, VERSION, plural, name, _request_timeout=5)
            )
        except client.ApiException as error:
            if error.status == 404:
                return None
            raise
        return cast(Mapping[str, Any], found)


async def _ask(call: Awaitable[T]) -> T:
    """Wait for an answer; what is not an answer becomes temporarily_unavailable."""
    try:
        return await call
    except client.ApiException as error:
        if error.status in (404, 409):
            raise
        raise kubernetes_unavailable() from error
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        raise kubernetes_unavailable() from error
