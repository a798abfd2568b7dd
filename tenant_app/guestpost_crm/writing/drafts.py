"""What a message begins with: recipients, subject, quotation, attachments, filled templates."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from guestpost_crm.accounts.models import Person
from guestpost_crm.gmail import compose
from guestpost_crm.gmail.models import Mailbox, OutboxMessage
from guestpost_crm.inbox import bodies, mime, reading, storage
from guestpost_crm.inbox.models import Blob, Message, Part, Thread
from guestpost_crm.inbox.services import display_name
from guestpost_crm.outreach import domains
from guestpost_crm.outreach.models import ContactAddress, Order, Site
from guestpost_crm.outreach.money import shown
from guestpost_crm.web.numbers import number

_KEPT = re.compile(r"(message|outbox):([0-9a-f-]{1,36}):(\d{1,4})")
MOST_QUOTED = 200_000
_FORWARDED = "---------- Forwarded message ----------"


@dataclass
class Kept:
    """An attachment that lies here already and goes out with another message.

    Attributes:
        key: names it in forms.
        size: in bytes, about.
    """

    key: str
    name: str
    content_type: str
    size: int
    blob: Blob
    start: int
    end: int
    encoding: str

    def chunks(self) -> Iterable[bytes]:
        """Its content, piece by piece."""
        return bodies.decode(storage.read(self.blob, self.start, self.end), self.encoding)


def of_message(message: Message) -> list[Kept]:
    """The attachments of a message."""
    parts = message.parts.filter(is_attachment=True)
    return [_kept(f"message:{message.pk}:{part.index}", part, message.raw) for part in parts]


def of_outbox(message: OutboxMessage) -> list[Kept]:
    """The attachments of a message of ours."""
    with storage.opened(message.raw) as source:
        parts = mime.index(source).parts
    return [
        _kept(f"outbox:{message.pk}:{number}", part, message.raw)
        for number, part in enumerate(parts)
        if part.is_attachment
    ]


def _kept(key: str, part: Part | mime.PartIndex, blob: Blob) -> Kept:
    encoded = part.end - part.start
    size = encoded * 3 // 4 if part.encoding == "base64" else encoded
    name = part.filename or part.content_type
    return Kept(key, name, part.content_type, size, blob, part.start, part.end, part.encoding)


def kept(keys: Iterable[str]) -> list[Kept]:
    """The attachments that a form names; what is not there any more is left out."""
    found: list[Kept] = []
    for key in keys:
        match = _KEPT.fullmatch(key)
        if match is None:
            continue
        if match[1] == "message":
            message = Message.objects.filter(pk=number(match[2]) or 0).select_related("raw").first()
            found += [each for each in of_message(message) if each.key == key] if message else []
        elif match[1] == "outbox":
            sent = OutboxMessage.objects.filter(pk__in=_uuids(match[2])).select_related("raw").first()
            found += [each for each in of_outbox(sent) if each.key == key] if sent else []
    return found


def _uuids(text: str) -> list[uuid.UUID]:
    """The identifier that a text is, if it is one."""
    try:
        return [uuid.UUID(text)]
    except ValueError:
        return []


def again(message: OutboxMessage) -> dict[str, str]:
    """What a message of ours said, to be changed and sent anew."""
    with storage.opened(message.raw) as source:
        found = mime.index(source)
        part = bodies.best(found.parts, "text/plain")
        body = bodies.text_in(source, part, bodies.MOST_SHOWN) if part else ""
    said = {
        name: ", ".join(compose.addresses(mime.header(found.headers, name))) for name in ("to", "cc", "bcc")
    }
    return {**said, "subject": message.subject, "body": body.replace("\r\n", "\n")}


def quotation(message: Message) -> str:
    """A message as it stands below an answer to it."""
    when = f"{message.received_at.astimezone(dt.UTC):%-d %b %Y, %H:%M} UTC"
    head = _("On %(when)s, %(who)s wrote:") % {"when": when, "who": display_name(message.sender)}
    words = reading.written(message)[:MOST_QUOTED]
    return "\n".join([f"\n\n{head}", *(f"> {line}".rstrip() for line in words.splitlines())])


def forwarded(message: Message) -> str:
    """A message as it stands in a mail that passes it on."""
    when = f"{message.received_at.astimezone(dt.UTC):%-d %b %Y, %H:%M} UTC"
    rows = [
        f"\n\n{_FORWARDED}",
        f"From: {message.sender}",
        f"Date: {when}",
        f"Subject: {message.subject}",
        f"To: {message.recipients[:1000]}",
        *([f"Cc: {message.copies[:1000]}"] if message.copies else []),
        "",
        reading.written(message)[:MOST_QUOTED],
    ]
    return "\n".join(rows)


def own(text: str) -> str:
    """What somebody writes themselves, without the older mail that they quote or pass on."""
    lines = text.partition(_FORWARDED)[0].splitlines()
    return "\n".join(line for line in lines if not line.startswith(">"))


def values(person: Person, mailbox: Mailbox | None, to: list[str], thread: Thread | None) -> dict[str, str]:
    """What the blanks of a template are filled with.

    Args:
        person: who writes.
        mailbox: which it is sent from.
        to: whom it is for; the first counts.
        thread: the conversation, if it is in one.
    """
    address = to[0].lower() if to else ""
    known = ContactAddress.objects.filter(address=address).select_related("contact").first()
    contact = known.contact if known else None
    orders = Order.objects.select_related("site").order_by("-updated_at")
    order = orders.filter(thread=thread).first() if thread else None
    if order is None and contact is not None:
        order = orders.filter(contact=contact).first()
    name = contact.name if contact else _name_in(thread, address)
    site = order.site if order else _site(contact.pk if contact else None, address)
    return {
        "name": name,
        "first_name": name.split()[0] if name else "",
        "site": str(site or ""),
        "my_name": person.name,
        "my_address": mailbox.address if mailbox else "",
        "anchor": order.anchor if order else "",
        "target": order.target_url if order else "",
        "price": shown(order.price, order.currency) if order and order.price is not None else "",
        "published": order.published_url if order else "",
    }


def _name_in(thread: Thread | None, address: str) -> str:
    """The name that somebody's own mail carries."""
    if thread is None or not address:
        return ""
    message = thread.messages.filter(sender__icontains=address).order_by("-received_at").first()
    name = display_name(message.sender) if message else ""
    return "" if "@" in name else name


def _site(contact: int | None, address: str) -> Site | None:
    if contact is not None and (of_contact := Site.objects.filter(contacts=contact).first()):
        return of_contact
    return Site.objects.filter(domain__in=domains.candidates(domains.domain_of(address))).first()
