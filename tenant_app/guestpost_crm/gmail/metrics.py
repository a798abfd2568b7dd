"""What Prometheus is told: counts and times, never addresses or content."""

from prometheus_client import Counter, Gauge

FETCHED = Counter("guestpost_messages_fetched_total", "Messages fetched from Gmail.")
FAILURES = Counter("guestpost_sync_failures_total", "Rounds of sync that failed.", ["reason"])
NOTIFICATIONS = Counter("guestpost_notifications_total", "Notifications received.", ["outcome"])
SYNCED = Gauge("guestpost_mailbox_synced_timestamp_seconds", "When a mailbox was last level.", ["mailbox"])
DIFFERENCE = Gauge("guestpost_mailbox_difference", "Messages at Gmail that are missing here.", ["mailbox"])
QUEUED = Gauge("guestpost_mailbox_queued", "Messages that are known of and not here yet.", ["mailbox"])


def forget(mailbox: int) -> None:
    """A mailbox is not worked on any more: what was last known of it is no news."""
    for gauge in (SYNCED, DIFFERENCE, QUEUED):
        if (str(mailbox),) in gauge._metrics:
            gauge.remove(mailbox)
