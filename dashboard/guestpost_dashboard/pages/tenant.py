"""One tenant, asked for as the person who looks: what they may not see is said, not shown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from guestpost_dashboard import about
from guestpost_dashboard.backends import kinds
from guestpost_dashboard.backends.api import Api, Object, Table
from guestpost_dashboard.backends.errors import ApiError, AwayError, ForbiddenError, GoneError, TokenError
from guestpost_dashboard.backends.kinds import Kind
from guestpost_dashboard.pages import rendering, rights

# Shown of each kind, the newest; read of it, for the API server has them by name.
MOST, READ = 100, 2000
T = TypeVar("T")


async def show(request: Request) -> Response:
    """Everything about a tenant; htmx takes of it what is live."""
    api, name = rendering.api(request), request.path_params["name"]
    tenant = await api.get(kinds.TENANT, name)
    namespace = ((tenant.get("status") or {}).get("namespace") or {}).get("name", "")
    parts: dict[str, Any] = {}
    may_withdraw = False
    if namespace:
        asked = rights.may(request, "delete", kinds.GRANT, namespace)
        parts, may_withdraw = await asyncio.gather(_parts(api, tenant, namespace), asked)
    return rendering.page(
        request,
        "tenant.html",
        tenant=tenant,
        namespace=namespace,
        about=about.tenant(tenant, rendering.settings(request).runbooks),
        parts=parts,
        may_withdraw=may_withdraw,
        most=MOST,
    )


async def as_yaml(request: Request) -> Response:
    """The object as a file."""
    tenant = await rendering.api(request).get(kinds.TENANT, request.path_params["name"])
    name = f'attachment; filename="{request.path_params["name"]}.yaml"'
    text = about.as_yaml(tenant)
    return Response(text, media_type="application/yaml", headers={"Content-Disposition": name})


async def _parts(api: Api, tenant: Object, namespace: str) -> dict[str, Any]:
    """What belongs to a tenant, all asked for at once; for each an answer or why there is none."""
    label = f"{kinds.LABEL_UID}={tenant['metadata']['uid']}"
    listed = (kinds.EXPORT, kinds.GRANT, kinds.REQUEST)
    answers = await asyncio.gather(
        *(_said(_items(api, kind, namespace)) for kind in listed),
        _said(_events(api, tenant, namespace)),
        _said(api.get(kinds.USAGE, kinds.USAGE_NAME, namespace)),
        *(_said(_table(api, kind, namespace, label)) for kind in kinds.MADE_OF),
    )
    exports, grants, requests, events, usage, *tables = answers
    made_of = [(kind, each) for kind, each in zip(kinds.MADE_OF, tables, strict=True) if each is not None]
    return {
        "exports": exports,
        "grants": grants,
        "requests": requests,
        "events": events,
        "usage": about.usage(usage) if isinstance(usage, dict) else usage,
        "made_of": [(kind, each) for kind, each in made_of if not isinstance(each, ForbiddenError)],
        "hidden": [kind.plural for kind, each in made_of if isinstance(each, ForbiddenError)],
    }


async def _said(asked: Awaitable[T]) -> T | ApiError | None:
    """An answer, or why there is none; None for what the cluster does not know.

    Raises:
        TokenError: the person has to sign in again.
        AwayError: the API server is away: the page as a whole says so.
    """
    try:
        return await asked
    except (TokenError, AwayError):
        raise
    except GoneError:
        return None
    except ApiError as error:
        return error


async def _items(api: Api, kind: Kind, namespace: str) -> list[Object]:
    found = await _all(api, kind, namespace)
    found.sort(key=lambda each: str(each["metadata"]["creationTimestamp"]), reverse=True)
    return found[:MOST]


async def _events(api: Api, tenant: Object, namespace: str) -> list[about.Event]:
    """Events about the tenant, in `default` as all of cluster-scoped objects, and about its parts."""
    of_it = f"regarding.uid={tenant['metadata']['uid']}"
    found = await asyncio.gather(_all(api, kinds.EVENT, "default", of_it), _all(api, kinds.EVENT, namespace))
    return about.events(each for some in found for each in some)[:MOST]


async def _all(api: Api, kind: Kind, namespace: str, fields: str = "") -> list[Object]:
    found: list[Object] = []
    async for each in api.find(kind, namespace, fields=fields):
        found.append(each)
        if len(found) == READ:
            break
    return found


async def _table(api: Api, kind: Kind, namespace: str, label: str) -> Table:
    return await api.table(kind, namespace, labels=label, limit=MOST)


routes = [
    # First: a name may have dots as far as addresses are concerned.
    Route("/tenants/{name:dns}.yaml", as_yaml),
    Route("/tenants/{name:dns}", show, name="tenant"),
]
