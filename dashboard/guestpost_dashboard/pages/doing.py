"""What people do: create, edit, suspend, export, delete, release."""

from __future__ import annotations

from starlette.routing import BaseRoute

from guestpost_dashboard.pages import acting, changing, creating, releasing, several

routes: list[BaseRoute] = [
    *creating.routes,
    *changing.routes,
    *acting.routes,
    *several.routes,
    *releasing.routes,
]
