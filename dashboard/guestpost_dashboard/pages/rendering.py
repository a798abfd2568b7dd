"""What every page needs: who asks, the API server as that person, and the templates."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from guestpost_dashboard import identity, words
from guestpost_dashboard.backends.api import Api, KubernetesApi
from guestpost_dashboard.backends.errors import TokenError
from guestpost_dashboard.identity import Person
from guestpost_dashboard.sessions import Session
from guestpost_dashboard.settings import Settings

HERE = Path(__file__).resolve().parent.parent


@cache
def version(name: str) -> str:
    """A short hash of a static file, for its address: it may be kept until it changes."""
    return hashlib.sha256((HERE / "static" / name).read_bytes()).hexdigest()[:10]


def static(name: str) -> str:
    """Address of a static file."""
    return f"/static/{name}?v={version(name)}"


@cache
def templates() -> Environment:
    """The templates: everything is escaped, and what is not there is an error."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals["static"] = static
    environment.filters.update(words.FILTERS)
    return environment


def session(request: Request) -> Session:
    """The request's session."""
    found: Session = request.state.session
    return found


def settings(request: Request) -> Settings:
    """The dashboard's settings."""
    found: Settings = request.app.state.settings
    return found


def person(request: Request) -> Person:
    """Who asks.

    Raises:
        TokenError: nobody is signed in (any more): answered with the page that asks for it.
    """
    signed = session(request).person
    if signed is None:
        expired = session(request).expired
        raise TokenError(
            401, "Expired" if expired else "Anonymous", "Your session has ended." if expired else ""
        )
    return signed


def api(request: Request) -> Api:
    """The API server, asked as the person who asks us.

    Raises:
        TokenError: nobody is signed in (any more).
    """
    own = Path(settings(request).kubernetes_token_file) if settings(request).impersonation else None
    token = own.read_text(encoding="utf-8").strip() if own else ""
    return KubernetesApi(request.app.state.http, identity.headers(person(request), token))


def is_htmx(request: Request) -> bool:
    """Whether htmx asks for a part of a page."""
    return request.headers.get("hx-request") == "true"


def page(
    request: Request,
    template: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> Response:
    """A page. The session's notices are shown, and with that forgotten.

    Args:
        request: that is answered; templates have it, and `session`, `settings` and `person`.
        template: its name.
        status: of HTTP.
        headers: further ones.
        **context: what the template shows.
    """
    known = session(request)
    text = (
        templates()
        .get_template(template)
        .render(
            request=request,
            session=known,
            settings=settings(request),
            person=known.person,
            notices=_notices(request),
            **context,
        )
    )
    return HTMLResponse(text, status, headers)


def _notices(request: Request) -> list[tuple[str, str]]:
    """What is to be said once. A background refresh, or a part of a page, has no place for it."""
    known = session(request)
    if is_htmx(request):
        return []
    found, known.notices = known.notices, []
    return found
