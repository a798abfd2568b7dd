"""The demo's mailbox: some four hundred messages that look like a guest-post desk's mail.

Made anew from a seed, so every run has the same mail, dated relative to now. No real person, company or
domain: all names end in .example (RFC 2606).
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator

from google_standin.testing import Control

from guestpost_demo.mailbox import others, people
from guestpost_demo.mailbox.conversations import Conversation
from guestpost_demo.mailbox.model import DemoMessage

__all__ = ["SEED", "DemoMessage", "load", "messages"]
SEED = 20_26
_DAYS = 180


def messages(now: dt.datetime, owner: str = "anna@acme.example") -> Iterator[DemoMessage]:
    """All messages, the oldest first.

    Args:
        now: the newest are from today.
        owner: the mailbox's address.
    """
    chance = random.Random(SEED)  # noqa: S311 - the same mail every time
    us = f"Anna Reyes <{owner}>"
    found: list[DemoMessage] = []
    contacts = people.contacts(chance)
    for number in range(70):
        contact = contacts[number % len(contacts)]
        begins = now - dt.timedelta(days=chance.randrange(1, _DAYS), minutes=chance.randrange(1440))
        found += Conversation(chance, us, contact, begins).messages(now)
    long_one = Conversation(chance, us, contacts[0], now - dt.timedelta(days=12))
    found += long_one.chatter(34, now)
    for part in (others.languages, others.newsletters, others.bounces, others.odd):
        found += part(chance, us, now)
    for hours in (1, 3, 6):
        today = Conversation(chance, us, contacts[hours], now - dt.timedelta(hours=hours))
        found += today.messages(now)
    yield from sorted(found, key=lambda message: message.date)


def load(control: Control, owner: str, now: dt.datetime) -> int:
    """Deliver all of it to an account of the stand-in; returns how many."""
    count = 0
    for message in messages(now, owner):
        control.deliver(
            owner,
            message.raw,
            labelIds=list(message.labels),
            labels=list(message.own_labels),
            internalDate=int(message.date.timestamp() * 1000),
        )
        count += 1
    return count
