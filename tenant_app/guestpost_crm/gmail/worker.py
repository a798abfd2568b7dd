"""One mailbox's worker: a thread that synchronises it, renews its watch and sends its mail."""

from __future__ import annotations

import datetime as dt
import threading
import time

import structlog
from django.db import DatabaseError, close_old_connections, connection
from django.utils import timezone

from guestpost_crm.environment import current
from guestpost_crm.gmail import comparison, locks, metrics, outbox
from guestpost_crm.gmail.api import ConsentGoneError, Gmail, GmailError, RateLimitedError
from guestpost_crm.gmail.broker import BrokerError
from guestpost_crm.gmail.comparison import Comparison
from guestpost_crm.gmail.consent import consent_gone
from guestpost_crm.gmail.models import Mailbox, MailboxState
from guestpost_crm.gmail.quota import Bucket
from guestpost_crm.gmail.sync import MailboxSync

RENEW = dt.timedelta(days=1)
# Google drops notifications above one a second, so after a change we look again by ourselves.
FIRST_LOOK, LAST_LOOK = 0.25, 8.0
_WAIT_AFTER_FAILURE = 60.0
_WAIT_FOR_LOCK = 2.0
log = structlog.get_logger()


class Worker(threading.Thread):
    """Works on one mailbox until it is stopped or the consent is gone.

    Args:
        mailbox: primary key.
    """

    def __init__(self, mailbox: int) -> None:
        super().__init__(name=f"mailbox-{mailbox}", daemon=True)
        self._id = mailbox
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._bucket = Bucket(current().gmail_quota_units_per_minute)
        self._interval = FIRST_LOOK
        self._next_look = 0.0
        self._failures = 0
        self._gmail: Gmail
        self._sync: MailboxSync | None = None
        self._comparison: Comparison | None = None
        self.beat = time.monotonic()

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    def end(self) -> None:
        """Stop after what is being done now."""
        self._ended.set()
        self._wake.set()

    def run(self) -> None:
        """Work; every failure is told, waited for and tried again."""
        while not self._ended.is_set():
            wait = _WAIT_FOR_LOCK
            try:
                close_old_connections()
                with locks.held(locks.SYNC, self._id) as ours:
                    if ours:
                        wait = self._round()
                    else:
                        self._wake.clear()
            except DatabaseError as error:
                log.warning("database", mailbox=self._id, problem=type(error).__name__)
                connection.close()
                wait = self._after_failure()
            except Exception as error:
                log.error("round failed", mailbox=self._id, problem=type(error).__name__)
                wait = self._after_failure()
            self.beat = time.monotonic()
            self._wake.wait(wait)
        connection.close()

    def _after_failure(self) -> float:
        self._failures += 1
        self._wake.clear()
        return float(min(0.5 * 2**self._failures, _WAIT_AFTER_FAILURE))

    def _round(self) -> float:
        """Everything there is to do now, then how many seconds to wait."""
        mailbox = Mailbox.objects.get(pk=self._id)
        if mailbox.state != MailboxState.CONNECTED:
            self._ended.set()
            return 0.0
        if self._sync is None:
            # Kept, for an access token serves for an hour.
            self._gmail = Gmail(mailbox.token, self._bucket)
            self._sync = MailboxSync(mailbox, self._gmail)
        try:
            self._work(self._sync, self._gmail)
        except ConsentGoneError:
            log.info("consent gone", mailbox=self._id)
            consent_gone(self._sync.mailbox)
            self._ended.set()
            return 0.0
        except (GmailError, BrokerError) as error:
            return self._ill(mailbox, error)
        return max(0.0, self._next_look - time.monotonic())

    def _work(self, sync: MailboxSync, gmail: Gmail) -> None:
        """Send, look for changes when it is time to, fetch and list, until nothing is left to do."""
        mailbox = sync.mailbox
        mailbox.refresh_from_db()
        while not self._ended.is_set():
            self.beat = time.monotonic()
            sent = self._send(mailbox, gmail)
            if self._due():
                self._looked(changed=sync.catch_up() or sent)
            self._renew_watch(mailbox, gmail)
            busy = self._fetch(sync) or sync.list_page() or self._compare(sync, gmail) or sent
            self._well(mailbox)
            if not busy:
                return

    def _compare(self, sync: MailboxSync, gmail: Gmail) -> bool:
        """Once a day, compare what is here with what Gmail has; False when nothing of it is left to do."""
        if not comparison.due(sync.mailbox):
            return False
        if self._comparison is None:
            self._comparison = Comparison(sync, gmail)
        if not self._comparison.step():
            self._comparison = None
        return True

    def _due(self) -> bool:
        if self._wake.is_set():
            self._wake.clear()
            return True
        return time.monotonic() >= self._next_look

    def _looked(self, *, changed: bool) -> None:
        """Look again soon after a change, then less and less often, then as in quiet times."""
        self._interval = FIRST_LOOK if changed else min(self._interval * 1.6, LAST_LOOK * 2)
        quiet = current().quiet_poll_seconds
        wait = self._interval if self._interval <= LAST_LOOK else quiet
        self._next_look = time.monotonic() + min(wait, quiet)

    def _send(self, mailbox: Mailbox, gmail: Gmail) -> bool:
        with locks.held(locks.OUTBOX, self._id) as ours:
            message = outbox.next_message(mailbox) if ours else None
            if message is None:
                return False
            outbox.work(message, gmail)
            return True

    def _fetch(self, sync: MailboxSync) -> bool:
        """Fetch until the queue is empty, or something else wants its turn."""
        busy = False
        until = time.monotonic() + FIRST_LOOK
        while not self._ended.is_set() and (item := sync.next_item()) is not None:
            sync.fetch(item)
            self.beat = time.monotonic()
            metrics.FETCHED.inc()
            busy = True
            if time.monotonic() > until or self._wake.is_set():
                break
        return busy

    def _renew_watch(self, mailbox: Mailbox, gmail: Gmail) -> None:
        """Renew daily what lasts seven days at most."""
        now = timezone.now()
        expires = mailbox.watch_expires_at
        if expires is not None and expires - now > dt.timedelta(days=7) - RENEW:
            return
        answer = gmail.watch(current().pubsub_topic)
        mailbox.watch_expires_at = dt.datetime.fromtimestamp(int(answer["expiration"]) / 1000, dt.UTC)
        mailbox.save(update_fields=["watch_expires_at"])
        log.info("watch renewed", mailbox=self._id)

    def _well(self, mailbox: Mailbox) -> None:
        self._failures = 0
        Mailbox.objects.filter(pk=mailbox.pk).update(synced_at=timezone.now(), error="", error_at=None)
        metrics.SYNCED.labels(self._id).set(time.time())

    def _ill(self, mailbox: Mailbox, error: Exception) -> float:
        """Say what is wrong, and how long to wait."""
        code = "rate_limited" if isinstance(error, RateLimitedError) else "gmail_unavailable"
        if isinstance(error, BrokerError):
            code = "broker_unavailable"
        elif not isinstance(error, RateLimitedError) and getattr(error, "status", 0) in (400, 403):
            code = "gmail_refuses"
        wait = error.retry_after if isinstance(error, RateLimitedError) else self._after_failure()
        Mailbox.objects.filter(pk=mailbox.pk).update(error=code, error_at=timezone.now())
        metrics.FAILURES.labels(code).inc()
        log.info("sync waits", mailbox=self._id, problem=code, seconds=round(wait, 1))
        return wait
