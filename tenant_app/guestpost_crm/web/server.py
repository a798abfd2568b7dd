"""The web program: gunicorn with threads, TLS by the tenant's certificate, probes on a port of their own."""

from __future__ import annotations

from typing import Any

from gunicorn.app.base import BaseApplication

from guestpost_crm.environment import current
from guestpost_crm.web.probes import serve_probes


class _Application(BaseApplication):  # type: ignore[misc]  # gunicorn is not typed
    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for key, value in self._options.items():
            self.cfg.set(key, value)

    def load(self) -> Any:
        from guestpost_crm.wsgi import application

        return application


def serve() -> None:
    """Serve until stopped."""
    environment = current()
    _Application(
        {
            "bind": f"0.0.0.0:{environment.port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": 8,
            "timeout": 60,
            "graceful_timeout": 20,
            "keepalive": 30,
            "certfile": environment.tls_cert_file or None,
            "keyfile": environment.tls_key_file or None,
            "worker_tmp_dir": "/dev/shm",  # noqa: S108 - memory, as gunicorn advises
            "control_socket_disable": True,
            "limit_request_line": 8190,
            "forwarded_allow_ips": "*",
            "post_worker_init": lambda worker: serve_probes(environment.metrics_port, lambda: True),
        }
    ).run()
