"""`guestpost-crm support-query`: one question to the database, by the terminal's own reading account."""

from __future__ import annotations

import sys

import psycopg

MOST = 1000


def run(sql: str) -> int:
    """Print the rows, tab-separated, a thousand at most. 1 when the database says no."""
    try:
        # Address, name and password are the terminal's PG… variables.
        with psycopg.connect(connect_timeout=5, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            if cursor.description is None:
                print(cursor.statusmessage)
                return 0
            print("\t".join(column.name for column in cursor.description))
            rows = cursor.fetchmany(MOST)
            for row in rows:
                print("\t".join("" if value is None else str(value) for value in row))
            if len(rows) == MOST and cursor.fetchone():
                print(f"… the first {MOST} rows; ask for fewer", file=sys.stderr)
    except psycopg.Error as error:
        print(f"support-query: {str(error).strip()}", file=sys.stderr)
        return 1
    return 0
