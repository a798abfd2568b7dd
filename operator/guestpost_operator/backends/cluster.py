"""The Kubernetes API, as far as the operator uses it: plain JSON objects, no model classes.

The HTTP session is the official client's (`kubernetes.aio`): it knows kubeconfigs, service account
tokens and their renewal. Its generated models cost memory and are not used.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol, Self
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_incluster_config, load_kube_config

from guestpost_operator import metrics
from guestpost_operator.api import names
from guestpost_operator.backends.errors import (
    AlreadyExistsError,
    BackendError,
    ConflictError,
    ExpiredError,
    InvalidError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from guestpost_operator.backends.fence import Fence
from guestpost_operator.backends.kinds import TENANT, Kind

Object = dict[str, Any]

PAGE = 250
USER_AGENT = "guestpost-operator"
_METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"


class Cluster(Protocol):
    """What lifecycles do to the cluster. Every method raises `BackendError` when it fails."""

    async def get(
        self, kind: Kind, name: str, namespace: str | None = None, *, whole: bool = False
    ) -> Object | None:
        """One object, None when absent; of a Secret the metadata only, unless the whole is asked for."""

    async def find(self, kind: Kind, namespace: str | None = None, selector: str = "") -> list[Object]:
        """All objects that match, page by page; of Secrets the metadata only."""

    async def create(self, kind: Kind, body: Object) -> Object:
        """Make a new object; raises `AlreadyExistsError` when the name is in use."""

    async def apply(self, kind: Kind, body: Object) -> Object:
        """Server-side apply with force: our fields win, others' stay."""

    async def take_over(self, kind: Kind, live: Object, managed_fields: list[Object]) -> None:
        """Rewrite an object's field ownership, if it has not changed since it was read."""

    async def merge(self, kind: Kind, name: str, namespace: str | None, patch: Object) -> Object:
        """Merge some fields into an object that is not ours as a whole."""

    async def delete(
        self, kind: Kind, name: str, namespace: str | None, uid: str | None, version: str | None = None
    ) -> bool:
        """Delete exactly this object. False when it (this uid, in this version) is not there any more."""

    async def write_status(self, tenant: str, uid: str, status: Object) -> Object:
        """Replace the named fields of a tenant's status; None removes a field."""

    async def merge_status(self, kind: Kind, name: str, namespace: str, uid: str, status: Object) -> Object:
        """The same for an object of another kind; `ConflictError` when another one has its name by now."""


class KubernetesCluster:
    """`Cluster` over the official client's HTTP session, with bounded writes and timeouts.

    Args:
        client: knows where the API server is and who we are.
        concurrency: requests at the same time, watches aside.
        timeout: seconds for one request.
        agent: what we call ourselves in the API server's audit log.
        fence: asked before each write; open by default.
    """

    def __init__(
        self,
        client: ApiClient,
        *,
        concurrency: int = 16,
        timeout: float = 30,
        agent: str = USER_AGENT,
        fence: Fence | None = None,
    ) -> None:
        self._client = client
        self._agent = agent
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=min(timeout, 10))
        self._slots = asyncio.Semaphore(concurrency)
        self._fence = fence or Fence.open()

    @classmethod
    async def connect(
        cls,
        *,
        concurrency: int = 16,
        timeout: float = 30,
        agent: str = USER_AGENT,
        fence: Fence | None = None,
    ) -> Self:
        """A client by KUBECONFIG, else by the pod's service account.

        Raises:
            kubernetes.aio.config.ConfigException: when there is neither.
        """
        configuration = Configuration()
        kubeconfig = os.environ.get("KUBECONFIG")
        if kubeconfig or not os.environ.get("KUBERNETES_SERVICE_HOST"):
            await load_kube_config(config_file=kubeconfig, client_configuration=configuration)
        else:
            load_incluster_config(client_configuration=configuration)
        # Requests are bounded by our own slots; watches hold a connection each.
        configuration.connection_pool_maxsize = 0
        configuration.client_session_kwargs = {"trust_env": False}
        client = ApiClient(configuration)
        return cls(client, concurrency=concurrency, timeout=timeout, agent=agent, fence=fence)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def get(
        self, kind: Kind, name: str, namespace: str | None = None, *, whole: bool = False
    ) -> Object | None:
        """One object, None when absent; of a Secret the metadata only, unless the whole is asked for."""
        accept = _METADATA_ONLY if kind.secret and not whole else None
        try:
            return await self.request("GET", kind.path(namespace, name), accept=accept)
        except NotFoundError:
            return None

    async def find(self, kind: Kind, namespace: str | None = None, selector: str = "") -> list[Object]:
        """All objects that match, page by page; of Secrets the metadata only."""
        return [item async for item in self.pages(kind, namespace, selector)]

    async def pages(
        self, kind: Kind, namespace: str | None = None, selector: str = "", version: list[str] | None = None
    ) -> AsyncIterator[Object]:
        """Objects as pages arrive; the list's resource version is appended to `version`."""
        query = {"limit": str(PAGE)} | ({"labelSelector": selector} if selector else {})
        while True:
            page = await self.request(
                "GET", kind.path(namespace), query=query, accept=_METADATA_LIST if kind.secret else None
            )
            for item in page.get("items") or ():
                item.setdefault("apiVersion", kind.api_version)
                item["kind"] = kind.name
                yield item
            token = page["metadata"].get("continue")
            if not token:
                if version is not None:
                    version.append(page["metadata"]["resourceVersion"])
                return
            query["continue"] = token

    async def create(self, kind: Kind, body: Object) -> Object:
        """Make a new object; raises `AlreadyExistsError` when the name is in use."""
        path = kind.path(body["metadata"].get("namespace"))
        return await self.request("POST", path, body, query={"fieldManager": names.FIELD_MANAGER})

    async def apply(self, kind: Kind, body: Object) -> Object:
        """Server-side apply with force: our fields win, others' stay."""
        metadata = body["metadata"]
        return await self.request(
            "PATCH",
            kind.path(metadata.get("namespace"), metadata["name"]),
            body,
            query={"fieldManager": names.FIELD_MANAGER, "force": "true"},
            content_type=_APPLY,
        )

    async def take_over(self, kind: Kind, live: Object, managed_fields: list[Object]) -> None:
        """Rewrite an object's field ownership, if it has not changed since it was read."""
        metadata = live["metadata"]
        patch = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
            {"op": "replace", "path": "/metadata/managedFields", "value": managed_fields},
        ]
        path = kind.path(metadata.get("namespace"), metadata["name"])
        await self.request("PATCH", path, patch, content_type=_JSON_PATCH)

    async def merge(self, kind: Kind, name: str, namespace: str | None, patch: Object) -> Object:
        """Merge some fields into an object that is not ours as a whole."""
        return await self.request("PATCH", kind.path(namespace, name), patch, content_type=_MERGE)

    async def delete(
        self, kind: Kind, name: str, namespace: str | None, uid: str | None, version: str | None = None
    ) -> bool:
        """Delete exactly this object. False when it (this uid, in this version) is not there any more."""
        options: Object = {"propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid} | ({"resourceVersion": version} if version else {})
        try:
            await self.request("DELETE", kind.path(namespace, name), options)
        except NotFoundError:
            return False
        except ConflictError:
            # With a uid it means that another object has the name by now, or that this one has changed.
            if uid is None:
                raise
            return False
        return True

    async def write_status(self, tenant: str, uid: str, status: Object) -> Object:
        """Replace the named fields of a tenant's status; None removes a field."""
        return await self._status(TENANT.path(name=tenant), uid, status)

    async def merge_status(self, kind: Kind, name: str, namespace: str, uid: str, status: Object) -> Object:
        """The same for an object of another kind; `ConflictError` when another one has its name by now."""
        return await self._status(kind.path(namespace, name), uid, status)

    async def _status(self, path: str, uid: str, status: Object) -> Object:
        body = {"metadata": {"uid": uid}, "status": status}
        return await self.request("PATCH", f"{path}/status", body, content_type=_MERGE)

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        accept: str | None = None,
    ) -> Object:
        """One request, in one of the slots, within the timeout.

        Raises:
            BackendError: by what the API server says, `UnavailableError` when it says nothing, or
                `NotLeaderError` before a write that this process may not make.
        """
        async with self._slots:
            timeout = self._timeout if method == "GET" else self._fenced()
            begin = time.perf_counter()
            code = "none"
            try:
                response = await self._open(method, path, body, query, content_type, accept, timeout)
                code = str(response.status)
                try:
                    data = await response.read()
                finally:
                    response.release()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise UnavailableError(f"Kubernetes API: {_describe(error)}") from error
            finally:
                metrics.API_REQUESTS.labels(method, code).inc()
                metrics.API_SECONDS.labels(method).observe(time.perf_counter() - begin)
        if response.status >= 400:
            raise _error(response.status, data, response.headers.get("Retry-After"))
        parsed: Object = json.loads(data) if data else {}
        return parsed

    def _fenced(self) -> aiohttp.ClientTimeout:
        """The timeout of a write that begins now: it is given up before another may hold the lease."""
        left = self._fence.pass_write()
        if left >= (self._timeout.total or 0):
            return self._timeout
        return aiohttp.ClientTimeout(total=left, sock_connect=self._timeout.sock_connect)

    async def watch(
        self, kind: Kind, selector: str, version: str, *, server_seconds: int, silence: float
    ) -> AsyncIterator[Object]:
        """Events of a kind since a resource version, until the server ends the watch.

        Args:
            kind: what to watch, in all namespaces.
            selector: label selector.
            version: where the list ended.
            server_seconds: after this the server ends the watch.
            silence: seconds without anything, bookmarks included, after which it counts as dead.

        Raises:
            ExpiredError: the version is too old: list again.
            UnavailableError: the connection broke or fell silent.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(server_seconds),
            "labelSelector": selector,
        }
        timeout = aiohttp.ClientTimeout(total=server_seconds + 10, sock_connect=30, sock_read=silence)
        accept = _METADATA_ONLY if kind.secret else None
        try:
            response = await self._open("GET", kind.path(), None, query, "application/json", accept, timeout)
            try:
                if response.status >= 400:
                    raise _error(response.status, await response.read(), None)
                async for line in response.content:
                    event: Object = json.loads(line)
                    if event["type"] == "ERROR":
                        raise _error(event["object"].get("code", 500), line, None)
                    yield event
            finally:
                response.close()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise UnavailableError(f"watch of {kind.plural}: {_describe(error)}") from error

    async def _open(
        self,
        method: str,
        path: str,
        body: Any,
        query: Mapping[str, str] | None,
        content_type: str,
        accept: str | None,
        timeout: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        headers = {
            "Accept": accept or "application/json",
            "Content-Type": content_type,
            "User-Agent": self._agent,
        }
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = self._client.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        answer = await self._client.rest_client.request(
            method, url, headers=headers, body=body, _request_timeout=timeout
        )
        response: aiohttp.ClientResponse = answer.response
        return response


def _describe(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _error(status: int, data: bytes, retry_after: str | None) -> BackendError:
    try:
        said = json.loads(data)
        said = said.get("object", said)
        message, reason = str(said.get("message", "")), str(said.get("reason", ""))
    except (ValueError, AttributeError):
        message, reason = data[:200].decode(errors="replace"), ""
    message = message or f"HTTP {status}"
    wait = float(retry_after) if retry_after and retry_after.isdigit() else None
    if status == 409:
        return (AlreadyExistsError if reason == "AlreadyExists" else ConflictError)(message, wait)
    kinds: dict[int, type[BackendError]] = {
        400: InvalidError, 401: RefusedError, 403: RefusedError, 404: NotFoundError, 405: InvalidError,
        410: ExpiredError, 415: InvalidError, 422: InvalidError,
    }  # fmt: skip
    # What a terminating namespace refuses is temporary.
    if status == 403 and "being terminated" in message:
        return ConflictError(message, wait)
    return kinds.get(status, UnavailableError)(f"{message} (HTTP {status})", wait)
