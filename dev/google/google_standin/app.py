"""The server: OAuth and OpenID Connect, Gmail, KMS, and the control interface, in one application."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from google_standin import batch, control, gmail, kms, pages
from google_standin.errors import ApiError, not_found
from google_standin.state import State
from google_standin.store import UnknownAccountError, UnknownMessageError


async def _unknown(request: Request, error: Exception) -> Response:
    return not_found().response()


async def _refused(request: Request, error: Exception) -> Response:
    return error.response() if isinstance(error, ApiError) else JSONResponse({}, status_code=500)


def create(issuer: str, pubsub_host: str = "") -> Starlette:
    """The application.

    Args:
        issuer: its address as browsers see it, the `iss` of ID tokens.
        pubsub_host: `host:port` of Pub/Sub; empty when watches need not publish.
    """
    application = Starlette(
        routes=[*pages.ROUTES, *gmail.ROUTES, *batch.ROUTES, *kms.ROUTES, *control.ROUTES],
        exception_handlers={
            UnknownAccountError: _unknown,
            UnknownMessageError: _unknown,
            ApiError: _refused,
        },
    )
    application.state.standin = State(issuer.rstrip("/"), pubsub_host)
    return application
