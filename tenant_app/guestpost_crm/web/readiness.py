"""Whether the database answers and has the tables of this version."""

from __future__ import annotations

from functools import lru_cache
from pkgutil import iter_modules

from django.apps import apps
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder


def schema_is_current() -> bool:
    """Whether no migration is left to do (DatabaseError when the database does not answer).

    Asked by every probe, so the migrations are known by name and not loaded: that is several MiB of them.
    """
    return _known() <= MigrationRecorder(connection).applied_migrations().keys()


@lru_cache(maxsize=1)
def _known() -> frozenset[tuple[str, str]]:
    """App and name of this version's migrations, found as Django's MigrationLoader finds them."""
    return frozenset(
        (app.label, module.name)
        for app in apps.get_app_configs()
        for module in iter_modules([f"{app.path}/migrations"])
        if not module.ispkg and module.name[0] not in "_~"
    )
