"""Web and sync wake each other through PostgreSQL: NOTIFY in the transaction that changed something.

https://www.postgresql.org/docs/current/sql-notify.html
"""

from __future__ import annotations

from django.db import connection

CHANNEL = "guestpost"
OUTBOX, MAILBOXES = "outbox", "mailboxes"


def notify(what: str) -> None:
    """Tell sync that there is work, once the transaction is committed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, what])
