"""What changes, told to open pages as server-sent events: changed rows only."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from guestpost_dashboard import query
from guestpost_dashboard.backends.errors import ApiError, ForbiddenError, TokenError
from guestpost_dashboard.backends.kinds import TENANT
from guestpost_dashboard.fleet import Change, Fleet, Subscription
from guestpost_dashboard.pages import rendering, rights
from guestpost_dashboard.pages.fleet import fleet_of
from guestpost_dashboard.query import Query
from guestpost_dashboard.rows import Row
from guestpost_dashboard.sessions import ends

log = structlog.get_logger()

# A comment at least this often keeps gateways from closing the connection, and finds those that are gone.
PULSE_SECONDS = 15.0
# How often the list of a page is looked through again, at most, when what is on it may have changed.
PAUSE_SECONDS = 0.5
# Changes that come together are told together.
GATHER_SECONDS = 0.05


def event(name: str, data: Any) -> bytes:
    """One server-sent event; JSON has no line breaks of its own."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


class Shown:
    """What an open page shows, and what it has to be told.

    Args:
        fleet: all tenants.
        asked: by the page's address.
        drawn: makes the HTML of a row.
    """

    def __init__(self, fleet: Fleet, asked: Query, drawn: Callable[[Row], str]) -> None:
        self._fleet = fleet
        self._asked = asked
        self._drawn = drawn
        self._order: tuple[str, ...] = ()
        self._seen: dict[str, str] = {}
        self._summary = ""
        self.stale = False

    def again(self) -> dict[str, Any] | None:
        """The list as it is now, with the rows that the page has not; None when all is as it was."""
        self.stale = False
        results = self._fleet.find(self._asked)
        summary = results.summary(len(self._fleet) if self._asked.narrow else None)
        order = tuple(each.name for each in results.rows)
        rows = {
            each.name: self._drawn(each) for each in results.rows if self._seen.get(each.name) != each.seen
        }
        if order == self._order and summary == self._summary and not rows:
            return None
        self._order, self._summary = order, summary
        self._seen = {each.name: each.seen for each in results.rows}
        return {"order": order, "rows": rows, "summary": summary}

    def rows(self, changes: Mapping[str, Change]) -> dict[str, str]:
        """The rows of the page that changed and stay where they are; notes whether others did."""
        drawn = {}
        for name, (old, new) in changes.items():
            # Also when another tenant comes or goes: the page says how many there are in all.
            if self._moves(old, new) or (old is None) != (new is None):
                self.stale = True
            elif new is not None and name in self._seen and self._seen[name] != new.seen:
                self._seen[name] = new.seen
                drawn[name] = self._drawn(new)
        return drawn

    def _moves(self, old: Row | None, new: Row | None) -> bool:
        """Whether a tenant comes, goes, or has another place in the order."""
        was = old is not None and self._asked.matches(old)
        now = new is not None and self._asked.matches(new)
        if was and now and old is not None and new is not None:
            return self._asked.key(old) != self._asked.key(new)
        return was or now


async def fleet(request: Request) -> Response:
    """Changes of the list that an address says."""
    await rights.require_fleet(request)
    asked = query.parse(request.query_params.multi_items())
    may_change = await rights.may(request, "patch", TENANT)
    template = rendering.templates().get_template("fleet-row.html")
    columns = [(name, query.COLUMNS[name]) for name in asked.columns]

    def drawn(each: Row) -> str:
        return template.render(row=each, columns=columns, may_change=may_change)

    return _streamed(_fleet_events(request, Shown(fleet_of(request), asked, drawn)))


async def tenant(request: Request) -> Response:
    """That a tenant changed: the page asks for it again, as the person."""
    await rights.require_tenant(request)
    seen = request.query_params.get("seen", "")
    return _streamed(_tenant_events(request, request.path_params["name"], seen))


async def _fleet_events(request: Request, shown: Shown) -> AsyncIterator[bytes]:
    fleet, looked = fleet_of(request), 0.0
    besides = Besides(fleet)
    with fleet.subscribed() as subscription:
        # A page that was served a moment ago may have missed something: it gets the whole list once.
        if (state := shown.again()) is not None:
            yield event("list", state)
        async for changes in _turns(request, subscription, rights.require_fleet):
            if changes is None:
                yield event("forbidden", "")
                return
            if said := besides.next():
                yield said
            if rows := shown.rows(changes):
                yield event("rows", rows)
            if shown.stale:
                await asyncio.sleep(max(0.0, looked + PAUSE_SECONDS - time.monotonic()))
                looked = time.monotonic()
                if (state := shown.again()) is not None:
                    yield event("list", state)


async def _tenant_events(request: Request, name: str, seen: str) -> AsyncIterator[bytes]:
    fleet = fleet_of(request)
    besides = Besides(fleet)
    with fleet.subscribed() as subscription:
        # What changed after the page was drawn and before this began is told as well.
        row = fleet.get(name)
        if seen and (row is None or row.seen != seen):
            yield event("changed", name)
        async for changes in _turns(request, subscription, rights.require_tenant):
            if changes is None:
                yield event("forbidden", "")
                return
            if said := besides.next():
                yield said
            if name in changes:
                yield event("changed" if changes[name][1] is not None else "gone", name)


class Besides:
    """What a stream says besides: how the watch fares, and now and then a pulse."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._told: str | None = None
        self._pulse = 0.0

    def next(self) -> bytes | None:
        """What is to be said now; nothing most of the time."""
        now = time.monotonic()
        if (health := _health(self._fleet)) != self._told:
            self._told, self._pulse = health, now
            return event("health", health)
        if now - self._pulse < PULSE_SECONDS:
            return None
        self._pulse = now
        return b": \n\n"


async def _turns(
    request: Request, subscription: Subscription, require: Callable[[Request], Awaitable[None]]
) -> AsyncIterator[Mapping[str, Change] | None]:
    """Changes, at once empty, then as they come; None at the end when the person may not see them any more.

    With the session the stream just ends: the browser asks for it again, with the cookies of then.
    """
    session, settings = rendering.session(request), rendering.settings(request)
    yield {}
    while ends(session, settings) > request.app.state.clock():
        changes = await subscription.changes(PULSE_SECONDS, GATHER_SECONDS)
        try:
            await require(request)
        except ForbiddenError:
            yield None
            return
        except TokenError:
            return
        except ApiError as error:
            # The API server is away: the page says so, and what it shows stays.
            log.debug("rights not asked", reason=error.reason)
        yield changes


def _health(fleet: Fleet) -> str:
    """What is to be said of the watch; empty when it is well."""
    if not fleet.listed:
        return fleet.problem or "The tenants are still being listed."
    return fleet.problem


def _streamed(events: AsyncIterator[bytes]) -> Response:
    return StreamingResponse(
        events,
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


routes = [Route("/streams/fleet", fleet), Route("/streams/tenants/{name:dns}", tenant)]
