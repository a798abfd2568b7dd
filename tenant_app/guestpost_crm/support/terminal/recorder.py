"""`guestpost-crm support-recorder`: stands behind the terminal of one approved Shell, from beginning to end.

It opens the database's reading account for so long, shows each second that it lives, and ends everything
when the customer has ended it, its time is over, or the database has been out of reach for a while. With this
program the container ends, and with it every terminal that is open in it.
"""

from __future__ import annotations

import contextlib
import secrets
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from guestpost_crm.environment import current
from guestpost_crm.support.models import ShellSession, SupportAccess
from guestpost_crm.support.terminal import frames

LOOK_SECONDS = 1.0
BLIND_SECONDS = 20.0


class Recorder:
    """One run of the program."""

    def __init__(self, grant: str, folder: Path) -> None:
        self._grant = grant
        self._folder = folder
        self._stopped = False

    def run(self) -> int:
        """Until it ends. 0 when it was active, 1 when it was not."""
        access = SupportAccess.objects.active().filter(grant=self._grant).first()
        if access is None or access.expires_at is None or access.given_level != "Shell":
            print("support-recorder: nobody has approved a terminal for this grant", file=sys.stderr)
            return 1
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self._open_database(access)
        deadline = time.monotonic() + (access.expires_at - timezone.now()).total_seconds()
        blind_since: float | None = None
        try:
            while not self._stopped and time.monotonic() < deadline:
                (self._folder / frames.READY).touch()
                time.sleep(LOOK_SECONDS)
                try:
                    if not SupportAccess.objects.active().filter(pk=access.pk).exists():
                        break
                    blind_since = None
                except DatabaseError:
                    connection.close()
                    blind_since = blind_since or time.monotonic()
                    if time.monotonic() - blind_since > BLIND_SECONDS:
                        break
        finally:
            self._close(access)
        return 0

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._stopped = True

    def _open_database(self, access: SupportAccess) -> None:
        """Give the reading account a password that nobody knows but this pod, and that ends in time."""
        password = secrets.token_urlsafe(32)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT support_access.open(%s, %s)", [password, access.expires_at])
        except DatabaseError as error:
            # Made before there were such accounts: the terminal is there, the database is not.
            print(f"support-recorder: no database for the terminal: {type(error).__name__}", file=sys.stderr)
            connection.close()
            return
        known = settings.DATABASES["default"]
        lines = {
            "PGHOST": known["HOST"],
            "PGPORT": known["PORT"] or "5432",
            "PGDATABASE": known["NAME"],
            "PGUSER": "support",
            "PGPASSWORD": password,
            **{
                f"PG{key.upper()}": known["OPTIONS"][key]
                for key in ("sslmode", "sslrootcert")
                if key in known["OPTIONS"]
            },
        }
        path = self._folder / frames.DATABASE
        path.touch(mode=0o600)
        path.write_text("".join(f"{name}={value}\n" for name, value in lines.items()), encoding="utf-8")

    def _close(self, access: SupportAccess) -> None:
        for name in (frames.READY, frames.DATABASE):
            (self._folder / name).unlink(missing_ok=True)
        with contextlib.suppress(DatabaseError), connection.cursor() as cursor:
            cursor.execute("SELECT support_access.close()")
        with contextlib.suppress(DatabaseError):
            ShellSession.objects.filter(access=access, ended_at=None).update(ended_at=timezone.now())


def run() -> int:
    """Run the recorder that the environment names."""
    environment = current()
    return Recorder(environment.support_grant, Path(environment.support_folder)).run()
