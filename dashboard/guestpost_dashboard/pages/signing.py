"""Signing in and out."""

from __future__ import annotations

import secrets
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from guestpost_dashboard import identity
from guestpost_dashboard.backends.api import KubernetesApi
from guestpost_dashboard.backends.errors import ApiError, TokenError
from guestpost_dashboard.backends.issuer import Issuer, SignInError
from guestpost_dashboard.identity import Person
from guestpost_dashboard.pages import rendering
from guestpost_dashboard.sessions import Session

CALLBACK = "/sign-in/callback"
LONGEST_TOKEN = 12_000


def local(address: str) -> str:
    """An address of ours to go on to; the first page for anything else."""
    ours = address.startswith("/") and not address.startswith(("//", "/\\", "/sign-in", "/sign-out"))
    plain = all(" " < each < "\x7f" and each != "\\" for each in address)
    return address if ours and plain and len(address) <= 2000 else "/"


async def show(request: Request) -> Response:
    """The page that asks who one is."""
    return _ask(request)


async def begin(request: Request) -> Response:
    """Off to the issuer."""
    issuer: Issuer | None = request.app.state.issuer
    if issuer is None:
        return RedirectResponse("/sign-in", 303)
    try:
        address, remembered = await issuer.begin(_callback(request))
    except SignInError as error:
        return _ask(request, str(error), 502)
    remembered["next"] = local(request.query_params.get("next", "/"))
    rendering.session(request).signing = remembered
    return RedirectResponse(address, 303)


async def callback(request: Request) -> Response:
    """Back from the issuer."""
    issuer: Issuer | None = request.app.state.issuer
    session = rendering.session(request)
    remembered, session.signing = session.signing, {}
    state, code = request.query_params.get("state", ""), request.query_params.get("code", "")
    if (
        issuer is None
        or not remembered
        or not secrets.compare_digest(state.encode(), remembered["state"].encode())
    ):
        return _ask(request, "This sign-in has expired or was not begun here. Begin again.", 400)
    if not code:
        return _ask(request, "The issuer did not let you in.", 403)
    try:
        person, token = await issuer.finish(code, _callback(request), remembered)
    except SignInError as error:
        return _ask(request, str(error), 403)
    if acting_as := rendering.settings(request).impersonation:
        if person.name not in acting_as.users:
            problem = (
                f"The issuer knows you as {person.name}, whom the dashboard may not act as. Whoever runs it"
                " names you in dashboard.impersonation.users of the chart."
            )
            return _ask(request, problem, 403)
        person = replace(person, token="", groups=tuple(filter(acting_as.groups.__contains__, person.groups)))
    elif len(token) > LONGEST_TOKEN:
        problem = (
            "Your token is too long for a session: ask for fewer claims in it, such as groups, at the issuer."
        )
        return _ask(request, problem, 403)
    return _enter(request, person, remembered["next"])


async def paste(request: Request) -> Response:
    """A pasted token, where there is no issuer: the API server says whose it is."""
    if rendering.settings(request).oidc is not None:
        return RedirectResponse("/sign-in", 303)
    form = await request.form()
    token, following = str(form.get("token", "")).strip(), str(form.get("next", "/"))
    if not token or len(token) > LONGEST_TOKEN or not all("!" <= each <= "~" for each in token):
        return _ask(request, "Paste the token alone, in one line.", 422, following)
    api = KubernetesApi(request.app.state.http, [("Authorization", f"Bearer {token}")])
    try:
        name, groups = await api.who()
    except TokenError:
        return _ask(request, "The API server does not know this token: it may have expired.", 403, following)
    except ApiError as error:
        return _ask(request, error.message, 503, following)
    return _enter(request, Person(name, groups, token, identity.expiry(token)), following)


async def present(request: Request) -> Response:
    """Whether one is still signed in, for pages whose stream has ended."""
    await rendering.api(request).who()
    return Response(status_code=204)


async def leave(request: Request) -> Response:
    """Sign out."""
    session = rendering.session(request)
    fresh = Session(session.seen, session.seen)
    session.person, session.csrf = None, fresh.csrf
    session.say("success", "You are signed out.")
    # Typed things that pages kept for coming back are not for the next person.
    return RedirectResponse("/sign-in", 303, {"Clear-Site-Data": '"storage"'})


def _enter(request: Request, person: Person, following: str) -> Response:
    """A session of one's own: nothing of the one before the sign-in is kept but what is to be said."""
    session = rendering.session(request)
    now = request.app.state.clock()
    fresh = Session(now, now)
    session.person, session.csrf, session.began, session.seen = person, fresh.csrf, now, now
    session.signing, session.notices = {}, []
    return RedirectResponse(local(following), 303)


def _callback(request: Request) -> str:
    return rendering.settings(request).url + CALLBACK


def _ask(request: Request, problem: str = "", status: int = 200, following: str = "") -> Response:
    following = local(following or request.query_params.get("next", "/"))
    return rendering.page(request, "sign-in.html", status, problem=problem, following=following)


routes = [
    Route("/sign-in", show),
    Route("/sign-in", paste, methods=["POST"]),
    Route("/sign-in/begin", begin),
    Route(CALLBACK, callback),
    Route("/session", present),
    Route("/sign-out", leave, methods=["POST"]),
]
