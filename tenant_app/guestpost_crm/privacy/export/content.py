"""Raw messages in bulk: rows with their blobs, read in one pass and opened chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from guestpost_crm.inbox import storage

# Rows of the server's cursor that are held at once; each carries a chunk of half a megabyte at most.
_ROWS = 20


@dataclass
class RawMessage:
    """A row and its raw message; the pieces are to be used before the next row is asked for."""

    row: tuple[Any, ...]
    size: int
    pieces: Iterator[bytes]


def raw_messages(queryset: QuerySet[Any], *columns: str) -> Iterator[RawMessage]:
    """Rows of a model that has a blob `raw`, by key, with what the blobs hold.

    One query over rows and chunks instead of two for each message.

    Args:
        queryset: which rows.
        *columns: what is wanted of each.

    Raises:
        crypto.DecryptionError: something was changed in the database.
    """
    rows = (
        queryset.order_by("pk", "raw__chunks__index")
        .values_list("raw_id", "raw__size", "raw__chunks__index", "raw__chunks__content", *columns)
        .iterator(chunk_size=_ROWS)
    )
    upcoming = next(rows, None)
    while upcoming is not None:
        first = upcoming
        state: dict[str, Any] = {}

        def pieces(first: tuple[Any, ...] = first, state: dict[str, Any] = state) -> Iterator[bytes]:
            row: tuple[Any, ...] | None = first
            while row is not None and row[0] == first[0]:
                yield storage.open_chunk(row[0], row[1], row[2], row[3])
                row = next(rows, None)
            state["next"] = row

        opened = pieces()
        yield RawMessage(first[4:], first[1], opened)
        for _ in opened:
            # What was not asked for is passed over.
            pass
        upcoming = state["next"]


def one_snapshot() -> None:
    """Let the transaction under way see the database as it is at its first query, until its end."""
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
