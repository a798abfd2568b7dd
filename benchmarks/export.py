"""One export of a tenant's mail, against `tar | sha256sum` of the same files unpacked.

    make bench NAME=export [ARGS='--messages 10000 --many 100000']

A tenant's database is filled with made-up messages whose sizes are spread as real mail's are. The real
program `guestpost-crm export` runs; its archive is unpacked, and tar and sha256sum read that. Memory is the
program's peak with 100,000 small messages over its peak with 1,000 of them.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import local_services
from harness import figure, peak_memory, say

ROUNDS = 3
LOOK_SECONDS = 0.01


def environment(database: str, folder: Path) -> dict[str, str]:
    """The least that the program needs; nothing outside is reached."""
    for name, content in (("secret", b"s" * 50), ("key", base64.b64encode(b"k" * 32)), ("token", b"t")):
        (folder / name).write_bytes(content)
    return {
        "DJANGO_SETTINGS_MODULE": "guestpost_crm.settings",
        "DATABASE_URL": database,
        "PUBLIC_URL": "http://acme.localhost",
        "TENANT_NAME": "acme",
        "TENANT_UID": "uid-of-acme",
        "OWNER_EMAIL": "anna@acme.example",
        "DJANGO_SECRET_KEY_FILE": str(folder / "secret"),
        "TENANT_KEY_FILE": str(folder / "key"),
        "PUBSUB_TOPIC": "projects/p/topics/t",
        "PUBSUB_SUBSCRIPTION": "projects/p/subscriptions/s",
        "GOOGLE_CLIENT_ID": "c",
        "BROKER_URL": "http://127.0.0.1:1",
        "BROKER_TOKEN_FILE": str(folder / "token"),
    }


def fill(messages: int, median: int, spread: float) -> None:
    """Put messages into an empty tenant.

    Args:
        messages: how many.
        median: of their sizes in bytes.
        spread: of the logarithm of the sizes; 0 makes all alike.
    """
    from django.db import connection
    from django.utils import timezone
    from guestpost_crm.accounts.models import Person, Role
    from guestpost_crm.gmail.models import Mailbox
    from guestpost_crm.inbox import services

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE person, blob RESTART IDENTITY CASCADE")
    person = Person.objects.create(sub="o", email="anna@acme.example", role=Role.OWNER)
    mailbox = Mailbox.objects.create(
        sub="m", address="anna@acme.example", connected_by=person, connected_at=timezone.now()
    )
    chance = random.Random(1)  # noqa: S311 - made-up mail
    filler = b"Our price for a guest post is 120 USD, live within five days.\r\n" * 40_000
    begun = timezone.now()
    for start in range(0, messages, 50):
        some = []
        for number in range(start, min(start + 50, messages)):
            size = min(int(chance.lognormvariate(0, spread) * median), len(filler))
            head = f"From: Bob <bob{number % 500}@site.example>\r\nSubject: Offer {number}\r\n\r\n".encode()
            source = io.BytesIO(head + filler[:size])
            some.append(services.Given(f"{number:x}", f"{number // 3:x}", ("INBOX",), begun, source))
        services.store_all(mailbox, some)


def run(folder: Path) -> tuple[float, float, dict[str, object]]:
    """Run the program once: seconds, MiB at its peak, what it printed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    begun, peak = time.perf_counter(), 0.0
    process = subprocess.Popen(
        [sys.executable, "-m", "guestpost_crm", "export", str(folder)], stdout=subprocess.PIPE
    )
    # Not the peak that wait4 tells: that is this process's, where it is the larger one.
    while process.poll() is None:
        with contextlib.suppress(OSError, RuntimeError):
            peak = peak_memory(process.pid)
        time.sleep(LOOK_SECONDS)
    assert process.stdout is not None
    assert process.returncode == 0
    return time.perf_counter() - begun, peak, json.loads(process.stdout.read())


def floor(archive: Path, folder: Path) -> float:
    """Seconds that tar and sha256sum need for the unpacked files."""
    with zipfile.ZipFile(archive) as source:
        source.extractall(folder)
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        subprocess.run(f"tar -cf - -C {folder} . | sha256sum", shell=True, check=True, capture_output=True)  # noqa: S602 - the pipe is what is measured
        best = min(best, time.perf_counter() - begun)
    shutil.rmtree(folder)
    return best


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--few", type=int, default=1_000)
    parser.add_argument("--many", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name, local_services.postgres() as database:
        folder = Path(name)
        os.environ.update(environment(database, folder))
        import django

        django.setup()
        from django.core.management import call_command
        from guestpost_crm.crypto.services import ensure_data_key

        call_command("migrate", verbosity=0)
        ensure_data_key()
        say(f"{options.messages} messages, of 20 kB in the middle and 60 kB on average")
        fill(options.messages, 20_000, 1.5)
        runs = [run(folder / "export") for _ in range(ROUNDS)]
        wall, size = min(each[0] for each in runs), int(str(runs[0][2]["bytes"]))
        least = floor(folder / "export/export.zip", folder / "unpacked")
        figure("export.wall", wall, "s", least, bytes=size, messages=options.messages)
        peaks = []
        for messages in (options.few, options.many):
            say(f"{messages} messages of 2 kB, for memory")
            fill(messages, 2_000, 0)
            peaks.append(run(folder / "export")[1])
        figure("export.memory_growth", peaks[1], "MiB", peaks[0], messages=options.many)


if __name__ == "__main__":
    main()
