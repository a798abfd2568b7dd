"""The Kubernetes API, asked as one person."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from guestpost_dashboard.backends import errors
from guestpost_dashboard.backends.kinds import Kind

Object = dict[str, Any]
PAGE = 500
# Who a field belongs to that the dashboard applied, in metadata.managedFields.
MANAGER = "guestpost-dashboard"
_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io, application/json"


@dataclass(frozen=True)
class Page:
    """Some of a collection.

    Attributes:
        items: the objects, without their kind.
        following: the token that the next page is asked for with; empty on the last.
        version: resource version of the collection, to watch from.
    """

    items: list[Object]
    following: str
    version: str


@dataclass(frozen=True)
class Table:
    """A collection as kubectl would print it: the API server knows what matters of each kind."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Api(Protocol):
    """What pages ask of the API server; every call may raise ApiError (backends/errors.py)."""

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Object:
        """An object."""

    async def page(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        limit: int = PAGE,
        following: str = "",
    ) -> Page:
        """One page of a collection; see Page.following."""

    def find(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "", limit: int = PAGE
    ) -> AsyncIterator[Object]:
        """Every object of a collection, asked for page by page."""

    async def table(self, kind: Kind, namespace: str = "", *, labels: str = "", limit: int = 100) -> Table:
        """A collection as kubectl would print it, its first `limit` objects."""

    async def create(
        self, kind: Kind, body: Mapping[str, Any], namespace: str = "", *, dry_run: bool = False
    ) -> Object:
        """Make an object; unknown fields are refused."""

    async def apply(
        self,
        kind: Kind,
        body: Mapping[str, Any],
        namespace: str = "",
        *,
        manager: str = MANAGER,
        force: bool = False,
        dry_run: bool = False,
    ) -> Object:
        """Server-side apply: ConflictError names whose fields would be taken, unless `force`."""

    async def replace(
        self, kind: Kind, body: Mapping[str, Any], namespace: str = "", *, dry_run: bool = False
    ) -> Object:
        """Write an object as a whole; with its resourceVersion, ConflictError when it has changed since."""

    async def patch(
        self, kind: Kind, name: str, changes: Mapping[str, Any], namespace: str = "", *, dry_run: bool = False
    ) -> Object:
        """Change fields (JSON merge patch); with a resourceVersion, ConflictError when it has changed."""

    async def delete(
        self, kind: Kind, name: str, namespace: str = "", *, uid: str = "", dry_run: bool = False
    ) -> Object:
        """Delete an object; with `uid`, only that very one."""

    async def may(
        self, verb: str, kind: Kind, namespace: str = "", name: str = "", subresource: str = ""
    ) -> bool:
        """Whether the person may (SelfSubjectAccessReview)."""

    async def document(self, path: str) -> Object:
        """A JSON document that anybody who is signed in may read, such as /openapi/v3/apis/GROUP/VERSION."""

    async def who(self) -> tuple[str, tuple[str, ...]]:
        """Name and groups as the API server knows them (SelfSubjectReview)."""


class KubernetesApi:
    """`Api` over HTTP.

    Args:
        http: knows address and trust; shared by all.
        headers: that say who asks: a bearer token, or the dashboard's own and impersonation.
    """

    def __init__(self, http: httpx.AsyncClient, headers: Sequence[tuple[str, str]]) -> None:
        self._http = http
        # Names of people need not be ASCII; the API server reads UTF-8.
        self._headers = [(name.encode(), value.encode()) for name, value in headers]

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Object:
        """See Api.get."""
        return await self._ask("GET", kind.path(namespace, name))

    async def page(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        limit: int = PAGE,
        following: str = "",
    ) -> Page:
        """See Api.page."""
        query = {"labelSelector": labels, "fieldSelector": fields, "limit": str(limit), "continue": following}
        found = await self._ask("GET", kind.path(namespace), {k: v for k, v in query.items() if v})
        metadata = found["metadata"]
        return Page(found["items"], metadata.get("continue") or "", metadata.get("resourceVersion") or "")

    async def find(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "", limit: int = PAGE
    ) -> AsyncIterator[Object]:
        """See Api.find."""
        following = ""
        while True:
            page = await self.page(
                kind, namespace, labels=labels, fields=fields, limit=limit, following=following
            )
            for each in page.items:
                yield each
            if not (following := page.following):
                return

    async def table(self, kind: Kind, namespace: str = "", *, labels: str = "", limit: int = 100) -> Table:
        """See Api.table."""
        query = {
            "limit": str(limit),
            "includeObject": "None",
            **({"labelSelector": labels} if labels else {}),
        }
        found = await self._ask("GET", kind.path(namespace), query, accept=_TABLE)
        shown = [
            (place, each["name"])
            for place, each in enumerate(found["columnDefinitions"])
            if not each.get("priority")
        ]
        rows = tuple(
            tuple("" if row["cells"][place] is None else str(row["cells"][place]) for place, _ in shown)
            for row in found.get("rows") or ()
        )
        return Table(tuple(name for _, name in shown), rows)

    async def create(
        self, kind: Kind, body: Mapping[str, Any], namespace: str = "", *, dry_run: bool = False
    ) -> Object:
        """See Api.create."""
        query = {"fieldValidation": "Strict", "fieldManager": MANAGER, **_dry(dry_run)}
        return await self._ask("POST", kind.path(namespace), query, body)

    async def apply(
        self,
        kind: Kind,
        body: Mapping[str, Any],
        namespace: str = "",
        *,
        manager: str = MANAGER,
        force: bool = False,
        dry_run: bool = False,
    ) -> Object:
        """See Api.apply."""
        query = {
            "fieldManager": manager,
            "fieldValidation": "Strict",
            "force": "true" if force else "false",
            **_dry(dry_run),
        }
        path = kind.path(namespace, str(body["metadata"]["name"]))
        # JSON is YAML.
        return await self._ask("PATCH", path, query, body, media="application/apply-patch+yaml")

    async def replace(
        self, kind: Kind, body: Mapping[str, Any], namespace: str = "", *, dry_run: bool = False
    ) -> Object:
        """See Api.replace."""
        query = {"fieldValidation": "Strict", "fieldManager": MANAGER, **_dry(dry_run)}
        return await self._ask("PUT", kind.path(namespace, str(body["metadata"]["name"])), query, body)

    async def patch(
        self, kind: Kind, name: str, changes: Mapping[str, Any], namespace: str = "", *, dry_run: bool = False
    ) -> Object:
        """See Api.patch."""
        query = {"fieldValidation": "Strict", "fieldManager": MANAGER, **_dry(dry_run)}
        path = kind.path(namespace, name)
        return await self._ask("PATCH", path, query, changes, media="application/merge-patch+json")

    async def delete(
        self, kind: Kind, name: str, namespace: str = "", *, uid: str = "", dry_run: bool = False
    ) -> Object:
        """See Api.delete."""
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid:
            options["preconditions"] = {"uid": uid}
        return await self._ask("DELETE", kind.path(namespace, name), _dry(dry_run), options)

    async def may(
        self, verb: str, kind: Kind, namespace: str = "", name: str = "", subresource: str = ""
    ) -> bool:
        """See Api.may."""
        attributes = {
            "verb": verb,
            "group": kind.group,
            "resource": kind.plural,
            "subresource": subresource,
            "namespace": namespace,
            "name": name,
        }
        answer = await self._ask(
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            body={
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
            },
        )
        return bool(answer["status"]["allowed"])

    async def document(self, path: str) -> Object:
        """See Api.document."""
        return await self._ask("GET", path)

    async def who(self) -> tuple[str, tuple[str, ...]]:
        """See Api.who."""
        answer = await self._ask(
            "POST",
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            body={"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
        )
        info = answer["status"]["userInfo"]
        return str(info["username"]), tuple(info.get("groups") or ())

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        media: str = "application/json",
        accept: str = "application/json",
    ) -> Object:
        headers = [*self._headers, (b"Accept", accept.encode())]
        content = None
        if body is not None:
            headers.append((b"Content-Type", media.encode()))
            content = json.dumps(body).encode()
        try:
            answer = await self._http.request(method, path, params=query, content=content, headers=headers)
        except httpx.HTTPError as error:
            raise errors.AwayError from error
        if answer.status_code >= 400:
            raise errors.from_answer(
                answer.status_code, answer.content, answer.headers.get("retry-after", "")
            )
        try:
            found = json.loads(answer.content)
        except ValueError as error:
            raise errors.AwayError("What answers in the API server's place is not the API server.") from error
        if not isinstance(found, dict):
            raise errors.AwayError("What answers in the API server's place is not the API server.")
        return found


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}
