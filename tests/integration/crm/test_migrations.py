"""A release's migrations leave the database as the CRM of the release before can read and write it.

They run while that one serves, and it comes back over them when a release is taken back
(docs/decisions/releases.md): add first, remove one release later.
"""

from __future__ import annotations

from typing import Any

import pytest

# The last migration of each app that was made before anybody ran the CRM: there was no version before.
# Nothing is to be changed here any more.
FIRST = {
    "accounts": "0004_support_role",
    "audit": "0001_initial",
    "crypto": "0001_initial",
    "gmail": "0003_complete_mail",
    "inbox": "0002_complete_mail",
    "integrations": "0001_tokens_and_webhooks",
    "outreach": "0002_addresses_of_threads",
    "privacy": "0001_initial",
    "support": "0001_support_access",
    "usage": "0001_initial",
    "writing": "0001_initial",
}
# The second step: what takes away something that no release since the named one touches, by "app.name".
RELEASED: dict[str, str] = {}


@pytest.fixture
def linter(crm_database: dict[str, str], tmp_path: Any) -> Any:
    from django_migration_linter import MigrationLinter

    return MigrationLinter(no_cache=True, cache_path=str(tmp_path))


def migrations() -> dict[str, Any]:
    """Ours by app and name."""
    from django.db import connection
    from django.db.migrations.loader import MigrationLoader

    found = MigrationLoader(connection).disk_migrations
    return {
        f"{app}.{name}": migration
        for (app, name), migration in found.items()
        if migration.__module__.startswith("guestpost_crm.")
    }


def test_the_version_before_reads_and_writes_what_a_migration_leaves(
    linter: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, migration in sorted(migrations().items()):
        app, _, number = name.partition(".")
        if number > FIRST.get(app, "") and name not in RELEASED:
            linter.lint_migration(migration)
    said = capsys.readouterr().out
    assert not linter.has_errors, said


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("gmail.0003_complete_mail", "DROPPING columns"),
        ("inbox.0002_complete_mail", "NOT NULL constraint on columns"),
    ],
)
def test_the_linter_sees_what_would_break_it(
    linter: Any, capsys: pytest.CaptureFixture[str], name: str, why: str
) -> None:
    """By migrations of FIRST that could not be made any more."""
    linter.lint_migration(migrations()[name])
    assert linter.has_errors
    assert why in capsys.readouterr().out


def test_what_is_left_out_exists() -> None:
    assert {f"{app}.{name}" for app, name in FIRST.items()} | set(RELEASED) <= set(migrations())


def test_a_probe_knows_of_every_migration_that_there_is(crm: None) -> None:
    """It knows them by name alone, so Django's own way of finding them is asked whether it knows them all."""
    from django.db import transaction
    from django.db.migrations.loader import MigrationLoader
    from django.db.migrations.recorder import MigrationRecorder
    from guestpost_crm.web.readiness import schema_is_current

    assert schema_is_current()
    for app, name in MigrationLoader(None).disk_migrations:
        with transaction.atomic():
            MigrationRecorder.Migration.objects.get(app=app, name=name).delete()
            assert not schema_is_current(), f"{app}.{name}"
            transaction.set_rollback(True)
