"""Advisory locks of PostgreSQL: one worker for one mailbox, whoever else runs.

https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

SYNC, MIGRATE = 0x6770_01, 0x6770_03


@contextmanager
def held(kind: int, identifier: int) -> Iterator[bool]:
    """Try to hold a lock for as long as the block lasts; says whether it is held.

    The lock belongs to this thread's connection: it goes when the process dies.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [kind, identifier])
        row = cursor.fetchone()
    taken = bool(row and row[0])
    try:
        yield taken
    finally:
        if taken and connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [kind, identifier])
