"""One job with several tenants: some at a time, with progress, and a result by tenant.

Nothing is kept between two requests: the page carries what is left, and asks for the next few by itself.
Leaving it stops it after those that are under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from guestpost_dashboard import forms, query, said
from guestpost_dashboard.backends.api import Api
from guestpost_dashboard.backends.errors import (
    ApiError,
    AwayError,
    ForbiddenError,
    GoneError,
    InvalidError,
    TokenError,
)
from guestpost_dashboard.backends.kinds import TENANT
from guestpost_dashboard.calls import Given, RefusedError
from guestpost_dashboard.forms import Field
from guestpost_dashboard.jobs import JOBS, Job
from guestpost_dashboard.pages import acting, asking, rendering
from guestpost_dashboard.pages.asking import Outcome
from guestpost_dashboard.pages.fleet import fleet_of
from guestpost_dashboard.pages.rights import may, require_fleet
from guestpost_dashboard.said import Placed
from guestpost_dashboard.seen import OvertakenError, Seen

MOST = 1000
# Calls at the same time, and tenants of one request: results show early, the API server serves others too.
AT_ONCE = 4
STEP = 8


async def ask(request: Request) -> Response:
    """Which tenants, and what the job needs."""
    job, chosen = _job(request), _chosen(request)
    if not chosen:
        raise InvalidError(422, "Invalid", "No tenant is chosen: go back and tick some.")
    if len(chosen) > MOST:
        raise InvalidError(
            422, "Invalid", f"{len(chosen):,} tenants are chosen, and {MOST:,} are the most: narrow it down."
        )
    await require_fleet(request)
    if not job.kind.namespaced and not await may(request, job.verb, job.kind):
        await rendering.api(request).patch(TENANT, chosen[0].name, {}, dry_run=True)
        raise ForbiddenError(403, "Forbidden", "You may not do this.")
    shape = await acting.fields(request, job)
    return await _page(request, job, chosen, shape, {}, Placed({}, ()))


async def do(request: Request) -> Response:
    """The first, or the next few."""
    job = _job(request)
    shape = await acting.fields(request, job)
    typed = asking.texts(await request.form())
    run = _run(typed)
    given, wrong = acting.given_by(job, shape, typed)
    if wrong:
        return await _page(request, job, run.left, shape, typed, said.placed(shape, (), wrong), 422)
    step = run.left[:STEP]
    found = await _several(rendering.api(request), job, step, given)
    again = tuple(each for each, came in zip(step, found, strict=True) if came.kind == "away")
    run = Run(
        left=(*again, *run.left[STEP:]),
        total=run.total,
        bad=(*run.bad, *(each.name for each in found if each.kind not in ("done", "skipped", "away"))),
        good=run.good + sum(each.kind == "done" for each in found),
    )
    return rendering.page(
        request,
        "doing/running-part.html" if rendering.is_htmx(request) else "doing/running.html",
        job=job,
        run=run,
        # Told once, and not at each try.
        found=[each for each in found if each.kind != "away" or "halted" not in typed],
        # Nobody answers: going on at once would only fail the rest.
        halted=bool(again),
        carried=_carried(job, shape, typed),
    )


@dataclass(frozen=True)
class Chosen:
    """A tenant, and the generation of its spec when it was chosen; 0 where that is not known."""

    name: str
    generation: int = 0

    def __str__(self) -> str:
        """As a page carries it."""
        return f"{self.name}:{self.generation}"


@dataclass(frozen=True)
class Run:
    """How far it is: which tenants are left, how many there are, which it failed with, how many are done."""

    left: tuple[Chosen, ...]
    total: int
    bad: tuple[str, ...] = ()
    good: int = 0


def _run(typed: Mapping[str, str]) -> Run:
    left, bad = _read(typed.get("left", "")), asking.names(typed.get("bad", "").split(",")[:MOST])
    total, good = (_count(typed.get(name, "")) for name in ("total", "good"))
    if not left:
        raise InvalidError(422, "Invalid", "No tenant is left to do it with.")
    return Run(left, max(total, len(left)), bad, good)


def _read(text: str) -> tuple[Chosen, ...]:
    said = dict(each.partition(":")[::2] for each in text.split(",")[:MOST])
    return tuple(Chosen(name, _count(said[name])) for name in asking.names(said))


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _job(request: Request) -> Job:
    job = JOBS.get(request.path_params["job"])
    if job is None or not job.many:
        raise GoneError(404, "NotFound", "There is no such page.")
    return job


def _chosen(request: Request) -> tuple[Chosen, ...]:
    """The tenants that are named, or all that the fleet's page would show for the same address."""
    given, fleet = request.query_params, fleet_of(request)
    if "all" in given:
        asked = query.parse(given.multi_items())
        return tuple(Chosen(row.name, row.generation) for row in fleet if asked.matches(row))
    rows = ((name, fleet.get(name)) for name in asking.names(given.getlist("tenant")))
    return tuple(Chosen(name, row.generation if row else 0) for name, row in rows)


async def _several(api: Api, job: Job, chosen: Sequence[Chosen], given: Given) -> list[Outcome]:
    free, away = asyncio.Semaphore(AT_ONCE), False

    async def one(each: Chosen) -> Outcome:
        nonlocal away
        async with free:
            try:
                if away:
                    # The others have waited for it long enough.
                    raise AwayError
                await asking.once(api, job, each.name, given, Seen(generation=each.generation))
            except TokenError:
                raise
            except (ApiError, RefusedError, OvertakenError) as error:
                away = away or isinstance(error, AwayError)
                return asking.outcome(each.name, error)
            return asking.outcome(each.name, None)

    return list(await asyncio.gather(*map(one, chosen)))


def _carried(job: Job, shape: Field, typed: Mapping[str, str]) -> dict[str, str]:
    """What the next request needs again."""
    names = {field.name for field in shape.fields} | {tick.name for tick in job.ticks}
    return {name: value for name, value in typed.items() if name in names}


async def _page(
    request: Request,
    job: Job,
    chosen: Sequence[Chosen],
    shape: Field,
    texts: Mapping[str, str],
    problems: Placed,
    status: int = 200,
) -> Response:
    return rendering.page(
        request,
        "doing/several.html",
        status,
        job=job,
        names=[each.name for each in chosen],
        left=",".join(map(str, chosen)),
        form=shape,
        texts=texts,
        problems=problems,
        ticks=job.ticks,
        suggestions=await asking.suggestions(request, job.fields),
        rows=forms.rows,
        add="",
    )


routes = [
    Route("/do/{job}", ask, methods=["GET"]),
    Route("/do/{job}", do, methods=["POST"]),
]
