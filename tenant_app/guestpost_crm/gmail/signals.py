"""Web and sync wake each other through PostgreSQL: NOTIFY in the transaction that changed something.

https://www.postgresql.org/docs/current/sql-notify.html
"""

from __future__ import annotations

from django.db import connection

CHANNEL = "guestpost"
OUTBOX, MAILBOXES, LOOK = "outbox", "mailboxes", "look"


def notify(what: str, mailbox: int | None = None) -> None:
    """Tell sync that there is work, once the transaction is committed.

    Args:
        what: OUTBOX, MAILBOXES, or LOOK: ask Gmail now what has changed.
        mailbox: the key of the mailbox to look at.
    """
    payload = what if mailbox is None else f"{what}:{mailbox}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, payload])
