"""Editing a tenant: form or YAML, then the diff, then applied; what others did is never overwritten."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from guestpost_dashboard import editing, forms, said, yamltext
from guestpost_dashboard.backends.errors import (
    ApiError,
    AwayError,
    ConflictError,
    ForbiddenError,
    GoneError,
    TokenError,
)
from guestpost_dashboard.backends.kinds import TENANT
from guestpost_dashboard.forms import Field
from guestpost_dashboard.pages import asking, rendering
from guestpost_dashboard.pages.rights import may
from guestpost_dashboard.said import Placed

OVERTAKEN = (
    "Somebody has changed it since you looked. This is what your change comes to now; nothing was written."
)
# Before the path of a value in conflict, as JSON: keys of annotations have dots.
TAKE = "take:"


@dataclass(frozen=True)
class Edit:
    """What somebody began with and what they want, each without what the API server writes by itself."""

    name: str
    form: Field
    posted: FormData
    loaded: dict[str, Any]
    wanted: dict[str, Any]
    wrong: dict[str, str]
    as_yaml: bool
    uid: str


async def begin(request: Request) -> Response:
    """The form, filled in; or the YAML (?as=yaml)."""
    name = request.path_params["name"]
    tenant = await rendering.api(request).get(TENANT, name)
    await _require(request, name)
    loaded = editing.editable(tenant)
    shape = await asking.form(request)
    edit = Edit(
        name,
        shape,
        FormData(),
        loaded,
        loaded,
        {},
        request.query_params.get("as") == "yaml",
        tenant["metadata"]["uid"],
    )
    return await _page(request, edit, Placed({}, ()))


async def check(request: Request) -> Response:
    """What the API server says of what is typed so far, and what it would change."""
    edit = await _posted(request)
    problems, away = said.placed(edit.form, (), edit.wrong), False
    if not edit.wrong:
        patch = editing.merge_patch(edit.loaded, edit.wanted)
        try:
            await rendering.api(request).patch(TENANT, edit.name, patch, dry_run=True)
        except TokenError:
            raise
        except ApiError as error:
            away = isinstance(error, AwayError)
            problems = asking.placed(edit.form, error)
    return rendering.page(
        request,
        "doing/checked.html",
        form=edit.form,
        texts=asking.texts(edit.posted),
        problems=problems,
        yaml=None,
        diff=editing.diff(edit.loaded, edit.wanted),
        away=away,
    )


async def review(request: Request) -> Response:
    """The diff against what is there now, to be applied; back to the form when something is wrong."""
    edit = await _posted(request)
    texts = asking.texts(edit.posted)
    if edit.wrong or "add" in texts:
        return await _page(request, edit, said.placed(edit.form, (), edit.wrong), 422 if edit.wrong else 200)
    try:
        present = await _present(request, edit)
        edit = _decided(edit, texts, editing.editable(present))
        merged = editing.merged(edit.loaded, edit.wanted, editing.editable(present))
        patch = editing.merge_patch(editing.editable(present), merged.whole)
        if patch:
            await rendering.api(request).patch(TENANT, edit.name, patch, dry_run=True)
    except TokenError:
        raise
    except ApiError as error:
        return await _page(request, edit, asking.placed(edit.form, error), error.status)
    return _review(request, edit, present, merged)


async def apply(request: Request) -> Response:
    """Write just what was reviewed; whoever was faster is shown instead."""
    edit = await _posted(request)
    api = rendering.api(request)
    try:
        for _ in range(asking.TRIES):
            present = await _present(request, edit)
            merged = editing.merged(edit.loaded, edit.wanted, editing.editable(present))
            if editing.editable(present) != edit.loaded:
                return _review(request, edit, present, merged, 409, OVERTAKEN)
            patch = editing.merge_patch(edit.loaded, edit.wanted)
            version = {"metadata": {"resourceVersion": present["metadata"]["resourceVersion"]}}
            try:
                await api.patch(TENANT, edit.name, _with(patch, version))
            except ConflictError:
                continue
            rendering.session(request).say("success", f"Tenant {edit.name} is changed.")
            return RedirectResponse(f"/tenants/{edit.name}?done=edit-{edit.uid}", 303)
        raise ConflictError(409, "Conflict", asking.HURRIED)
    except TokenError:
        raise
    except ApiError as error:
        return await _page(request, edit, asking.placed(edit.form, error), error.status)


async def download(request: Request) -> Response:
    """What is wanted, as a file."""
    edit = await _posted(request)
    headers = {"Content-Disposition": f'attachment; filename="{edit.name}.yaml"'}
    return Response(yamltext.dump(edit.wanted), headers=headers, media_type="application/yaml")


def _with(patch: Mapping[str, Any], version: Mapping[str, Any]) -> dict[str, Any]:
    return {**patch, "metadata": {**patch.get("metadata", {}), **version["metadata"]}}


async def _require(request: Request, name: str) -> None:
    if not await may(request, "patch", name=name):
        # Refused in any case, in the API server's words.
        await rendering.api(request).patch(TENANT, name, {}, dry_run=True)
        raise ForbiddenError(403, "Forbidden", f"You may not change tenant {name}.")


async def _present(request: Request, edit: Edit) -> dict[str, Any]:
    """The tenant as it is (ApiError)."""
    found = await rendering.api(request).get(TENANT, edit.name)
    if edit.uid and found["metadata"]["uid"] != edit.uid:
        raise GoneError(404, "NotFound", asking.another(edit.name))
    return found


async def _posted(request: Request) -> Edit:
    rendering.person(request)
    name = request.path_params["name"]
    posted = await request.form()
    texts = asking.texts(posted)
    shape = await asking.form(request)
    loaded = _object(texts.get("loaded", ""))
    as_yaml = "yaml" in texts
    wrong: dict[str, str] = {}
    if "wanted" in texts:
        wanted = _object(texts["wanted"])
    elif as_yaml:
        wanted, wrong = _from_yaml(texts["yaml"], name)
    else:
        # The name is in the address; it is shown, but not asked for.
        texts.pop("metadata.name", None)
        wanted, wrong = forms.read(shape, texts, loaded)
    return Edit(name, shape, posted, loaded, wanted, wrong, as_yaml, texts.get("uid", ""))


def _object(text: str) -> dict[str, Any]:
    """What a page of ours carried along (ApiError when it is none)."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ApiError(400, "BadRequest", "This form is incomplete: open the page again.")
    return found


def _from_yaml(text: str, name: str) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        wanted = editing.editable(yamltext.load_object(text))
    except yamltext.UnreadableError as error:
        return {}, {"yaml": str(error)}
    if wanted["metadata"].get("name") != name:
        return wanted, {"yaml": f"metadata.name has to stay {name}: a tenant can't be renamed"}
    return wanted, {}


def _decided(edit: Edit, texts: Mapping[str, str], now: Mapping[str, Any]) -> Edit:
    """The same, with each value in conflict as somebody decided: theirs, or that of the others."""
    loaded, wanted = edit.loaded, edit.wanted
    for name, value in texts.items():
        if not name.startswith(TAKE):
            continue
        path = tuple(map(str, _list(name.removeprefix(TAKE))))
        if value == "theirs":
            wanted = editing.as_in(loaded, wanted, path)
        elif value == "mine":
            loaded = editing.as_in(now, loaded, path)
    return replace(edit, loaded=loaded, wanted=wanted)


def _list(text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not found:
        raise ApiError(400, "BadRequest", "This form is incomplete: open the page again.")
    return found


async def _page(request: Request, edit: Edit, problems: Placed, status: int = 200) -> Response:
    texts = forms.shown(edit.form, edit.wanted or edit.loaded)
    typed = asking.texts(edit.posted)
    in_yaml = typed.get("yaml", yamltext.dump(edit.wanted))
    return rendering.page(
        request,
        "doing/edit.html",
        status,
        name=edit.name,
        uid=edit.uid,
        form=edit.form,
        texts={
            **texts,
            **{key: value for key, value in typed.items() if key not in ("loaded", "wanted", "yaml")},
        },
        problems=problems,
        loaded=json.dumps(edit.loaded),
        as_yaml=edit.as_yaml,
        yaml=in_yaml,
        diff=editing.diff(edit.loaded, edit.wanted) if edit.wanted else [],
        suggestions=await asking.suggestions(request),
        add=typed.get("add", ""),
        rows=forms.rows,
        action=f"/tenants/{edit.name}/edit",
    )


def _review(
    request: Request,
    edit: Edit,
    present: Mapping[str, Any],
    merged: editing.Merged,
    status: int = 200,
    notice: str = "",
) -> Response:
    now = editing.editable(present)
    return rendering.page(
        request,
        "doing/review.html",
        409 if merged.conflicts else status,
        name=edit.name,
        uid=edit.uid,
        notice=notice,
        conflicts=[(each, TAKE + json.dumps(each.path)) for each in merged.conflicts],
        # A conflict is decided against what somebody began with; after that, against what is there.
        loaded=json.dumps(edit.loaded if merged.conflicts else now),
        wanted=json.dumps(edit.wanted if merged.conflicts else merged.whole),
        diff=editing.diff(now, merged.whole),
        others=editing.diff(edit.loaded, now),
        absent=editing.ABSENT,
    )


routes = [
    Route("/tenants/{name:dns}/edit", begin, methods=["GET"]),
    Route("/tenants/{name:dns}/edit", review, methods=["POST"]),
    Route("/tenants/{name:dns}/edit/check", check, methods=["POST"]),
    Route("/tenants/{name:dns}/edit/apply", apply, methods=["POST"]),
    Route("/tenants/{name:dns}/edit/yaml", download, methods=["POST"]),
]
