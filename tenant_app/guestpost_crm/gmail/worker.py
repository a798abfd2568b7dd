"""One mailbox's worker: a thread that synchronises it, renews its watch and sends its mail."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Iterator
from itertools import chain, takewhile

import structlog
from django.db import Error, close_old_connections, connection
from django.db.models import F
from django.utils import timezone

from guestpost_crm.environment import current
from guestpost_crm.gmail import comparison, locks, metrics, sending
from guestpost_crm.gmail.api import Gmail
from guestpost_crm.gmail.comparison import Comparison
from guestpost_crm.gmail.consent import consent_gone
from guestpost_crm.gmail.errors import (
    BrokerAwayError,
    ConsentGoneError,
    GmailError,
    RateLimitedError,
    RefusedError,
    word,
)
from guestpost_crm.gmail.models import FetchItem, Mailbox, MailboxState
from guestpost_crm.gmail.pace import Pace
from guestpost_crm.gmail.quota import UNITS, Bucket
from guestpost_crm.gmail.share import Share
from guestpost_crm.gmail.sync import MailboxSync

RENEW = dt.timedelta(days=1)
# Google drops notifications above one a second, so after a change we look again by ourselves.
FIRST_LOOK, LAST_LOOK = 0.25, 8.0
# While nobody tells us of changes, we ask.
UNTOLD_LOOK = 30.0
AT_ONCE = 200
# Whatever else there is to do gets its turn after so many seconds of fetching.
_ROUND = 2.0
_WAIT_AFTER_FAILURE = 60.0
_WAIT_FOR_LOCK = 2.0
_SHORT = 0.5
_WAIT_FOR_WATCH = 300.0
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
        self._look = threading.Event()
        self._ended = threading.Event()
        self._interval = FIRST_LOOK
        self._next_look = 0.0
        self._next_watch = 0.0
        self._failures = 0
        self._pace = Pace()
        self._bucket: Bucket
        self._gmail: Gmail
        self._share: Share
        self._import_at = 0.0
        self._sync: MailboxSync | None = None
        self._comparison: Comparison | None = None
        self.beat = time.monotonic()

    def wake(self, *, look: bool = True) -> None:
        """There is something to do; `look`: Gmail has something new."""
        if look:
            self._look.set()
        self._wake.set()

    def end(self) -> None:
        """Stop after what is being done now."""
        self._ended.set()
        self._wake.set()

    def run(self) -> None:
        """Work; every failure is told, waited for and tried again."""
        while not self._ended.is_set():
            wait = self.step()
            # What has just failed is not tried again because somebody knocks.
            (self._ended if self._failures else self._wake).wait(wait)
        connection.close()

    def step(self) -> float:
        """Everything there is to do now, unless another process does it; then how many seconds to wait."""
        self._wake.clear()
        try:
            close_old_connections()
            with locks.held(locks.SYNC, self._id) as ours:
                return self._round() if ours else _WAIT_FOR_LOCK
        except Error as error:
            log.warning("database", mailbox=self._id, problem=type(error).__name__)
            connection.close()
            return self._after_failure()
        except Exception as error:
            log.error("round failed", mailbox=self._id, problem=type(error).__name__)
            return self._after_failure()
        finally:
            self.beat = time.monotonic()

    def _after_failure(self) -> float:
        self._failures = min(self._failures + 1, 10)
        return float(min(0.5 * 2**self._failures, _WAIT_AFTER_FAILURE))

    def _round(self) -> float:
        mailbox = Mailbox.objects.get(pk=self._id)
        if mailbox.state != MailboxState.CONNECTED:
            self._ended.set()
            return 0.0
        if self._sync is None:
            # Kept, for an access token serves for an hour.
            self._bucket = Bucket(current().gmail_quota_units_per_minute, mailbox.quota_per_minute)
            self._gmail = Gmail(mailbox, self._bucket)
            self._sync = MailboxSync(mailbox, self._gmail)
            self._share = Share(mailbox, lambda: self._bucket.per_minute)
            metrics.DIFFERENCE.labels(self._id).set(mailbox.difference)
        try:
            self._work(self._sync, self._gmail)
        except ConsentGoneError as error:
            log.info("consent gone", mailbox=self._id, problem=error.problem)
            consent_gone(self._sync.mailbox, error.problem)
            self._ended.set()
            return 0.0
        except GmailError as error:
            return self._ill(error)
        now = time.monotonic()
        next_look = self._next_look if self._import_at <= now else min(self._next_look, self._import_at)
        return max(0.0, next_look - now)

    def _work(self, sync: MailboxSync, gmail: Gmail) -> None:
        """Send, look for changes when it is time to, fetch and list, until nothing is left to do."""
        mailbox = sync.mailbox
        mailbox.refresh_from_db()
        while not self._ended.is_set():
            self.beat = time.monotonic()
            self._wake.clear()
            sent = self._send(mailbox, gmail)
            if sent or self._due():
                self._looked(mailbox, sync.catch_up(), told=sent)
            self._renew_watch(mailbox, gmail)
            fetched = self._fetch(sync)
            listed = self._list(sync)
            busy = fetched or listed or sent or self._compare(sync, gmail)
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
        return self._look.is_set() or time.monotonic() >= self._next_look

    def _looked(self, mailbox: Mailbox, changed: bool, *, told: bool) -> None:
        """Look again soon after a change, then less and less often, then as in quiet times."""
        told = told or self._look.is_set() or self._interval <= LAST_LOOK
        self._look.clear()
        if changed and not told:
            # Nobody told of this one. That can be chance once, but not again and again.
            Mailbox.objects.filter(pk=mailbox.pk).update(unnoticed=F("unnoticed") + 1)
        self._interval = FIRST_LOOK if changed else min(self._interval * 1.6, LAST_LOOK * 2)
        quiet = current().quiet_poll_seconds
        if not mailbox.is_watched:
            quiet = min(quiet, UNTOLD_LOOK)
        wait = self._interval if self._interval <= LAST_LOOK else quiet
        self._next_look = time.monotonic() + min(wait, quiet)

    def _send(self, mailbox: Mailbox, gmail: Gmail) -> bool:
        message = sending.next_message(mailbox)
        if message is None:
            return False
        sending.work(message, gmail)
        return True

    def _fetch(self, sync: MailboxSync) -> bool:
        """Fetch for a while, until the queue is empty or something else wants its turn."""
        fetched = 0
        until = min(time.monotonic() + _ROUND, max(self._next_look, time.monotonic() + FIRST_LOOK))

        def stop() -> bool:
            return time.monotonic() > until or self._wake.is_set() or self._ended.is_set()

        while items := self._allowed(sync.next_items(AT_ONCE)):
            done = sync.fetch(items, stop)
            self.beat = time.monotonic()
            metrics.FETCHED.inc(done)
            fetched += done
            if not done or stop():
                break
        self._pace.count(fetched)
        return fetched > 0

    def _list(self, sync: MailboxSync) -> bool:
        if sync.mailbox.is_listed or not self._may_import(UNITS["messages.list"]):
            return False
        return sync.list_page()

    def _allowed(self, items: list[FetchItem]) -> Iterator[FetchItem] | None:
        """Of what to fetch: new mail always, the import as far as its share allows it; None for nothing."""
        if not items or not self._is_allowed(items[0]):
            return None
        return chain(items[:1], takewhile(self._is_allowed, items[1:]))

    def _is_allowed(self, item: FetchItem) -> bool:
        return item.live or self._may_import(UNITS["messages.get"])

    def _may_import(self, units: int) -> bool:
        """Whether the share of the project's quota allows it; a short wait is waited here."""
        if self._import_at > time.monotonic():
            return False
        wait = self._share.wait(units)
        if 0 < wait <= _SHORT:
            self._wake.wait(wait + 0.01)
            wait = self._share.wait(units)
        self._import_at = time.monotonic() + wait if wait else 0.0
        return not wait

    def _renew_watch(self, mailbox: Mailbox, gmail: Gmail) -> None:
        """Renew daily what lasts seven days at most; without it mail comes later, but it comes."""
        expires = mailbox.watch_expires_at
        fresh = expires is not None and expires - timezone.now() > dt.timedelta(days=7) - RENEW
        if (fresh and not mailbox.watch_error) or time.monotonic() < self._next_watch:
            return
        try:
            answer = gmail.watch(current().pubsub_topic)
        except (ConsentGoneError, RateLimitedError):
            raise
        except GmailError as error:
            self._next_watch = time.monotonic() + _WAIT_FOR_WATCH
            mailbox.watch_error = word(error)[:60]
            log.warning("no watch", mailbox=self._id, problem=mailbox.watch_error)
        else:
            mailbox.watch_error = ""
            mailbox.watch_expires_at = dt.datetime.fromtimestamp(int(answer["expiration"]) / 1000, dt.UTC)
            log.info("watch renewed", mailbox=self._id)
        mailbox.save(update_fields=["watch_expires_at", "watch_error"])

    def _well(self, mailbox: Mailbox) -> None:
        """Write down how it goes."""
        self._failures = 0
        told = {"error": "", "error_at": None}
        if mailbox.is_listed and not FetchItem.objects.filter(mailbox=mailbox).exists():
            Mailbox.objects.filter(pk=mailbox.pk).update(synced_at=F("looked_at"), **told)
            metrics.SYNCED.labels(self._id).set(time.time())
            self._share.give_back()
        else:
            Mailbox.objects.filter(pk=mailbox.pk).update(**told)
        if (rate := self._pace.news()) is not None:
            Mailbox.objects.filter(pk=mailbox.pk).update(
                fetch_rate=rate, quota_per_minute=self._bucket.per_minute
            )
            metrics.QUEUED.labels(self._id).set(FetchItem.objects.filter(mailbox=mailbox).count())

    def _ill(self, error: GmailError) -> float:
        """Say what is wrong, and how long to wait."""
        wait = self._after_failure()
        code = "gmail_unavailable"
        if isinstance(error, RateLimitedError):
            code, wait = "rate_limited", max(wait, error.retry_after)
        elif isinstance(error, BrokerAwayError):
            code = "broker_unavailable"
        elif isinstance(error, RefusedError):
            code = "gmail_refuses"
        mailbox = Mailbox.objects.filter(pk=self._id)
        mailbox.update(error=code)
        mailbox.filter(error_at=None).update(error_at=timezone.now())
        metrics.FAILURES.labels(code).inc()
        log.info("sync waits", mailbox=self._id, problem=code, seconds=round(wait, 1))
        return wait
