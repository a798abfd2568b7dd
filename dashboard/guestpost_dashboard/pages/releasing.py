"""Releases: how far one is; staff pause and start the rollout, and move tenants by their own objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from guestpost_dashboard import said
from guestpost_dashboard.backends.errors import ConflictError, ForbiddenError, GoneError
from guestpost_dashboard.backends.kinds import CONFIG_MAP, ROLLOUT_NAME
from guestpost_dashboard.forms import Field
from guestpost_dashboard.pages import asking, rendering
from guestpost_dashboard.pages.rights import may, require_fleet
from guestpost_dashboard.rows import Row, seconds
from guestpost_dashboard.said import Placed

REASON = Field(
    ("reason",), "text", "Reason", "What everybody reads here, until somebody resumes it.", required=True
)
PAUSED = "The rollout is paused: nobody begins a move, and those on the way finish."
RESUMED = "The rollout goes on within seconds."
OVERTAKEN = (
    "Somebody was faster, and nothing was done. See what it says now; if it is still right, do it again."
)


@dataclass
class Version:
    """How many tenants run a version of the CRM, and how they fare; none yet where it is empty."""

    version: str
    tenants: int = 0
    ready: int = 0
    moving: int = 0
    blocked: int = 0
    channels: Counter[str] = field(default_factory=Counter)


def versions(rows: Iterable[Row]) -> list[Version]:
    """Tenants by version, the most frequent first. Pure."""
    found: dict[str, Version] = {}
    for row in rows:
        each = found.setdefault(row.version, Version(row.version))
        each.tenants += 1
        each.ready += row.ready == "True"
        each.moving += row.moving
        each.blocked += "UpgradeBlocked" in row.blocks
        each.channels[row.channel] += 1
    return sorted(found.values(), key=lambda each: (-each.tenants, each.version))


@dataclass(frozen=True)
class Pause:
    """Whether people let nobody begin a move, as the operator's ConfigMap says.

    Attributes:
        on: whatever is not plainly no is a pause, as the operator reads it.
        reason: why, in the words of who paused it.
        since: when that was written, in seconds since 1970; 0 when nobody knows.
        odd: what stands where true or false should; empty when all is well.
        seen: resource version, so that nobody overwrites what others wrote meanwhile.
    """

    on: bool
    reason: str
    since: float
    odd: str
    seen: str


def pause(rollout: Mapping[str, Any]) -> Pause:
    """What the ConfigMap says. Pure."""
    metadata, data = rollout["metadata"], rollout.get("data") or {}
    word = str(data.get("paused", "nothing"))
    written = (
        seconds(each.get("time"))
        for each in metadata.get("managedFields") or ()
        if "f:paused" in ((each.get("fieldsV1") or {}).get("f:data") or {})
    )
    return Pause(
        on=word != "false",
        reason=str(data.get("reason", "")),
        since=max(written, default=0),
        odd="" if word in ("true", "false") else word or "''",
        seen=str(metadata["resourceVersion"]),
    )


async def show(request: Request) -> Response:
    """Versions, whether the rollout is paused, and what can be done."""
    return await _page(request, Placed({}, ()))


async def change(request: Request) -> Response:
    """Pause or resume: one call as the person, of what the page has shown."""
    typed = asking.texts(await request.form())
    on, reason = typed.get("paused") == "true", typed.get("reason", "").strip()
    if on and not reason:
        return await _page(request, Placed({REASON.name: [said.NEEDED]}, ()), 422)
    body = {
        # Without one, what others wrote would be overwritten. It is never the API server's very first object.
        "metadata": {"resourceVersion": typed.get("seen") or "1"},
        "data": {"paused": "true" if on else "false", "reason": reason if on else ""},
    }
    try:
        await rendering.api(request).patch(CONFIG_MAP, ROLLOUT_NAME, body, _namespace(request))
    except ConflictError:
        return await _page(request, Placed({}, [OVERTAKEN]), 409, reason)
    rendering.session(request).say("success", PAUSED if on else RESUMED)
    return RedirectResponse("/releases?done=pause", 303)


async def _page(request: Request, problems: Placed, status: int = 200, reason: str = "") -> Response:
    await require_fleet(request)
    found, unknown = None, ""
    try:
        found = pause(await rendering.api(request).get(CONFIG_MAP, ROLLOUT_NAME, _namespace(request)))
    except (ForbiddenError, GoneError) as error:
        unknown = error.message
    fleet = request.app.state.fleet
    return rendering.page(
        request,
        "doing/releases.html",
        status,
        versions=versions(fleet),
        total=len(fleet),
        moving=fleet.count("show")["moving"],
        blocked=sum("UpgradeBlocked" in row.blocks for row in fleet),
        channels=fleet.count("channel"),
        may_change=await may(request, "patch"),
        pause=found,
        unknown=unknown,
        may_pause=await may(request, "patch", CONFIG_MAP, _namespace(request), ROLLOUT_NAME),
        reason=REASON,
        texts={REASON.name: reason},
        problems=problems,
    )


def _namespace(request: Request) -> str:
    return rendering.settings(request).operator_namespace


routes = [
    Route("/releases", show, methods=["GET"]),
    Route("/releases", change, methods=["POST"]),
]
