"""A new tenant: a form made from the schema, checked by the API server as one types, the YAML beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from guestpost_dashboard import forms, said, yamltext
from guestpost_dashboard.backends.errors import ApiError, AwayError, ForbiddenError, TokenError
from guestpost_dashboard.backends.kinds import TENANT
from guestpost_dashboard.forms import Field
from guestpost_dashboard.pages import asking, rendering
from guestpost_dashboard.pages.rights import may
from guestpost_dashboard.said import Placed

HEAD = {"apiVersion": TENANT.api_version, "kind": TENANT.name}
NOTHING = Placed({}, ())


async def begin(request: Request) -> Response:
    """The empty form, or one that is like a tenant that is there (?like=)."""
    await _require(request)
    shape = await asking.form(request)
    base: Mapping[str, Any] = {}
    for like in asking.names(request.query_params.getlist("like")[:1]):
        found = await rendering.api(request).get(TENANT, like)
        alike = ("region", "googleProject", "plan", "release", "storage")
        base = {"spec": {key: found["spec"][key] for key in alike if key in found["spec"]}}
    return await _page(request, shape, forms.shown(shape, base), NOTHING)


async def check(request: Request) -> Response:
    """What the API server says of what is typed so far, and the YAML that it makes."""
    shape, typed, whole, wrong = await _posted(request)
    problems, away = said.placed(shape, (), wrong), False
    if not wrong:
        try:
            await rendering.api(request).create(TENANT, _named(whole), dry_run=True)
        except TokenError:
            raise
        except ApiError as error:
            away = isinstance(error, AwayError)
            problems = said.unfinished(asking.placed(shape, error))
    return rendering.page(
        request,
        "doing/checked.html",
        form=shape,
        texts=typed,
        problems=problems,
        yaml=_yaml(whole),
        diff=None,
        away=away,
    )


async def create(request: Request) -> Response:
    """Make the tenant, add a row to a list, or show again what is wrong."""
    shape, typed, whole, wrong = await _posted(request)
    problems = said.placed(shape, (), wrong)
    status = 422 if wrong else 200
    if "add" not in typed and not wrong:
        try:
            made = await rendering.api(request).create(TENANT, _named(whole))
        except TokenError:
            raise
        except ApiError as error:
            problems, status = asking.placed(shape, error), error.status
        else:
            name = made["metadata"]["name"]
            rendering.session(request).say(
                "success", f"Tenant {name} is made; the operator builds its server now."
            )
            return RedirectResponse(f"/tenants/{name}?done=new", 303)
    return await _page(request, shape, typed, problems, status)


async def download(request: Request) -> Response:
    """The YAML as a file, for Git."""
    _, _, whole, _ = await _posted(request)
    name = str(whole.get("metadata", {}).get("name") or "tenant")
    kept = (
        "".join(each for each in name if each.isascii() and (each.isalnum() or each in "-."))[:60] or "tenant"
    )
    headers = {"Content-Disposition": f'attachment; filename="{kept}.yaml"'}
    return Response(_yaml(whole), headers=headers, media_type="application/yaml")


async def _require(request: Request) -> None:
    """Say at once, in the API server's words, that somebody may not make tenants (ForbiddenError)."""
    if not await may(request, "create"):
        # Whether somebody may comes before whether it is right: this is refused in any case.
        await rendering.api(request).create(TENANT, {**HEAD, "metadata": {"name": "may-i"}}, dry_run=True)
        raise ForbiddenError(403, "Forbidden", "You may not make tenants.")


async def _posted(request: Request) -> tuple[Field, dict[str, str], dict[str, Any], dict[str, str]]:
    rendering.person(request)
    shape = await asking.form(request)
    typed = asking.texts(await request.form())
    whole, wrong = forms.read(shape, typed)
    return shape, typed, whole, wrong


def _named(whole: Mapping[str, Any]) -> dict[str, Any]:
    """As the API server takes it: without a name it would not even look at the rest."""
    metadata = {"name": "", **whole.get("metadata", {})}
    return {**HEAD, **whole, "metadata": metadata, "spec": whole.get("spec", {})}


def _yaml(whole: Mapping[str, Any]) -> str:
    return yamltext.dump({**HEAD, **whole})


async def _page(
    request: Request, shape: Field, typed: Mapping[str, str], problems: Placed, status: int = 200
) -> Response:
    whole, _ = forms.read(shape, typed)
    return rendering.page(
        request,
        "doing/create.html",
        status,
        form=shape,
        texts=typed,
        problems=problems,
        yaml=_yaml(whole),
        suggestions=await asking.suggestions(request),
        add=typed.get("add", ""),
        rows=forms.rows,
        action="/new",
    )


routes = [
    Route("/new", begin, methods=["GET"]),
    Route("/new", create, methods=["POST"]),
    Route("/new/check", check, methods=["POST"]),
    Route("/new/yaml", download, methods=["POST"]),
]
