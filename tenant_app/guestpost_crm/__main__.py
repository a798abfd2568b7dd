"""`guestpost-crm web | sync | migrate`: the tenant's three programs."""

from __future__ import annotations

import argparse
import os
import sys
import time


def _migrate() -> int:
    """Wait for the database and bring its tables up to date; several at once take turns."""
    from django.core.management import call_command
    from django.db import OperationalError, connection

    from guestpost_crm.crypto.services import ensure_data_key
    from guestpost_crm.environment import current
    from guestpost_crm.gmail import locks

    deadline = time.monotonic() + current().database_wait_seconds
    while True:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock(%s, 0)", [locks.MIGRATE])
            call_command("migrate", interactive=False, verbosity=1)
            ensure_data_key()
        except OperationalError as error:
            connection.close()
            if time.monotonic() > deadline:
                print(f"guestpost-crm migrate: no database: {type(error).__name__}", file=sys.stderr)
                return 1
            time.sleep(0.25)
        else:
            connection.close()
            return 0


def _wait_for_schema() -> None:
    """Wait until the tables are those that this version knows."""
    from django.db import DatabaseError, connection

    from guestpost_crm.web.readiness import schema_is_current

    while True:
        try:
            if schema_is_current():
                return
        except DatabaseError:
            connection.close()
        time.sleep(0.25)


def _sync() -> int:
    from guestpost_crm.gmail.supervisor import Supervisor

    _wait_for_schema()
    Supervisor().run()
    return 0


def _web() -> int:
    from guestpost_crm.web.server import serve

    serve()
    return 0


def main() -> int:
    """Run one of the programs."""
    parser = argparse.ArgumentParser(prog="guestpost-crm", description=__doc__)
    programs = {"web": _web, "sync": _sync, "migrate": _migrate}
    parser.add_argument("program", choices=programs)
    chosen = parser.parse_args().program
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guestpost_crm.settings")
    import django

    from guestpost_crm.environment import SettingError

    try:
        django.setup()
    except SettingError as error:
        print(f"guestpost-crm: {error}", file=sys.stderr)
        return 2
    return programs[chosen]()


if __name__ == "__main__":
    sys.exit(main())
