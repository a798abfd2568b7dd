"""`python -m guestpost_dashboard`: serve until stopped."""

from __future__ import annotations

import logging
import os
import sys

import structlog
import uvicorn

from guestpost_dashboard import app
from guestpost_dashboard.settings import ConfigurationError, load


def _log_as_json() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(os.environ.get("LOG_LEVEL", "INFO").lower()),
    )
    # These would print addresses with codes and names in them.
    for name in ("httpx", "httpcore", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)


def main() -> int:
    """Read the settings and serve."""
    _log_as_json()
    try:
        settings = load()
    except ConfigurationError as error:
        structlog.get_logger().error("configuration", problem=str(error))
        return 2
    uvicorn.run(
        app.create(settings),
        host=settings.host,
        port=settings.port,
        ssl_certfile=settings.tls_cert_file or None,
        ssl_keyfile=settings.tls_key_file or None,
        access_log=False,
        server_header=False,
        log_level="warning",
        # Open pages have a stream each, which has no end of its own.
        timeout_graceful_shutdown=2,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
