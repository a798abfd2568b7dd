"""`python -m guestpost_broker`: serve until stopped."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

import httpx
import structlog
import uvicorn
from kubernetes.aio import client
from kubernetes.aio import config as kubeconfig
from prometheus_client import start_http_server

from guestpost_broker import app
from guestpost_broker.config import Config, ConfigurationError, load
from guestpost_broker.google import HttpGoogle
from guestpost_broker.kubernetes import ApiKubernetes
from guestpost_broker.metrics import Backfills
from guestpost_broker.reloading import Reloader, renew_certificate
from guestpost_broker.service import Broker


def _log_as_json() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(os.environ.get("LOG_LEVEL", "INFO").lower()),
    )
    # These would print addresses with codes and states in them.
    for name in ("httpx", "httpcore", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)


async def _serve(config: Config) -> None:
    if os.environ.get("KUBECONFIG"):
        await kubeconfig.load_kube_config()
    else:
        kubeconfig.load_incluster_config()
    async with client.ApiClient() as api, httpx.AsyncClient(follow_redirects=False) as http:
        kubernetes = ApiKubernetes(api)
        broker = Broker(config, HttpGoogle(config, http), kubernetes)

        async def ready() -> bool:
            try:
                # An empty answer is an answer: no tenant has this name.
                await kubernetes.tenant("readiness-probe")
            except Exception:
                return False
            return True

        serving = uvicorn.Config(
            app.create(broker, ready),
            host="0.0.0.0",  # noqa: S104 - a pod's address is not known beforehand
            port=config.port,
            ssl_certfile=config.tls_cert_file or None,
            ssl_keyfile=config.tls_key_file or None,
            access_log=False,
            server_header=False,
            log_level="warning",
            timeout_graceful_shutdown=10,
        )

        def apply(new: Config) -> None:
            if serving.ssl:
                renew_certificate(serving.ssl, new)
            broker.config = new

        Backfills(broker.pacer, lambda: broker.config.clients).register()
        looking = asyncio.create_task(Reloader(os.environ, apply).run())
        await uvicorn.Server(serving).serve()
        looking.cancel()


def main() -> int:
    """Read the settings and serve."""
    _log_as_json()
    try:
        config = load()
    except ConfigurationError as error:
        structlog.get_logger().error("configuration", problem=str(error))
        return 2
    for path in (config.tls_cert_file, config.tls_key_file):
        if path and not Path(path).is_file():
            structlog.get_logger().error("configuration", problem=f"no such file {path}")
            return 2
    start_http_server(config.metrics_port)
    asyncio.run(_serve(config))
    return 0


if __name__ == "__main__":
    sys.exit(main())
