"""The thread of the sync process that looks at placements, and closes offers that have run out."""

from __future__ import annotations

import datetime as dt

import structlog
from django.utils import timezone
from prometheus_client import Counter

from guestpost_crm.background import Background
from guestpost_crm.environment import current
from guestpost_crm.outreach.linkcheck.addresses import networks
from guestpost_crm.outreach.linkcheck.client import Client, FetchError
from guestpost_crm.outreach.linkcheck.findings import Expected, Findings, examine, unreachable
from guestpost_crm.outreach.models import Placement
from guestpost_crm.outreach.services import offers, placements

CHECKS = Counter("guestpost_placement_checks_total", "Placed links that were looked at.", ["outcome"])
log = structlog.get_logger()


class Checker(Background):
    """Looks at one placement after the other, whichever is due; several processes share the work."""

    def __init__(self, client: Client | None = None) -> None:
        super().__init__("outreach-checker", quiet=5.0)
        self._client = client or Client(allowed=networks(current().link_check_allow))
        self._day: dt.date | None = None

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

    def tidy(self) -> None:
        """Close offers that have run out, once a day."""
        today = timezone.localdate()
        if self._day != today:
            offers.expire(today)
            self._day = today
