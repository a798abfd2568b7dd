"""Raw messages in bulk: rows with their blobs, read in one pass and opened chunk by chunk."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from psycopg import errors
from psycopg.pq import ExecStatus, Format

from guestpost_crm.inbox import storage
from guestpost_crm.privacy.export.beside import ahead

# Chunks that are fetched at once, each of half a megabyte at most. Up to four times as many are held.
_CHUNKS = 16
Chunk = tuple[int, int, bytes]


@dataclass
class RawMessage:
    """A row and its raw message; the pieces are to be used before the next row is asked for."""

    row: tuple[Any, ...]
    size: int
    pieces: Iterator[bytes]


def raw_messages(queryset: QuerySet[Any], *columns: str) -> Generator[RawMessage, None, None]:
    """Rows of a model that has a blob `raw`, by key, with what the blobs hold; inside a transaction.

    Two cursors walk side by side, instead of two queries for each message. To be closed by whoever does not
    take them all, before the transaction ends.

    Args:
        queryset: which rows.
        *columns: what is wanted of each.

    Raises:
        DatabaseError: the database does not answer.
        crypto.DecryptionError: something was changed in the database.
    """
    rows = queryset.order_by("pk").values_list("raw_id", "raw__size", *columns).iterator(chunk_size=500)
    with connection.wrap_database_errors, ahead(_batches(*_chunks(queryset))) as batches:
        chunks = chain.from_iterable(batches)
        upcoming = next(chunks, None)
        for blob, size, *row in rows:

            def pieces(blob: int = blob, size: int = size) -> Iterator[bytes]:
                nonlocal upcoming
                while upcoming is not None and upcoming[0] == blob:
                    index, sealed = upcoming[1:]
                    upcoming = next(chunks, None)
                    yield storage.open_chunk(blob, size, index, sealed)

            opened = pieces()
            yield RawMessage(tuple(row), size, opened)
            for _ in opened:
                # What was not asked for is passed over.
                pass


def _chunks(queryset: QuerySet[Any]) -> tuple[Any, str, str, Any]:
    """What `_batches` needs, which in its thread would be another connection's."""
    wanted = queryset.order_by("pk", "raw__chunks__index").values_list(
        "raw_id", "raw__chunks__index", "raw__chunks__content"
    )
    statement, parameters = wanted.query.sql_with_params()
    return connection.connection, f"chunks_of_{queryset.model._meta.model_name}", statement, parameters


def _batches(link: Any, name: str, statement: str, parameters: Any) -> Generator[list[Chunk], None, None]:
    """Blob, place and sealed content of all chunks, in the order of the rows that they belong to.

    The cursor is the driver's own, for Django's has PostgreSQL write every byte as two hexadecimal digits.
    Its rows are fetched by libpq in one call, during which Python's lock is free: the driver's own fetching
    comes back to Python, and waits for its turn, for every few kilobytes.
    """
    fetch = f"FETCH FORWARD {_CHUNKS} FROM {name}".encode()
    with link.cursor(name) as cursor:
        cursor.execute(statement, parameters)
        while True:
            # As the driver does around each of its queries: the thread that walks over the rows has some too.
            with link.lock:
                found = link.pgconn.exec_params(fetch, None, result_format=Format.BINARY)
            if found.status != ExecStatus.TUPLES_OK:
                raise errors.error_from_result(found)
            if not found.ntuples:
                return
            yield [_chunk(found, row) for row in range(found.ntuples)]


def _chunk(found: Any, row: int) -> Chunk:
    """A row of three: two whole numbers as PostgreSQL sends them, and bytes."""
    blob, index = (int.from_bytes(found.get_value(row, column), "big") for column in (0, 1))
    return blob, index, found.get_value(row, 2)


def one_snapshot() -> None:
    """Let the transaction under way see the database as it is at its first query, until its end."""
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
