"""What a person sees when something is in the way."""

from __future__ import annotations

from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from guestpost_dashboard.backends.errors import ApiError, AwayError, ForbiddenError, TokenError
from guestpost_dashboard.pages import rendering
from guestpost_dashboard.pages.signing import local

TITLES = {
    401: "You are signed out",
    403: "You may not do this",
    404: "Not there",
    409: "It has changed meanwhile",
    422: "The API server refuses it",
    503: "The API server does not answer",
}

# A line beside the page, whatever part of the page was asked for: what is typed stays.
_ASIDE = {
    "HX-Retarget": "#notices",
    "HX-Reswap": "innerHTML",
    "HX-Reselect": ".notice",
    "HX-Push-Url": "false",
}


async def refused(request: Request, error: Exception) -> Response:
    """The page of an ApiError; a part of a page gets a line for its notices, and keeps what is typed."""
    assert isinstance(error, ApiError)  # noqa: S101 - app.py hands over no other
    title = TITLES.get(error.status, "The API server could not do it")
    if isinstance(error, TokenError):
        return _sign_in(request, error)
    status = error.status if 400 <= error.status < 600 else 502
    if rendering.is_htmx(request):
        return part(request, status, title, error)
    away = isinstance(error, AwayError)
    # What was sent is not sent again by itself: the page with the form comes back, and what was typed.
    back = "" if request.method == "GET" else _ours(request, "referer")
    return rendering.page(
        request,
        "problem.html",
        status,
        {"Retry-After": "5"} if away else None,
        title=title,
        error=error,
        retry=away,
        back=back,
    )


def unproven(request: Request) -> Response:
    """The answer to a form that is not of the present session: mostly the session ended while it was open."""
    known = rendering.session(request)
    if known.expired:
        return _sign_in(request, TokenError(401, "Expired", "Your session has ended."))
    if known.person is None and not request.url.path.startswith("/sign-"):
        return _sign_in(request, TokenError(401, "Anonymous", ""))
    title = "This page is of an earlier session"
    error = ForbiddenError(
        403, "Forbidden", "Nothing was done. Reload the page and do it again; what you typed is kept."
    )
    if rendering.is_htmx(request):
        return part(request, 403, title, error)
    return rendering.page(
        request, "problem.html", 403, title=title, error=error, retry=False, back=_ours(request, "referer")
    )


def part(request: Request, status: int, title: str, error: ApiError) -> Response:
    """A line for #notices, for htmx."""
    return rendering.page(request, "problem-part.html", status, _ASIDE, title=title, error=error, sign_in="")


def _sign_in(request: Request, error: TokenError) -> Response:
    """Away to the sign-in, and back; what is typed is kept by the page (static/keep.js)."""
    if request.url.path.startswith(("/streams/", "/session")):
        # Nobody reads a page in their place.
        return PlainTextResponse("signed out\n", 401)
    here = str(request.url.path) + (f"?{request.url.query}" if request.url.query else "")
    if request.method != "GET":
        here = _ours(request, "referer")
    known = rendering.session(request)
    known.person = None
    if rendering.is_htmx(request):
        target = f"/sign-in?next={quote(_ours(request, 'hx-current-url'), safe='/')}"
        return rendering.page(
            request, "problem-part.html", 401, _ASIDE, title=TITLES[401], error=error, sign_in=target
        )
    if error.reason != "Anonymous":
        known.say("warning", "Your sign-in has ended. Sign in again, and go on where you were.")
    return RedirectResponse(f"/sign-in?next={quote(here, safe='/')}", 303)


def _ours(request: Request, header: str) -> str:
    """The address of a page of ours that a header names; the first page for anything else."""
    return local(request.headers.get(header, "").removeprefix(rendering.settings(request).url))


async def unknown(request: Request, error: Exception) -> Response:
    """An address that leads nowhere, or that forms alone are sent to."""
    assert isinstance(error, HTTPException)  # noqa: S101 - app.py hands over no other
    missing = ApiError(404, "NotFound", "There is no such page.")
    return rendering.page(
        request,
        "problem.html",
        error.status_code,
        error.headers,
        title=TITLES[404],
        error=missing,
        retry=False,
        back="",
    )
