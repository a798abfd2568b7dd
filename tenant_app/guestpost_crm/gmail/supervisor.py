"""The sync process: one worker for each connected mailbox, the notifications' listener, probes."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType

import structlog
from django.db import Error, close_old_connections, connection, connections
from django.utils import timezone

from guestpost_crm.background import Background
from guestpost_crm.environment import current
from guestpost_crm.gmail import metrics, sending
from guestpost_crm.gmail.models import Mailbox, MailboxState
from guestpost_crm.gmail.notifications import Listener
from guestpost_crm.gmail.signals import CHANNEL, LOOK
from guestpost_crm.gmail.worker import Worker
from guestpost_crm.inbox.services import make_searchable
from guestpost_crm.integrations.deliverer import Deliverer
from guestpost_crm.notices.postman import Postman
from guestpost_crm.outreach.checker import Checker
from guestpost_crm.web import numbers
from guestpost_crm.web.probes import serve_probes

# Longer than the longest wait that Gmail asks for.
_STALLED = 900.0
_CHECK = 2.0
_BEAT = 10.0
log = structlog.get_logger()


class Supervisor:
    """Keeps the workers that the database asks for."""

    def __init__(self) -> None:
        self._workers: dict[int, Worker] = {}
        self._ended = threading.Event()
        self._listener = Listener(self._wake)
        self._background: list[Background] = [Checker(), Deliverer(), Postman()]
        self._next_beat = 0.0

    def run(self) -> None:
        """Work until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        serve_probes(current().metrics_port, self.healthy)
        self._listener.start()
        for each in self._background:
            each.start()
        while not self._ended.is_set():
            try:
                close_old_connections()
                self._level()
                self._wait_for_news()
            except Error as error:
                log.warning("database", problem=type(error).__name__)
                connection.close()
                self._ended.wait(_CHECK)
        self._stop()

    def healthy(self) -> bool:
        """Whether no worker has stood still for long; says nothing of the database or of Gmail."""
        now = time.monotonic()
        threads: list[Worker | Background] = [*self._background, *self._workers.values()]
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
            metrics.forget(key)
        for key in sending.due().values_list("mailbox", flat=True).distinct():
            self._wake(key, look=False)
        make_searchable()
        self._beat()

    def _beat(self) -> None:
        """Write down whose workers live, for the page that tells how mailboxes are doing."""
        now = time.monotonic()
        if now >= self._next_beat:
            self._next_beat = now + _BEAT
            alive = [
                key for key, each in self._workers.items() if each.is_alive() and now - each.beat < _STALLED
            ]
            Mailbox.objects.filter(pk__in=alive).update(beat_at=timezone.now())

    def _wait_for_news(self) -> None:
        """Sleep until the web tells of something, for a moment at most."""
        connection.ensure_connection()
        link = connection.connection
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
        # The driver's own errors become Django's, or a database that goes away would end this thread.
        with connection.wrap_database_errors:
            news = next(iter(link.notifies(timeout=_CHECK, stop_after=1)), None)
        if news is not None:
            kind, _, key = news.payload.partition(":")
            if kind == LOOK and (mailbox := numbers.number(key)) is not None:
                self._wake(mailbox)

    def _wake(self, key: int, *, look: bool = True) -> None:
        worker = self._workers.get(key)
        if worker is not None:
            worker.wake(look=look)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._ended.set()

    def _stop(self) -> None:
        self._listener.end()
        for each in self._background:
            each.end()
        for worker in self._workers.values():
            worker.end()
        deadline = time.monotonic() + 15
        for thread in (*self._workers.values(), *self._background):
            thread.join(max(0.0, deadline - time.monotonic()))
        connections.close_all()
