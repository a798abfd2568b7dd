"""The sync process: one worker for each connected mailbox, the notifications' listener, probes."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType

import structlog
from django.db import DatabaseError, close_old_connections, connection, connections

from guestpost_crm.environment import current
from guestpost_crm.gmail.models import Mailbox, MailboxState, OutboxMessage, OutboxState
from guestpost_crm.gmail.notifications import Listener
from guestpost_crm.gmail.signals import CHANNEL
from guestpost_crm.gmail.worker import Worker
from guestpost_crm.outreach.checker import Checker
from guestpost_crm.web.probes import serve_probes

_STALLED = 600.0
_CHECK = 2.0
log = structlog.get_logger()


class Supervisor:
    """Keeps the workers that the database asks for."""

    def __init__(self) -> None:
        self._workers: dict[int, Worker] = {}
        self._ended = threading.Event()
        self._listener = Listener(self._wake)
        self._checker = Checker()

    def run(self) -> None:
        """Work until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        serve_probes(current().metrics_port, self.healthy)
        self._listener.start()
        self._checker.start()
        while not self._ended.is_set():
            try:
                close_old_connections()
                self._level()
                self._wait_for_news()
            except DatabaseError as error:
                log.warning("database", problem=type(error).__name__)
                connection.close()
                self._ended.wait(_CHECK)
        self._stop()

    def healthy(self) -> bool:
        """Whether no worker has stood still for long; says nothing of the database or of Gmail."""
        now = time.monotonic()
        threads: list[Worker | Checker] = [*self._workers.values(), self._checker]
        return all(now - each.beat < _STALLED for each in threads if each.is_alive())

    def _level(self) -> None:
        """Start what is missing, end what is too much, wake whose mail waits to be sent."""
        wanted = set(Mailbox.objects.filter(state=MailboxState.CONNECTED).values_list("pk", flat=True))
        for key in wanted:
            worker = self._workers.get(key)
            if worker is None or not worker.is_alive():
                self._workers[key] = Worker(key)
                self._workers[key].start()
        for key in set(self._workers) - wanted:
            self._workers.pop(key).end()
        waiting = OutboxMessage.objects.filter(state__in=[OutboxState.QUEUED, OutboxState.SENDING])
        for key in waiting.values_list("mailbox", flat=True).distinct():
            self._wake(key)

    def _wait_for_news(self) -> None:
        """Sleep until the web tells of something, for a moment at most."""
        connection.ensure_connection()
        link = connection.connection
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
        for _ in link.notifies(timeout=_CHECK, stop_after=1):
            break

    def _wake(self, key: int) -> None:
        worker = self._workers.get(key)
        if worker is not None:
            worker.wake()

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._ended.set()

    def _stop(self) -> None:
        self._listener.end()
        self._checker.end()
        for worker in self._workers.values():
            worker.end()
        deadline = time.monotonic() + 15
        for worker in self._workers.values():
            worker.join(max(0.0, deadline - time.monotonic()))
        self._checker.join(max(0.0, deadline - time.monotonic()))
        connections.close_all()
