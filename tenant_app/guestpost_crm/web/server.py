"""The web program: gunicorn with threads, TLS by the tenant's certificate, probes on a port of their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication

from guestpost_crm.environment import current

_AGAIN = 5.0


class _Application(BaseApplication):  # type: ignore[misc]  # gunicorn is not typed
    def __init__(self, load: Callable[[], Any], options: dict[str, Any]) -> None:
        self._load = load
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for key, value in self._options.items():
            self.cfg.set(key, value)

    def load(self) -> Any:
        return self._load()


def _crm() -> Any:
    from guestpost_crm.wsgi import application

    return application


def _remind_of_the_end() -> None:
    """Queue what is written before an erasure, once the database is there; the web is told when that is."""
    from django.db import Error, connection
    from django.utils import timezone

    from guestpost_crm.notices.queueing import erasure_clock
    from guestpost_crm.web.readiness import schema_is_current

    while True:
        try:
            if schema_is_current():
                erasure_clock(timezone.now())
                return
        except Error:
            # Other pages say so; this is tried until it works.
            pass
        finally:
            connection.close()
        time.sleep(_AGAIN)


def _tell_usage() -> None:
    """Tell the service how much is here, where there is an API server to tell."""
    from guestpost_crm.privacy import kubernetes
    from guestpost_crm.usage.telling import Teller

    if kubernetes.available():
        Teller().start()


def _begun(load: Callable[[], Any]) -> Callable[[Any], None]:
    """What the serving process does beside serving; a CRM that is gone has nobody to write to."""

    def begin(worker: Any) -> None:
        from guestpost_crm.web.probes import serve_probes

        serve_probes(current().metrics_port, lambda: True)
        if load is _crm:
            threading.Thread(target=_remind_of_the_end, name="reminders", daemon=True).start()
            _tell_usage()

    return begin


def serve(load: Callable[[], Any] = _crm) -> None:
    """Serve until stopped.

    Args:
        load: gives the WSGI application, in the process that serves it.
    """
    environment = current()
    _Application(
        load,
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
            "post_worker_init": _begun(load),
        },
    ).run()
