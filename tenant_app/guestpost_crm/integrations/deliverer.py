"""The thread of the sync process that delivers to webhooks, through the client that guards link checks."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone
from prometheus_client import Counter

from guestpost_crm.background import Background
from guestpost_crm.environment import current
from guestpost_crm.integrations import webhooks
from guestpost_crm.integrations.models import Delivery
from guestpost_crm.outreach.linkcheck.addresses import networks
from guestpost_crm.outreach.linkcheck.client import Client, FetchError

_CLEANED = dt.timedelta(hours=6)
DELIVERIES = Counter("guestpost_webhook_deliveries_total", "Attempts to deliver to webhooks.", ["outcome"])


class Deliverer(Background):
    """Delivers one after the other, whichever is due; several processes share the work."""

    def __init__(self, client: Client | None = None) -> None:
        super().__init__("webhook-deliverer", quiet=2.0)
        self._client = client or Client(allowed=networks(current().link_check_allow), seconds=15)
        self._cleaned: dt.datetime | None = None

    def step(self) -> bool:
        """Deliver what is due; False when nothing is."""
        delivery = webhooks.claim(timezone.now())
        if delivery is None:
            return False
        status, problem = self._send(delivery)
        webhooks.tried(delivery, status, problem, timezone.now())
        DELIVERIES.labels("delivered" if 200 <= status < 300 else "refused" if status else problem).inc()
        return True

    def _send(self, delivery: Delivery) -> tuple[int, str]:
        body, headers = webhooks.signed(delivery, delivery.webhook.key(), timezone.now())
        try:
            return self._client.post(delivery.webhook.url, body, headers).status, ""
        except FetchError as error:
            return 0, error.problem

    def tidy(self) -> None:
        """Forget old deliveries, a few times a day."""
        now = timezone.now()
        if self._cleaned is None or now - self._cleaned > _CLEANED:
            webhooks.forget_old(now)
            self._cleaned = now
