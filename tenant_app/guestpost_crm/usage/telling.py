"""Telling the service how much is here: whole numbers, in the one TenantUsage of this namespace.

The object itself says when it was told last, so webs need no memory and may be several: each reads it before
it writes, and a CRM in which nothing changes writes nothing (docs/decisions/usage.md).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.models.signals import post_save
from django.utils import timezone

from guestpost_crm.accounts.models import Person
from guestpost_crm.background import Background
from guestpost_crm.gmail.models import Mailbox
from guestpost_crm.privacy import kubernetes
from guestpost_crm.usage.amounts import amounts, events, few

PLURAL, KIND, NAME = "tenantusages", "TenantUsage", "usage"
MANAGER = "guestpost-crm-usage"
# Told again no sooner than that, unless people or mailboxes came or went; of a young tenant, whose numbers
# grow fast, no sooner than in as long as it had been known for.
LEAST, MOST = dt.timedelta(minutes=1), dt.timedelta(hours=6)
# When the API server refuses or is away.
AGAIN = dt.timedelta(minutes=10)
log = structlog.get_logger()


def due_at(told: Mapping[str, Any], counted_at: dt.datetime | None) -> dt.datetime:
    """When it is time to count everything again. Pure.

    Args:
        told: the TenantUsage as it is; empty when there is none.
        counted_at: when everything was counted last, as far as this process knows.
    """
    if not told:
        return dt.datetime.min.replace(tzinfo=dt.UTC)
    created = dt.datetime.fromisoformat(told["metadata"]["creationTimestamp"])
    reported = dt.datetime.fromisoformat(told["status"]["reportedAt"])
    last = max(reported, counted_at or reported)
    return last + min(MOST, max(LEAST, last - created))


def is_new(told: Mapping[str, Any], numbers: Mapping[str, Any]) -> bool:
    """Whether any of some numbers is not as it was told. Pure."""
    status = told.get("status", {})
    return any(status.get(name) != value for name, value in numbers.items())


class Teller(Background):
    """Tells when it is time, and as soon as people or mailboxes come or go."""

    def __init__(self) -> None:
        super().__init__("usage", LEAST.total_seconds())
        self._told: dict[str, Any] | None = None
        self._counted_at: dt.datetime | None = None
        for model in (Person, Mailbox):
            post_save.connect(self._changed, sender=model)

    def tidy(self) -> None:
        """Nothing is kept that could be."""

    def step(self) -> bool:
        """Tell if it is time, and say how long to wait."""
        now = timezone.now()
        # Whatever else goes wrong.
        self._quiet = AGAIN.total_seconds()
        try:
            self._tell(now)
            wait = due_at(self._told or {}, self._counted_at) - now
        except kubernetes.KubernetesError as error:
            log.warning("usage not told", status=error.status)
            # What is known may not be so any more.
            self._told, wait = None, AGAIN
        finally:
            # It waits for hours.
            connection.close()
        # Who was woken before it was time does not begin to wait anew.
        self._quiet = max(1.0, wait.total_seconds())
        return False

    def _tell(self, now: dt.datetime) -> None:
        if self._told and not self._is_time(self._told, now):
            return
        told = self._told = _present()
        if not self._is_time(told, now):
            return
        numbers = {**amounts(), "events": events()}
        self._counted_at = now
        if is_new(told, numbers):
            moment = now.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            body = {"status": {"reportedAt": moment, **numbers}}
            self._told = kubernetes.apply(PLURAL, KIND, NAME, body, MANAGER)

    def _is_time(self, told: Mapping[str, Any], now: dt.datetime) -> bool:
        return now >= due_at(told, self._counted_at) or is_new(told, few())

    def _changed(self, **_: Any) -> None:
        transaction.on_commit(self.wake)


def _present() -> dict[str, Any]:
    """The TenantUsage as it is; empty when there is none (KubernetesError)."""
    try:
        return kubernetes.get(PLURAL, NAME)
    except kubernetes.KubernetesError as error:
        if error.status == 404:
            return {}
        raise
