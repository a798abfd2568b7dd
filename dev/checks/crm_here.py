"""A CRM on this machine with made-up records, without a cluster, until it is stopped.

    .venv/bin/python dev/checks/crm_here.py [--port 8123] [--sites 300] [--messages 300]

Nobody signs in at Google here: `/as/owner`, `/as/manager`, `/as/member` and `/as/reader` sign in as made-up
people. Templates and styles are read anew at each request. Only for development: it listens on 127.0.0.1.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import browsing
import local_services

PEOPLE = {"owner": "Anna Reyes", "manager": "Maria Costa", "member": "Tom Hughes", "reader": "Rita Berg"}
Start = Callable[..., Any]


def _set_up(database: str, folder: Path, port: int) -> None:
    os.environ.update(local_services.crm_environment(database, folder, f"http://acme.localhost:{port}", "t"))
    import django
    from django.conf import settings
    from django.core.management import call_command

    settings.WHITENOISE_AUTOREFRESH = True
    settings.TEMPLATES[0]["APP_DIRS"] = False
    settings.TEMPLATES[0]["OPTIONS"]["loaders"] = ["django.template.loaders.filesystem.Loader"]
    django.setup()
    call_command("migrate", verbosity=0)


def _people() -> dict[str, Any]:
    from guestpost_crm.accounts.models import Person
    from guestpost_crm.privacy import policy

    found = {}
    for role, name in PEOPLE.items():
        email = f"{name.split()[0].lower()}@acme.example"
        found[role] = Person.objects.create(sub=role, email=email, name=name, role=role)
        policy.accept(found[role])
    return found


def _signing_in(application: Callable[..., Iterable[bytes]], people: dict[str, Any]) -> Any:
    """The application, with addresses that sign in."""

    def answer(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        role = str(environ["PATH_INFO"]).removeprefix("/as/")
        if role not in people:
            return application(environ, start)
        cookie = browsing.session_of(people[role])
        set_cookie = SimpleCookie({cookie["name"]: cookie["value"]})
        set_cookie[cookie["name"]]["path"] = "/"
        start("303 See Other", [("Location", "/"), ("Set-Cookie", set_cookie.output(header="").strip())])
        return []

    return answer


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--sites", type=int, default=300)
    parser.add_argument("--messages", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, local_services.postgres() as database:
        _set_up(database, Path(folder), options.port)
        import mail_records
        import outreach_records
        from guestpost_crm.crypto.services import ensure_data_key
        from guestpost_crm.wsgi import application

        ensure_data_key()
        people = _people()
        if options.sites:
            outreach_records.fill(people["owner"], sites=options.sites)
        if options.messages:
            mail_records.fill(people["owner"], messages=options.messages)
        with browsing.served(_signing_in(application, people), options.port):
            print(f"http://acme.localhost:{options.port}/as/owner", flush=True)
            stopped = threading.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: stopped.set())
            stopped.wait()


if __name__ == "__main__":
    main()
