"""Jobs with one tenant: buttons, the page that asks for what a job needs, and doing it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from guestpost_dashboard import editing, forms, said
from guestpost_dashboard import seen as sights
from guestpost_dashboard.backends.api import Api
from guestpost_dashboard.backends.errors import ApiError, ForbiddenError, GoneError, InvalidError, TokenError
from guestpost_dashboard.backends.kinds import TENANT
from guestpost_dashboard.calls import Given, RefusedError, blocked_by, name_of
from guestpost_dashboard.forms import Field
from guestpost_dashboard.jobs import JOBS, Job
from guestpost_dashboard.pages import asking, rendering
from guestpost_dashboard.pages.rights import may
from guestpost_dashboard.said import Placed
from guestpost_dashboard.seen import OvertakenError

GROUPS = (
    ("state", "State"),
    ("customer", "For the customer"),
    ("release", "Releases"),
    ("operator", "Operator"),
    ("end", "The end"),
)
# What belongs to one thing of a tenant has its button there.
ELSEWHERE = {"withdraw"}


def now() -> dt.datetime:
    """The time."""
    return dt.datetime.now(dt.UTC)


async def buttons(request: Request) -> Response:
    """What the person may do with a tenant as it is; loaded into its page."""
    name = request.path_params["name"]
    tenant = await rendering.api(request).get(TENANT, name)
    groups = []
    offered = [job for job in JOBS.values() if job.name not in ELSEWHERE and not job.refusal(tenant, now())]
    for key, title in GROUPS:
        jobs = [job for job in offered if job.group == key and await asking.allowed(request, job, tenant)]
        if jobs:
            groups.append((title, jobs))
    return rendering.page(
        request,
        "doing/buttons.html",
        name=name,
        groups=groups,
        seen={job.name: str(sights.of(tenant, job.concerns)) for job in offered},
        may_edit=await may(request, "patch", name=name),
        may_create=await may(request, "create"),
    )


async def ask(request: Request) -> Response:
    """The page of a job."""
    job = _job(request)
    tenant = await rendering.api(request).get(TENANT, request.path_params["name"])
    await _require(request, job, tenant)
    if refusal := job.refusal(tenant, now()):
        raise InvalidError(409, "Invalid", _sentence(refusal))
    shape = await fields(request, job)
    texts = forms.shown(shape, tenant if job.kind == TENANT else {})
    if job.name == "support":
        texts.setdefault("spec.level", "Browse")
        if "@" in (who := rendering.person(request).name):
            texts["spec.subject"] = who
    if job.name == "suspend" and tenant["spec"].get("state") != "Suspended":
        texts.pop("spec.suspendReason", None)
    texts["seen"] = str(sights.of(tenant, job.concerns))
    return await _page(request, job, tenant, shape, texts, Placed({}, ()))


async def do(request: Request) -> Response:
    """Do it; the tenant's page tells what comes of it."""
    job, name, api = _job(request), request.path_params["name"], rendering.api(request)
    shape = await fields(request, job)
    typed = asking.texts(await request.form())
    given, wrong = given_by(job, shape, typed)
    problems, status, others = said.placed(shape, (), wrong), 422, []
    if not wrong:
        try:
            call = await asking.once(api, job, name, given, sights.read(typed.get("seen", "")))
        except RefusedError as error:
            problems, status = Placed({}, [_sentence(str(error))]), 409
        except OvertakenError as error:
            problems, status = Placed({}, [_sentence(str(error))]), 409
            others = editing.diff(error.before, error.now)
        except TokenError:
            raise
        except ApiError as error:
            problems, status = asking.placed(shape, error), error.status
        else:
            rendering.session(request).say("success", done(job, name, call.name))
            return RedirectResponse(f"/tenants/{name}?done={job.name}-{name}", 303)
    tenant = await _as_it_is(api, name)
    if others:
        # Whoever has seen what others did may do it nevertheless.
        typed["seen"] = str(sights.of(tenant, job.concerns))
    return await _page(request, job, tenant, shape, typed, problems, status, others)


async def _as_it_is(api: Api, name: str) -> Mapping[str, Any]:
    """The tenant; its name alone when it can't be had, for what was typed is shown in any case."""
    try:
        return await api.get(TENANT, name)
    except TokenError:
        raise
    except ApiError:
        return {"metadata": {"name": name}, "spec": {}}


async def fields(request: Request, job: Job) -> Field:
    """The form of what a job asks for (ApiError)."""
    if not job.fields:
        return Field((), "group", "")
    return forms.part(await asking.form(request, job.kind), job.fields, job.needed)


def given_by(job: Job, shape: Field, typed: Mapping[str, str]) -> tuple[Given, dict[str, str]]:
    """What somebody filled in for a job, and what could not be read."""
    # What the form shows is meant, defaults as well.
    wanted, wrong = forms.read(shape, typed, sparse=False)
    for field in shape.fields:
        if field.required and not typed.get(field.name, "").strip():
            wrong[field.name] = said.NEEDED
    ticks = frozenset(each.name for each in job.ticks if typed.get(each.name) == "true")
    (item,) = asking.names([typed.get("item", "")]) or ("",)
    return Given(wanted, ticks, typed.get("typed", ""), item), wrong


def done(job: Job, name: str, made: str) -> str:
    """What is said when it is done."""
    if job.name == "export":
        return f"Export {made} of tenant {name} was asked for."
    if job.name == "support":
        return f"Grant {made} was asked for; the owner of {name} decides in the CRM."
    if job.name == "withdraw":
        return f"Grant {made} of tenant {name} is withdrawn."
    return f"{job.title}: asked for with tenant {name}."


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _job(request: Request) -> Job:
    job = JOBS.get(request.path_params["job"])
    if job is None:
        raise GoneError(404, "NotFound", "There is no such page.")
    return job


async def _require(request: Request, job: Job, tenant: Mapping[str, Any]) -> None:
    """Say at once, in the API server's words, that somebody may not (ForbiddenError)."""
    if await asking.allowed(request, job, tenant):
        return
    api, namespace = rendering.api(request), f"gpt-{name_of(tenant)}" if job.kind.namespaced else ""
    # Refused in any case: whether somebody may comes before whether it is right.
    if job.verb == "create":
        body = {"apiVersion": job.kind.api_version, "kind": job.kind.name, "metadata": {"name": "may-i"}}
        await api.create(job.kind, body, namespace, dry_run=True)
    elif job.verb == "delete":
        await api.delete(job.kind, "may-i", namespace, dry_run=True)
    else:
        await api.patch(job.kind, name_of(tenant), {}, namespace, dry_run=True)
    raise ForbiddenError(403, "Forbidden", f"You may not do this with tenant {name_of(tenant)}.")


async def _page(
    request: Request,
    job: Job,
    tenant: Mapping[str, Any],
    shape: Field,
    texts: Mapping[str, str],
    problems: Placed,
    status: int = 200,
    others: Sequence[editing.Line] = (),
) -> Response:
    name = name_of(tenant)
    conditions = {each["type"]: each for each in tenant.get("status", {}).get("conditions", [])}
    return rendering.page(
        request,
        "doing/job.html",
        status,
        job=job,
        name=name,
        url=tenant.get("status", {}).get("app", {}).get("url", ""),
        form=shape,
        texts=texts,
        problems=problems,
        others=others,
        ticks=[each for each in job.ticks if each.shown(tenant) or each.name in texts],
        expected=job.grave(tenant) if job.grave else "",
        blocked=conditions.get("DeletionBlocked", {}).get("message", "") if blocked_by(tenant) else "",
        item=texts.get("item") or request.query_params.get("item", ""),
        suggestions=await asking.suggestions(request, job.fields),
        rows=forms.rows,
        add="",
    )


routes = [
    Route("/tenants/{name:dns}/do", buttons, methods=["GET"]),
    Route("/tenants/{name:dns}/do/{job}", ask, methods=["GET"]),
    Route("/tenants/{name:dns}/do/{job}", do, methods=["POST"]),
]
