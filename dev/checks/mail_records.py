"""Made-up mail for benchmarks and a look at the pages, straight into the tables; the same in every run."""

from __future__ import annotations

import datetime as dt
import io
import random
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

SUBJECTS = ("Guest post on {site}", "Rates for sponsored articles", "Re: link insertion", "Draft attached",
            "Your offer of last week", "Anchor text for the article", "Invoice for the placement",
            "Your article is live", "Can we move the deadline?", "Follow-up: collaboration")  # fmt: skip
TEXTS = (
    "Hello Anna,\n\nour price for a guest post with one dofollow link is {price} USD, live within five days."
    "\nWe don't take casino or CBD.\n\nBest regards\n{name}",
    "Hi,\n\n{price} EUR per link, two links at most. At least 900 words, please.\n\n{name}",
    "Dear team,\n\nit is online: https://{site}/articles/{price}\nPlease check the anchor.\n\n{name}",
    "Hello,\n\nthanks, that works for us. Please send the draft until Friday.\n\n{name}",
)
FIRST = ("Marta", "Jonas", "Priya", "Lucía", "Tom", "Aisha", "Wei", "Olga", "Ben", "Chloé", "Noah", "Ines")
LAST = ("Kowalski", "Berg", "Nair", "Ortega", "Hughes", "Bello", "Zhang", "Petrova", "Adler", "Martin", "Kim")
_BATCH = 2000
# More are copies of these, for storing a hundred thousand one by one takes long.
MOST_STORED = 4000


def fill(person: Any, messages: int = 300, seed: int = 11, now: dt.datetime | None = None) -> Any:
    """Put messages of one mailbox into an empty CRM, three to a conversation on average.

    Args:
        person: who connected the mailbox.
        messages: how many; beyond MOST_STORED a multiple of it.
        seed: of the chance that decides.
        now: when the newest arrived.
    """
    from django.db import transaction
    from guestpost_crm.gmail.models import Mailbox, MailboxState
    from guestpost_crm.inbox import services

    chance = random.Random(seed)  # noqa: S311 - made-up mail
    now = now or dt.datetime.now(dt.UTC)
    mailbox = Mailbox.objects.create(
        sub="sub-of-the-desk", address="desk@acme.example", connected_by=person, connected_at=now,
        state=MailboxState.CONNECTED, synced_at=now, history_id=messages, compared_at=now,
        watch_expires_at=now + dt.timedelta(days=6),
    )  # fmt: skip
    stored = min(messages, MOST_STORED)
    threads = max(1, stored // 3)
    for start in range(0, stored, _BATCH):
        with transaction.atomic():
            for number in range(start, min(start + _BATCH, stored)):
                at = now - dt.timedelta(minutes=7 * (stored - number), seconds=chance.randrange(300))
                thread = number if number < threads else chance.randrange(max(0, number - threads), number)
                thread %= threads
                services.store(
                    mailbox, f"{number:x}", f"{thread:x}", _labels(chance, number), at,
                    io.BytesIO(_message(chance, number, thread, at)),
                )  # fmt: skip
    _repeat(messages // stored)
    return mailbox


def _repeat(times: int) -> None:
    """Make older copies of all mail in the tables until it is there so many times.

    For lists and searches a copy is like any other mail; its content can't be opened, for what is sealed
    belongs to its place.
    """
    from django.db import connection
    from guestpost_crm.inbox.models import Blob, BlobChunk, Message, Part, Thread
    from guestpost_crm.outreach.models import ThreadAddress

    models: list[Any] = [Thread, Blob, BlobChunk, Message, Part, ThreadAddress]
    step = {
        model: (model.objects.order_by("-pk").values_list("pk", flat=True).first() or 0) for model in models
    }
    with connection.cursor() as cursor:
        for model in models:
            columns, values = [], []
            for field in model._meta.concrete_fields:
                column = f'"{field.column}"'
                moved = model if field.primary_key else field.related_model
                if moved in step:
                    value = f"{column} + n * {step[moved]}"
                elif field.name == "gmail_id":
                    value = f"{column} || '-' || n"
                elif field.name in ("last_message_at", "received_at"):
                    value = f"{column} - n * interval '40 days'"
                else:
                    value = column
                columns.append(column)
                values.append(value)
            table = model._meta.db_table
            cursor.execute(
                f'INSERT INTO "{table}" ({", ".join(columns)}) SELECT {", ".join(values)} '  # noqa: S608 - our names
                f'FROM "{table}", generate_series(1, {times - 1}) AS n'
            )


def _labels(chance: random.Random, number: int) -> list[str]:
    if number % 3 == 2:
        return ["SENT"]
    return [
        "INBOX",
        *(["UNREAD"] if chance.random() < 0.15 else []),
        *(["STARRED"] if number % 17 == 0 else []),
    ]


def _message(chance: random.Random, number: int, thread: int, at: dt.datetime) -> bytes:
    name = f"{FIRST[thread % len(FIRST)]} {LAST[thread % len(LAST)]}"
    site = f"{FIRST[thread % len(FIRST)].lower().encode('ascii', 'ignore').decode()}post{thread % 4000}.com"
    words = {"name": name, "site": site, "price": chance.randrange(4, 80) * 5}
    message = EmailMessage()
    theirs, ours = f"{name} <editor@{site}>", "Anna Reyes <desk@acme.example>"
    sent = number % 3 == 2
    message["From"], message["To"] = (ours, theirs) if sent else (theirs, ours)
    message["Subject"] = SUBJECTS[thread % len(SUBJECTS)].format(**words)
    message["Date"], message["Message-ID"] = format_datetime(at), f"<{number}@{site}>"
    message.set_content(TEXTS[number % len(TEXTS)].format(**words))
    if number % 13 == 0:
        message.add_attachment(
            b"made up", maintype="application", subtype="pdf", filename=f"draft-{number}.pdf"
        )
    return message.as_bytes()
