"""How fast the pages are, with 100,000 messages and 20,000 records of outreach.

    make bench NAME=ui [ARGS='--messages 100000 --records 20000 --requests 200']

Server time is that of the whole CRM in this process, middleware, database and template, without a network;
the floor is the same for a page without records. Bytes and requests are Chromium's, of a first visit.
Lighthouse runs on the inbox and on the board.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import socket
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import browsing
import local_services
from harness import figure, p95, say, times

# A free port: Chromium takes every name below .localhost for this machine.
with socket.create_server(("127.0.0.1", 0)) as _listener:
    PORT = int(_listener.getsockname()[1])
HOST = f"acme.localhost:{PORT}"
# Records that one site brings with it: see dev/checks/outreach_records.py.
PER_SITE = 3.1
SEARCHES = ("guest post", "from:marta price", "draft has:attachment", "deadline", "dofollow link", "anchor")
PAGES = ("/", "/orders", "/sites", "/contacts", "/placements", "/invoices", "/reports", "/account")


def set_up(database: str, folder: Path) -> None:
    """The CRM, loaded as its program loads it, with an empty database."""
    os.environ.update(local_services.crm_environment(database, folder, f"http://{HOST}", "t"))
    import guestpost_crm.wsgi  # noqa: F401 - importing it loads it
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from guestpost_crm.crypto.services import ensure_data_key

    ensure_data_key()


def fill(messages: int, records: int) -> Any:
    """Mail and records of outreach; gives the owner."""
    import mail_records
    import outreach_records
    from django.db import connection
    from guestpost_crm.accounts.models import Person
    from guestpost_crm.privacy import policy

    owner = Person.objects.create(sub="o", email="anna@acme.example", name="Anna Reyes", role="owner")
    policy.accept(owner)
    outreach_records.fill(owner, sites=int(records / PER_SITE))
    mail_records.fill(owner, messages=messages)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return owner


def counted() -> dict[str, int]:
    """How much there is."""
    from guestpost_crm.inbox.models import Message
    from guestpost_crm.outreach import models

    records = (
        models.Site, models.Contact, models.Order, models.Offer, models.Placement, models.Invoice,
        models.Payment,
    )  # fmt: skip
    return {
        "messages": Message.objects.count(),
        "records": sum(model.objects.count() for model in records),
    }


def queries(client: Any, address: str) -> int:
    """How many statements a page needs."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as found:
        assert client.get(address).status_code == 200
    return len(found)


def signed_in(owner: Any) -> Any:
    """The owner's browser: Django's test client."""
    from django.test import Client

    client = Client(headers={"host": "acme.localhost", "accept-encoding": "gzip"})
    client.force_login(owner, backend=browsing.BACKEND)
    return client


def measure_server(owner: Any, requests: int, before: dict[str, int]) -> None:
    """Server times, against the public page, and statements a page."""
    from guestpost_crm.inbox.models import Thread

    client, chance = signed_in(owner), random.Random(3)  # noqa: S311 - which page is looked at
    # Those whose content can be opened: see dev/checks/mail_records.py.
    threads = list(Thread.objects.order_by("pk").values_list("pk", flat=True)[:1000])
    followed = [""]

    def inbox() -> str:
        return f"/?view={chance.choice(('inbox', 'unread', 'all'))}{followed[0]}"

    floor = p95(times(client, lambda: "/about", requests, warm=10))
    amounts = counted()
    for name, addresses in (
        ("inbox", inbox),
        ("thread", lambda: f"/threads/{chance.choice(threads)}"),
        ("search", lambda: f"/?q={chance.choice(SEARCHES).replace(' ', '+')}"),
        ("board", lambda: "/orders"),
        ("sites", lambda: f"/sites?sort=-dr&page={chance.randrange(1, 40)}"),
    ):
        found = times(client, addresses, requests, warm=10)
        figure(
            f"ui.{name}_p95", p95(found), "ms", floor, bound=50, median=round(statistics.median(found), 2),
            **amounts,
        )  # fmt: skip
    grown = {each: queries(client, each) - before[each] for each in PAGES}
    figure("ui.queries_growth", max(grown.values()), "statements", bound=0, pages=grown)


def measure_browser(owner: Any) -> None:
    """What a first visit loads, and from where."""
    from guestpost_crm.wsgi import application

    with browsing.served(application, PORT), browsing.chromium(HOST, PORT) as browser:
        cookie = {**browsing.session_of(owner), "url": f"http://{HOST}"}
        sizes, foreign = {}, []
        for address in PAGES:
            context = browser.new_context()
            context.add_cookies([cookie])
            page = context.new_page()
            loaded: list[Any] = []
            page.on("requestfinished", lambda request, into=loaded: into.append(request))
            page.goto(f"http://{HOST}{address}")
            page.wait_for_load_state("networkidle")
            sizes[address] = sum(
                request.sizes()["responseBodySize"] + request.sizes()["responseHeadersSize"]
                for request in loaded
            )
            foreign += [r.url for r in loaded if not r.url.startswith((f"http://{HOST}/", "data:"))]
            context.close()
        largest = max(sizes, key=lambda each: sizes[each])
        figure("ui.page_bytes", sizes[largest], "bytes", bound=100_000, page=largest, pages=sizes)
        figure("ui.foreign_requests", len(foreign), "requests", bound=0, urls=foreign[:5])
        session = cookie["value"]
    with browsing.served(application, PORT):
        lighthouse(session, cookie["name"])


def lighthouse(session: str, name: str) -> None:
    """Lighthouse's scores, the lower of two pages."""
    program = browsing.node_package("lighthouse") / "cli/index.js"
    scores: dict[str, list[int]] = {"performance": [], "accessibility": []}
    flags = " ".join([*browsing.QUIET, "--headless"])
    for address in ("/", "/orders"):
        with tempfile.TemporaryDirectory() as folder:
            headers = Path(folder) / "headers.json"
            headers.write_text(json.dumps({"Cookie": f"{name}={session}"}))
            command = [
                "node", str(program), f"http://{HOST}{address}", "--quiet", "--output=json",
                f"--output-path={folder}/report.json", f"--extra-headers={headers}", "--preset=desktop",
                "--only-categories=performance,accessibility", f"--chrome-flags={flags}",
            ]  # fmt: skip
            subprocess.run(command, check=True, env={**os.environ, "CHROME_PATH": browsing.CHROMIUM})
            report = json.loads((Path(folder) / "report.json").read_text())
            # Not the page that asks for a sign-in.
            assert report["finalDisplayedUrl"] == f"http://{HOST}{address}", report["finalDisplayedUrl"]
        for kind, found in scores.items():
            found.append(round(report["categories"][kind]["score"] * 100))
    for kind, found in scores.items():
        figure(f"ui.lighthouse_{kind}", min(found), "points", bound=95, pages=found)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--no-lighthouse", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, local_services.postgres() as database:
        set_up(database, Path(folder))
        say("a small CRM, for the number of statements")
        owner = fill(300, 300)
        client = signed_in(owner)
        before = {each: queries(client, each) for each in PAGES for _ in range(2)}
        from django.apps import apps
        from django.db import connection

        tables = ", ".join(f'"{each._meta.db_table}"' for each in apps.get_models())
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {tables} RESTART IDENTITY CASCADE")
        from guestpost_crm.crypto.services import ensure_data_key, forget_keys

        forget_keys()
        ensure_data_key()
        say(f"{options.messages} messages and {options.records} records")
        owner = fill(options.messages, options.records)
        say("server times")
        # What filling has left behind is nothing that the web has, nor looks for garbage in.
        gc.collect()
        gc.freeze()
        measure_server(owner, options.requests, before)
        say("in Chromium")
        if options.no_lighthouse:
            globals()["lighthouse"] = lambda *_arguments: None
        measure_browser(owner)


if __name__ == "__main__":
    main()
