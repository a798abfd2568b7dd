"""The thread of the sync process that looks at placements, and closes offers that have run out."""

from __future__ import annotations

import datetime as dt
import threading
import time

import structlog
from django.db import DatabaseError, close_old_connections, connection
from django.utils import timezone
from prometheus_client import Counter

from guestpost_crm.environment import current
from guestpost_crm.outreach.linkcheck.addresses import networks
from guestpost_crm.outreach.linkcheck.client import Client, FetchError
from guestpost_crm.outreach.linkcheck.findings import Expected, Findings, examine, unreachable
from guestpost_crm.outreach.models import Placement
from guestpost_crm.outreach.services import offers, placements

_QUIET = 5.0
_AFTER_FAILURE = 30.0
CHECKS = Counter("guestpost_placement_checks_total", "Placed links that were looked at.", ["outcome"])
log = structlog.get_logger()


class Checker(threading.Thread):
    """Looks at one placement after the other, whichever is due; several processes share the work."""

    def __init__(self, client: Client | None = None) -> None:
        super().__init__(name="outreach-checker", daemon=True)
        self._client = client or Client(allowed=networks(current().link_check_allow))
        self._ended = threading.Event()
        self._day: dt.date | None = None
        self.beat = time.monotonic()

    def end(self) -> None:
        """Stop after what is being done now."""
        self._ended.set()

    def run(self) -> None:
        """Work until ended; every failure is told, waited for and tried again."""
        while not self._ended.is_set():
            wait = _QUIET
            try:
                close_old_connections()
                self._close_offers()
                while not self._ended.is_set() and self.step():
                    self.beat = time.monotonic()
            except DatabaseError as error:
                log.warning("database", part="outreach", problem=type(error).__name__)
                connection.close()
            except Exception as error:
                log.error("looking at placements failed", problem=type(error).__name__)
                wait = _AFTER_FAILURE
            self.beat = time.monotonic()
            self._ended.wait(wait)
        connection.close()

    def step(self) -> bool:
        """Look at the placement that is due; False when none is."""
        placement = placements.claim(timezone.now())
        if placement is None:
            return False
        found = self.look(placement)
        look = placements.Look(found.outcome, found.problems, found.stored())
        placements.looked(placement, look, timezone.now())
        CHECKS.labels(found.outcome).inc()
        return True

    def look(self, placement: Placement) -> Findings:
        """What is found at a placement's page; never raises for what the page is."""
        expected = Expected(placement.url, placement.target_url, placement.anchor, placement.rel)
        try:
            return examine(expected, self._client.fetch(placement.url))
        except FetchError as error:
            return unreachable(error.problem)
        except Exception as error:
            # Nothing that a page contains may stop the others from being looked at.
            log.error("a page could not be read", placement=placement.pk, problem=type(error).__name__)
            return unreachable("server-error")

    def _close_offers(self) -> None:
        today = timezone.localdate()
        if self._day != today:
            offers.expire(today)
            self._day = today
