"""Conversations of a guest-post desk: pitch, offer, counter-offer, draft, publication, invoice."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from email.message import EmailMessage

from guestpost_demo.mailbox import people
from guestpost_demo.mailbox.files import docx, pdf
from guestpost_demo.mailbox.model import Contact, DemoMessage, compose, message_id

_WORD = "vnd.openxmlformats-officedocument.wordprocessingml.document"


class Conversation:
    """One thread, written message by message.

    Args:
        chance: decides; the same seed gives the same mail.
        owner: our own side, as it stands in headers.
        contact: the other side.
        begins: when the first message is written.
    """

    def __init__(self, chance: random.Random, owner: str, contact: Contact, begins: dt.datetime) -> None:
        self._chance = chance
        self._owner = owner
        self._contact = contact
        self._date = begins
        self._references: list[str] = []
        self._last = ""
        idea = chance.choice(people.IDEAS)
        self._subject = f"{contact.niche[:1].upper()}{contact.niche[1:]}: {idea}"
        middle = max(40, contact.price - chance.randrange(10, 60, 10))
        self._facts = {
            "site": contact.site,
            "niche": contact.niche,
            "price": contact.price,
            "bundle": contact.price * 3 - 50,
            "offer": max(30, contact.price - chance.randrange(40, 110, 10)),
            "middle": middle,
            "days": chance.choice((2, 3, 5, 7, 10)),
            "anchor": chance.choice(people.ANCHORS),
            "slug": idea.replace(" ", "-").replace("'", ""),
        }

    def messages(self, until: dt.datetime) -> Iterator[DemoMessage]:
        """The conversation as far as it has come by then."""
        steps = (
            (True, people.PITCHES, "", ()),
            (False, people.OFFERS, "", ("Negotiating",)),
            (True, people.COUNTERS, "", ()),
            (False, people.ANSWERS, "", ("Negotiating",)),
            (True, people.AGREED, "draft", ()),
            (False, people.LIVE, "invoice", ("Invoices",)),
            (True, people.CLOSING, "", ()),
        )
        for number, (ours, texts, file, own_labels) in enumerate(steps[: self._chance.randrange(1, 8)]):
            if number:
                self._date += dt.timedelta(minutes=self._chance.randrange(20, 60 * 70))
            if self._date > until:
                return
            yield self._next(self._chance.choice(texts), ours=ours, file=file, own_labels=own_labels)

    def chatter(self, count: int, until: dt.datetime) -> Iterator[DemoMessage]:
        """A long to and fro."""
        lines = ("Any news?", "Almost there.", "Could you move the link up a bit?", "Done, please look again.",
                 "The second heading is missing.", "Fixed.", "Which picture do you want?", "The first one.",
                 "Is Thursday all right?", "Thursday is fine.")  # fmt: skip
        for number in range(count):
            if self._date > until:
                return
            yield self._next(
                lines[number % len(lines)], ours=number % 2 == 1, file="", own_labels=("Clients",)
            )
            self._date += dt.timedelta(minutes=self._chance.randrange(7, 600))

    def _next(self, text: str, *, ours: bool, file: str, own_labels: tuple[str, ...]) -> DemoMessage:
        words = text.format(**self._facts)
        greeting = f"Hi {self._contact.first}" if ours else "Hi Anna"
        signature = "Anna Reyes\nacme.example" if ours else f"{self._contact.first}\n{self._contact.site}"
        quoted = "".join(f"> {line}\n" for line in self._last.splitlines())
        body = f"{greeting},\n\n{words}\n\nBest,\n{signature}\n"
        domain = "acme.example" if ours else self._contact.site
        message = compose(
            sender=self._owner if ours else self._contact.mailbox,
            to=self._contact.mailbox if ours else self._owner,
            subject=f"Re: {self._subject}" if self._references else self._subject,
            date=self._date,
            identifier=message_id(self._chance, domain),
            text=body + (f"\nOn {self._date:%d %b %Y} somebody wrote:\n{quoted}" if quoted else ""),
            references=self._references,
        )
        self._attach(message, file)
        self._references.append(message["Message-ID"])
        self._last = body
        labels = ["SENT"] if ours else ["INBOX"]
        if not ours and self._chance.random() < 0.35:
            labels.append("UNREAD")
        if self._chance.random() < 0.08:
            labels.append("STARRED")
        if not ours and self._chance.random() < 0.3:
            labels.append("IMPORTANT")
        return DemoMessage(message.as_bytes(), self._date, tuple(labels), () if ours else own_labels)

    def _attach(self, message: EmailMessage, file: str) -> None:
        site, niche = self._contact.site, self._contact.niche
        if file == "draft":
            paragraphs = [self._subject, f"A draft for {site}.", f"Everything about {niche} begins small."]
            message.add_attachment(
                docx(paragraphs), maintype="application", subtype=_WORD, filename=f"draft-{site}.docx"
            )
        elif file == "invoice":
            number = self._chance.randrange(1000, 9999)
            lines = [f"Invoice {number}", site, f"Guest post: {self._facts['middle']} USD", "Due in 14 days"]
            message.add_attachment(
                pdf(lines), maintype="application", subtype="pdf", filename=f"invoice-{number}.pdf"
            )
