"""A whole mailbox at once: what it costs of Gmail's quota, how fast it goes without one, in how much memory.

The sync is the real process. Each mailbox has a database and a Google of its own: 1,000 messages with the
quota on (units), 1,000 and 100,000 with it lifted (memory, rate). The floor of the rate is a bare client that
downloads some of the same messages over one connection and keeps nothing, before the sync and after it.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import subprocess
import sys
import time
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

import desk
from django.utils import timezone
from google_standin import mime
from google_standin.testing import GoogleStandin
from harness import figure, peak_memory, say

FLOOR = 20_000
LIFTED = "60000000"
BARE = 2000
WORDS = (
    "price", "post", "link", "draft", "rates", "guest", "article", "anchor", "editor", "invoice", "site",
    "offer", "week",
)  # fmt: skip


def fill(google: GoogleStandin, count: int) -> None:
    """Put a mailbox together before anybody asks: three messages to a conversation, some with a file."""
    now = int(timezone.now().timestamp() * 1000)
    thread = ""
    for number in range(count):
        message = EmailMessage()
        message["From"] = f"Editor {number % 997} <editor@site{number % 997}.example>"
        message["To"], message["Subject"] = desk.ADDRESS, f"Guest post {number // 3}"
        message["Date"] = format_datetime(timezone.now())
        message["Message-ID"] = f"<{number}@site.example>"
        text = " ".join(WORDS[(number * each + each) % len(WORDS)] for each in range(120))
        message.set_content(f"Hello,\n\n{text}\n\nEditor {number}\n")
        if number % 20 == 0:
            message.add_attachment(b"x" * 20_000, maintype="application", subtype="pdf", filename="draft.pdf")
        raw = message.as_bytes()
        stored = google.store.add(
            desk.ADDRESS, raw, labels=["INBOX"], date=now - number * 60_000,
            thread=thread if number % 3 else None, index=mime.index(raw),
        )  # fmt: skip
        thread = stored.thread


def bare(google: GoogleStandin) -> float:
    """Seconds that a bare client needs for a message, in a process of its own as the sync is."""
    from guestpost_crm.gmail.broker import Broker
    from guestpost_crm.gmail.models import Mailbox

    mailbox = Mailbox.objects.get()
    token = Broker().refresh(mailbox.sub, mailbox.token()).value
    some = [message.id for message in itertools.islice(google.store.messages(desk.ADDRESS), BARE)]
    told = json.dumps({"url": google.url, "token": token, "messages": some})
    answer = subprocess.run(
        [sys.executable, __file__, "--bare"], input=told, check=True, stdout=subprocess.PIPE, text=True
    )
    return float(answer.stdout) / len(some)


def download() -> float:
    """Download what standard input names, and keep nothing; in seconds."""
    told = json.load(sys.stdin)
    connection = http.client.HTTPConnection(urlsplit(told["url"]).netloc, timeout=60)
    begun = time.monotonic()
    for identifier in told["messages"]:
        path = f"/gmail/v1/users/me/messages/{identifier}?format=raw"
        connection.request("GET", path, headers={"Authorization": f"Bearer {told['token']}"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        answer.read()
    return time.monotonic() - begun


def one(count: int, *, lifted: bool) -> dict[str, Any]:
    """Fetch one mailbox; units, seconds and memory."""
    with desk.desk(**({"GMAIL_QUOTA_UNITS_PER_MINUTE": LIFTED} if lifted else {})) as google:
        if lifted:
            google.control.settings(quotaUnitsPerMinute=None, projectUnitsPerMinute=None)
        say(f"{count} messages are put into the mailbox")
        fill(google, count)
        from django.db import connection
        from guestpost_crm.gmail.models import Mailbox
        from guestpost_crm.inbox.models import Message

        floor = [bare(google)] if lifted else []
        google.control.forget_usage()
        begun = time.monotonic()
        sync = subprocess.Popen([sys.executable, "-m", "guestpost_crm", "sync"], stdout=sys.stderr)
        try:
            told = begun
            while Mailbox.objects.get().compared_at is None:
                time.sleep(0.2)
                if time.monotonic() - told > 20:
                    told = time.monotonic()
                    say(f"{Message.objects.count()} messages after {told - begun:.0f} s")
                if sync.poll() is not None:
                    raise SystemExit("the sync has ended")
            seconds = time.monotonic() - begun
            mailbox = Mailbox.objects.get()
            found = {
                "messages": Message.objects.count(),
                "difference": mailbox.difference,
                "seconds": seconds,
                "units": google.control.usage()["accounts"][desk.ADDRESS]["totalUnits"],
                "peak": peak_memory(sync.pid),
                "load": os.getloadavg()[0],
            }
            found["floor"] = sum(floor := [*floor, bare(google)]) / len(floor) if lifted else None
        finally:
            sync.terminate()
            sync.wait(30)
            connection.close()
        return found


def measure(count: int, *, lifted: bool) -> dict[str, Any]:
    """One mailbox in a process of its own, for Django has one database to a process."""
    say(f"{count} messages, {'without a quota' if lifted else 'with the quota on'}")
    arguments = [sys.executable, __file__, "--one", str(count), *(["--lifted"] if lifted else [])]
    answer = subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(answer.stdout)
    if found["messages"] != count or found["difference"]:
        raise SystemExit(f"the mailbox is not whole: {found}")
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=1000)
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--one", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--lifted", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        print(download())
        return
    if options.one:
        print(json.dumps(one(options.one, lifted=options.lifted)))
        return
    limited = measure(options.small, lifted=False)
    figure(
        "backfill.units", limited["units"] * 1000 / options.small, "units", FLOOR, seconds=limited["seconds"]
    )
    small = measure(options.small, lifted=True)
    large = measure(options.large, lifted=True)
    figure(
        "backfill.rate",
        options.large / large["seconds"],
        "messages/s",
        1 / large["floor"],
        messages=options.large,
        load=large["load"],
    )
    figure(
        "backfill.memory_growth", large["peak"] / small["peak"], "", small=small["peak"], large=large["peak"]
    )


if __name__ == "__main__":
    main()
