"""A first import's share of what the Google project allows all tenants together, as the broker gives it.

See docs/consent-broker.md. New mail, people's clicks and sends never wait for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from guestpost_crm.gmail.broker import Broker, BrokerError, TokenHolder

# Units a minute while the broker says nothing: what it gives everybody at least.
UNTOLD = 300
_UNTOLD_SECONDS = 60.0
# A share is asked for again before it ends.
_EARLY = 0.75


class Share:
    """How much may be imported now; used by one thread.

    Args:
        mailbox: whose import it is.
        wanted: gives the units a minute that Gmail would let this mailbox use.
        broker: gives shares.
        clock: seconds, growing.
    """

    def __init__(
        self,
        mailbox: TokenHolder,
        wanted: Callable[[], float],
        broker: Broker | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._mailbox = mailbox
        self._wanted = wanted
        self._broker = broker or Broker()
        self._clock = clock
        self._rate = 0.0
        self._level = 0.0
        self._since = 0.0
        self._ends = self._ask_at = 0.0

    def wait(self, units: int) -> float:
        """Take units for the import; returns 0, or else the seconds to wait and takes nothing."""
        now = self._clock()
        if now >= self._ask_at:
            self._ask(now)
        if now >= self._ends:
            return max(0.1, self._ask_at - now)
        self._level = min(max(self._rate / 6, units), self._level + (now - self._since) * self._rate / 60)
        self._since = now
        if (missing := units - self._level) > 0:
            return max(0.001, missing * 60 / self._rate)
        self._level -= units
        return 0.0

    def give_back(self) -> None:
        """The import is through: others may have the rest of the share."""
        if self._clock() < self._ends:
            self._ends = self._ask_at = 0.0
            self._broker_says(0)

    def _ask(self, now: float) -> None:
        told = self._broker_says(int(self._wanted()))
        rate, seconds = told or (UNTOLD, _UNTOLD_SECONDS)
        if now >= self._ends:
            # The first call need not wait; what was saved up under an earlier share is gone.
            self._level, self._since = rate / 60, now
        self._rate = float(rate)
        self._ends = now + seconds if rate else 0.0
        self._ask_at = now + (seconds * _EARLY if rate else seconds)

    def _broker_says(self, wanted: int) -> tuple[int, float] | None:
        """Units a minute and for how many seconds; None when the broker does not say."""
        try:
            return self._broker.backfill(self._mailbox.sub, self._mailbox.token(), wanted)
        except BrokerError:
            return None
