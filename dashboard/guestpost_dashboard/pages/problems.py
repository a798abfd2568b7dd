"""What a person sees when something is in the way."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from guestpost_dashboard.backends.errors import ApiError, AwayError, TokenError
from guestpost_dashboard.pages import rendering

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
    headers = {"Retry-After": "5"} if isinstance(error, AwayError) else None
    return rendering.page(
        request, "problem.html", status, headers, title=title, error=error, retry=isinstance(error, AwayError)
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
    address = request.headers.get(header, "").removeprefix(rendering.settings(request).url)
    return address if address.startswith("/") else "/"


async def unknown(request: Request, error: Exception) -> Response:
    """An address that leads nowhere."""
    missing = ApiError(404, "NotFound", "There is no such page.")
    return rendering.page(request, "problem.html", 404, title=TITLES[404], error=missing, retry=False)
