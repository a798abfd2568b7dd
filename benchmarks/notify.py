"""Mail put into Gmail's stand-in until it is visible in the inbox's query, with the quota on.

    make bench NAME=notify

The real sync process, the real broker, PostgreSQL and the stand-ins run on this machine; 500 messages
arrive at four a second. A message is visible when the query of the inbox's first page gives it; that is
asked every few milliseconds.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from email.message import EmailMessage
from email.utils import format_datetime

import desk
from django.utils import timezone
from google_standin.testing import GoogleStandin
from harness import figure, say


class Watcher(threading.Thread):
    """Asks for the inbox's first page again and again, and notes when each subject was first there."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: dict[str, float] = {}
        self.ended = threading.Event()

    def run(self) -> None:
        """Ask until ended."""
        from guestpost_crm.inbox import listing

        while not self.ended.wait(0.005):
            now = time.monotonic()
            for thread in listing.page("inbox").threads:
                self.seen.setdefault(thread.subject, now)


def mail(subject: str) -> bytes:
    """A short message of now."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Bob <bob@site.example>", desk.ADDRESS, subject
    message["Date"], message["Message-ID"] = format_datetime(timezone.now()), f"<{subject}@site.example>"
    message.set_content("Our price is 120 USD, live within five days.\n")
    return message.as_bytes()


def deliver(google: GoogleStandin, count: int, per_second: float) -> dict[str, float]:
    """Let messages arrive at an even rate; returns when each was put in."""
    put: dict[str, float] = {}
    begun = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, begun + number / per_second - time.monotonic()))
        subject = f"notify-{number}"
        put[subject] = time.monotonic()
        google.control.deliver(desk.ADDRESS, mail(subject), internalDate=time.time_ns() // 1_000_000)
    return put


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=500)
    parser.add_argument("--rate", type=float, default=4.0, help="messages a second")
    options = parser.parse_args()
    with desk.desk() as google, ExitStack() as stack:
        sync = subprocess.Popen([sys.executable, "-m", "guestpost_crm", "sync"], stdout=sys.stderr)
        stack.callback(sync.wait, 20)
        stack.callback(sync.terminate)
        deadline = time.monotonic() + 30
        while desk.ADDRESS not in google.control.usage()["watches"] and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1.5)
        google.control.forget_usage()
        watcher = Watcher()
        watcher.start()
        say(f"{options.messages} messages at {options.rate} a second")
        put = deliver(google, options.messages, options.rate)
        deadline = time.monotonic() + 30
        while len(put.keys() - watcher.seen.keys()) and time.monotonic() < deadline:
            time.sleep(0.05)
        usage = google.control.usage()
        watcher.ended.set()
        watcher.join(5)
    missing = len(put.keys() - watcher.seen.keys())
    delays = sorted(watcher.seen[subject] - at for subject, at in put.items() if subject in watcher.seen)
    units = usage["accounts"][desk.ADDRESS]["totalUnits"]
    notices = usage["notifications"]
    figure("notify.p50", statistics.median(delays), "s")
    figure("notify.p99", delays[int(len(delays) * 0.99) - 1], "s", missing=missing)
    figure("notify.units_per_message", units / len(put), "units", 20, **notices)


if __name__ == "__main__":
    main()
