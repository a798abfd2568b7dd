"""`guestpost-crm web | sync | migrate | pause | offboard | export | import | support-…`: its programs."""

from __future__ import annotations

import argparse
import os
import sys
import time
from functools import partial
from pathlib import Path

from guestpost_crm import loading


def _migrate() -> int:
    """Wait for the database and bring its tables up to date; several at once take turns."""
    from django.core.management import call_command
    from django.db import OperationalError, connection

    from guestpost_crm.crypto.services import DecryptionError, ensure_data_key, rewrap
    from guestpost_crm.environment import current
    from guestpost_crm.gmail import locks

    deadline = time.monotonic() + current().database_wait_seconds
    while True:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock(%s, 0)", [locks.MIGRATE])
            call_command("migrate", interactive=False, verbosity=1)
            ensure_data_key()
            rewrap()
        except OperationalError as error:
            connection.close()
            if time.monotonic() > deadline:
                print(f"guestpost-crm migrate: no database: {type(error).__name__}", file=sys.stderr)
                return 1
            time.sleep(0.25)
        except DecryptionError as error:
            print(f"guestpost-crm migrate: {error}", file=sys.stderr)
            return 1
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
    from prometheus_client import REGISTRY

    from guestpost_crm.crypto.services import tenant_key
    from guestpost_crm.gmail.supervisor import Supervisor
    from guestpost_crm.usage.services import UsageCollector

    # At the start, so that a key that does not open shows before mail comes.
    tenant_key()
    _wait_for_schema()
    REGISTRY.register(UsageCollector())
    Supervisor().run()
    return 0


def _web() -> int:
    from guestpost_crm.web.server import serve

    serve()
    return 0


def _closed() -> int:
    from guestpost_crm.privacy.closed import serve

    return serve()


def _export(folder: str) -> int:
    if not folder:
        from guestpost_crm.privacy.export.program import run

        _wait_for_schema()
        return run()
    import json

    from guestpost_crm.privacy.export.exporting import export

    summary = export(Path(folder))
    told = {"path": str(summary.path), "bytes": summary.size, "sha256": summary.sha256}
    print(json.dumps({**told, "counts": summary.counts}))
    return 0


def _import(archive: str) -> int:
    import json

    from guestpost_crm.privacy.export.archive import ArchiveError
    from guestpost_crm.privacy.export.importing import import_archive

    try:
        counts = import_archive(Path(archive))
    except ArchiveError as error:
        print(f"guestpost-crm import: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"counts": counts}))
    return 0


def _support_recorder() -> int:
    from guestpost_crm.support.terminal.recorder import run

    _wait_for_schema()
    return run()


def _support_shell() -> int:
    from guestpost_crm.support.terminal.shell import run

    return run()


def _support_terminal() -> int:
    from guestpost_crm.support.terminal.terminal import run

    return run(Path(os.environ.get("SUPPORT_FOLDER", "/run/support")))


def _support_query(sql: str) -> int:
    from guestpost_crm.support.terminal.query import run

    return run(sql)


def _tell_gmail(what: str) -> int:
    from django.db import connection

    from guestpost_crm.gmail import offboarding
    from guestpost_crm.gmail.models import Mailbox

    if Mailbox._meta.db_table not in connection.introspection.table_names():
        # A server that never ran: it may be made suspended, or asleep.
        return 0
    left = {"pause": offboarding.pause, "offboard": offboarding.offboard}[what]()
    if left:
        print(f"guestpost-crm {what}: {left} mailboxes are left; run it again", file=sys.stderr)
    return 1 if left else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="guestpost-crm", description=__doc__)
    programs = parser.add_subparsers(metavar="program", required=True)
    for name, run, what in (
        ("web", _web, "serve the pages"),
        ("sync", _sync, "keep the mailboxes level with Gmail, send what is to be sent"),
        ("migrate", _migrate, "bring the database's tables up to date"),
        ("pause", partial(_tell_gmail, "pause"), "stop Gmail's notifications; consents stay"),
        ("offboard", partial(_tell_gmail, "offboard"), "revoke every consent at Google, for good"),
        ("support-recorder", _support_recorder, "stand behind the terminal of an approved SupportGrant"),
        ("support-shell", _support_shell, "open that terminal; what passes is recorded for the customer"),
    ):
        programs.add_parser(name, help=what).set_defaults(run=lambda options, run=run: run())
    # gunicorn's first process only looks after the one that serves, and needs nothing of Django.
    programs.choices["web"].set_defaults(served=True)
    program = programs.add_parser("closed", help="serve the one page of a CRM that is gone")
    program.set_defaults(run=lambda options: _closed(), settings="guestpost_crm.closed_settings")
    program = programs.add_parser("export", help="write everything of this tenant into one archive")
    program.add_argument(
        "folder",
        nargs="?",
        default="",
        help="where to write export.zip; left out, write and serve the TenantExport EXPORT_NAME",
    )
    program.set_defaults(run=lambda options: _export(options.folder))
    program = programs.add_parser("import", help="read such an archive into a tenant that has nothing yet")
    program.add_argument("archive")
    program.set_defaults(run=lambda options: _import(options.archive))
    # Where the person of the service is: without settings, keys and Django.
    program = programs.add_parser("support-terminal", help="give a terminal to whoever is recorded")
    program.set_defaults(run=lambda options: _support_terminal(), alone=True)
    program = programs.add_parser("support-query", help="ask the database, inside such a terminal")
    program.add_argument("sql")
    program.set_defaults(run=lambda options: _support_query(options.sql), alone=True)
    return parser


def _set_up() -> None:
    """Load Django and all apps."""
    with loading.stays():
        import django

        django.setup()


def main() -> int:
    """Run one of the programs."""
    options = _parser().parse_args()
    if getattr(options, "alone", False):
        return int(options.run(options))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guestpost_crm.settings")
    if "settings" in options:
        os.environ["DJANGO_SETTINGS_MODULE"] = options.settings
    from guestpost_crm import environment

    try:
        if getattr(options, "served", False):
            environment.check()
        else:
            _set_up()
    except environment.SettingError as error:
        print(f"guestpost-crm: {error}", file=sys.stderr)
        return 2
    done: int = options.run(options)
    return done


if __name__ == "__main__":
    sys.exit(main())
