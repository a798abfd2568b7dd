"""Releases: how far one is, and what staff can do about it with the tenants' own objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from guestpost_dashboard.pages import rendering
from guestpost_dashboard.pages.rights import may, require_fleet
from guestpost_dashboard.rows import Row


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


async def show(request: Request) -> Response:
    """Versions, and what can be done."""
    await require_fleet(request)
    fleet = request.app.state.fleet
    return rendering.page(
        request,
        "doing/releases.html",
        versions=versions(fleet),
        total=len(fleet),
        moving=fleet.count("show")["moving"],
        blocked=sum("UpgradeBlocked" in row.blocks for row in fleet),
        channels=fleet.count("channel"),
        may_change=await may(request, "patch"),
    )


routes = [Route("/releases", show, methods=["GET"])]
