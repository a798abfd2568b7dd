"""Gmail's notifications from this tenant's Pub/Sub subscription.

A notification only raises a number in the database, and is acknowledged when that is committed. What it
says of history is a hint; https://developers.google.com/workspace/gmail/api/guides/push.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from django.db import DatabaseError, close_old_connections, connection
from django.db.models import F
from django.utils import timezone

from guestpost_crm.environment import current
from guestpost_crm.gmail import metrics
from guestpost_crm.gmail.models import Mailbox, MailboxState

_WAIT = 5.0
_WAIT_FOR_DATABASE = 1.0
log = structlog.get_logger()


def take(data: bytes) -> int | None:
    """Count a notification for its mailbox; returns the mailbox's key, None when it is for none of ours.

    Raises:
        DatabaseError: it must come again.
    """
    try:
        address = str(json.loads(data)["emailAddress"])
    except (ValueError, KeyError, TypeError):
        metrics.NOTIFICATIONS.labels("malformed").inc()
        return None
    mailbox = Mailbox.objects.filter(address__iexact=address, state=MailboxState.CONNECTED)
    key = mailbox.values_list("pk", flat=True).first()
    if key is None:
        metrics.NOTIFICATIONS.labels("unknown").inc()
        return None
    Mailbox.objects.filter(pk=key).update(notified=F("notified") + 1, notified_at=timezone.now(), unnoticed=0)
    metrics.NOTIFICATIONS.labels("taken").inc()
    return int(key)


class Listener(threading.Thread):
    """Keeps a streaming pull open for as long as it is not stopped.

    Args:
        wake: called with the key of a mailbox that has changed.
    """

    def __init__(self, wake: Callable[[int], None]) -> None:
        super().__init__(name="notifications", daemon=True)
        self._wake = wake
        self._ended = threading.Event()
        self._pull: Any = None

    def end(self) -> None:
        """Stop."""
        self._ended.set()
        if self._pull is not None:
            self._pull.cancel()

    def run(self) -> None:
        """Pull; when the stream breaks, wait a moment and open it again."""
        from google.cloud import pubsub_v1
        from google.cloud.pubsub_v1.subscriber.scheduler import ThreadScheduler

        while not self._ended.is_set():
            try:
                subscriber = pubsub_v1.SubscriberClient()
                flow = pubsub_v1.types.FlowControl(max_messages=100)
                # One thread, and so one connection to the database, is more than enough for counting.
                one = ThreadScheduler(ThreadPoolExecutor(1, "notification"))
                subscription = current().pubsub_subscription
                with subscriber:
                    self._pull = subscriber.subscribe(
                        subscription, callback=self._received, flow_control=flow, scheduler=one
                    )
                    self._pull.result()
            except Exception as error:
                if not self._ended.is_set():
                    log.warning("pub/sub", problem=type(error).__name__)
            self._ended.wait(_WAIT)

    def _received(self, message: Any) -> None:
        started = time.monotonic()
        try:
            close_old_connections()
            key = take(bytes(message.data))
        except DatabaseError:
            connection.close()
            # It comes again at once: not in a circle while the database is away.
            self._ended.wait(_WAIT_FOR_DATABASE)
            message.nack()
            return
        message.ack()
        if key is not None:
            self._wake(key)
        log.debug("notification", seconds=round(time.monotonic() - started, 3))
