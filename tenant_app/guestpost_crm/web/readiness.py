"""Whether the database answers and has the tables of this version."""

from __future__ import annotations

from django.db import connection
from django.db.migrations.executor import MigrationExecutor


def schema_is_current() -> bool:
    """Whether no migration is left to do (DatabaseError when the database does not answer)."""
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())
