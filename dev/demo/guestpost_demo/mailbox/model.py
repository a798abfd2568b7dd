"""A message of the demo's mailbox, and how one is made."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterable
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime

POLICY = policy.SMTP


@dataclass(frozen=True)
class DemoMessage:
    """One raw message.

    Attributes:
        raw: as it would come over SMTP.
        date: when it arrived.
        labels: Gmail's label ids.
        own_labels: names of the owner's own labels.
    """

    raw: bytes
    date: dt.datetime
    labels: tuple[str, ...]
    own_labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contact:
    """Somebody with a site: the other side of a guest-post desk's mail."""

    name: str
    address: str
    site: str
    niche: str
    price: int

    @property
    def mailbox(self) -> str:
        """As it stands in headers."""
        return f"{self.name} <{self.address}>"

    @property
    def first(self) -> str:
        """How they sign."""
        return self.name.split()[0]


def message_id(chance: random.Random, domain: str) -> str:
    """A Message-ID that is the same in every run."""
    return f"<{chance.getrandbits(64):016x}@{domain}>"


def compose(
    *,
    sender: str,
    to: str,
    subject: str,
    date: dt.datetime,
    identifier: str,
    text: str,
    charset: str = "utf-8",
    html: str = "",
    references: Iterable[str] = (),
    headers: Iterable[tuple[str, str]] = (),
) -> EmailMessage:
    """A message with a text and, if given, an HTML alternative."""
    message = EmailMessage(policy=POLICY)
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Date"], message["Message-ID"] = format_datetime(date), identifier
    if known := list(references):
        message["In-Reply-To"], message["References"] = known[-1], " ".join(known)
    for name, value in headers:
        message[name] = value
    message.set_content(text, charset=charset)
    if html:
        message.add_alternative(html, subtype="html")
    return message
