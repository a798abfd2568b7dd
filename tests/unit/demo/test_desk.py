"""The desk's spreadsheet and records are about the people who write to it."""

from __future__ import annotations

import csv
import datetime as dt
import io
import random

from guestpost_demo import desk
from guestpost_demo.mailbox import SEED, messages, people

CONTACTS = people.contacts(random.Random(SEED))  # noqa: S311


def test_the_spreadsheet_has_every_site_once_with_sound_figures() -> None:
    rows = list(csv.DictReader(io.StringIO(desk.spreadsheet(CONTACTS))))
    assert sorted(row["Domain"] for row in rows) == sorted({contact.site for contact in CONTACTS})
    for row in rows:
        assert 0 <= int(row["DR"]) <= 100
        assert 0 <= int(row["DA"]) <= 100
        assert int(row["Price"]) > 0
    assert desk.spreadsheet(CONTACTS) == desk.spreadsheet(CONTACTS)


def test_they_are_the_people_of_the_mailbox() -> None:
    raw = b"".join(message.raw for message in messages(dt.datetime(2026, 11, 24, tzinfo=dt.UTC)))
    assert all(contact.address.encode() in raw for contact in CONTACTS)


def test_a_priced_stage_has_a_price() -> None:
    for _, stage, _, anchor in desk._ORDERS:
        fields = desk._order(CONTACTS[0], stage, "", anchor)
        assert bool(fields["price"]) == (stage not in ("prospect", "contacted"))
