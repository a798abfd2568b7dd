"""All tenants: the list, and the figures above it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from guestpost_dashboard import plots, query
from guestpost_dashboard.backends.kinds import TENANT
from guestpost_dashboard.fleet import Fleet
from guestpost_dashboard.pages import rendering, rights


def fleet_of(request: Request) -> Fleet:
    """All tenants, as the watch tells of them."""
    found: Fleet = request.app.state.fleet
    return found


async def show(request: Request) -> Response:
    """The list. For htmx it is the list alone, without the page around it."""
    await rights.require_fleet(request)
    asked = query.parse(request.query_params.multi_items())
    if "column" in request.query_params:
        # The form of columns: its answer is the address that says it.
        return RedirectResponse(asked.address(), 303)
    fleet = fleet_of(request)
    results = fleet.find(asked)
    is_part = rendering.is_htmx(request)
    context = {
        "query": asked,
        "fleet": fleet,
        "results": results,
        "columns": [(name, query.COLUMNS[name]) for name in asked.columns],
        "all_columns": query.COLUMNS,
        "facets": [(name, fleet.count(name).most_common(40)) for name in query.FACETS],
        "shows": query.SHOWS,
        "may_change": await rights.may(request, "patch", TENANT),
        "may_create": await rights.may(request, "create", TENANT),
    }
    headers = {"Vary": "HX-Request", "HX-Push-Url": asked.address()} if is_part else {"Vary": "HX-Request"}
    return rendering.page(request, "fleet-list.html" if is_part else "fleet.html", 200, headers, **context)


async def figures(request: Request) -> Response:
    """Counts and plots, which change slowly and are asked for by themselves."""
    await rights.require_fleet(request)
    fleet = fleet_of(request)
    return rendering.page(
        request,
        "fleet-figures.html",
        figures=plots.figures(fleet),
        counts=fleet.count("show"),
        shows=query.SHOWS,
    )


routes = [Route("/", show, name="fleet"), Route("/figures", figures)]
