"""Drafts of an order: an attachment that lies in the mail, or files that were uploaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from django.db import transaction
from django.utils.translation import gettext as _

from guestpost_crm.accounts.models import Person
from guestpost_crm.inbox import storage
from guestpost_crm.inbox.models import Part
from guestpost_crm.outreach.models import ContactAddress, DraftFile, Order, OrderChange
from guestpost_crm.outreach.services import contacts, orders
from guestpost_crm.outreach.services.acting import acted

MOST_BYTES = 25 << 20
MOST_FILES = 20
MOST_CHOICES = 40
_MOST_THREADS = 50


class DraftError(Exception):
    """This can't be a draft; the message says why, and that nothing was changed."""


@dataclass
class Drafts:
    """What an order's page shows: the attachment in the mail, the files, and what may be chosen.

    Attributes:
        part: the attachment that is chosen, if it is still there.
        files: newest first.
        choices: attachments of the order's conversation and of mail with its contact, newest first.
    """

    part: Part | None
    files: list[DraftFile]
    choices: list[Part]


def of(order: Order) -> Drafts:
    """The drafts of an order, and what could be one."""
    return Drafts(
        part=_chosen(order),
        files=list(order.draft_files.select_related("person", "raw")),
        choices=list(_choices(order).select_related("message")[:MOST_CHOICES]),
    )


def _chosen(order: Order) -> Part | None:
    if order.draft_message_id is None or order.draft_part is None:
        return None
    found = Part.objects.filter(message=order.draft_message_id, index=order.draft_part)
    return found.select_related("message").first()


def _choices(order: Order) -> Any:
    """Attachments in the conversation of an order, and in mail with its contact."""
    addresses = ContactAddress.objects.filter(contact=order.contact_id).values_list("address", flat=True)
    near = (
        contacts.threads(addresses).values_list("pk", flat=True)[:_MOST_THREADS] if order.contact_id else []
    )
    threads = {*near, *([order.thread_id] if order.thread_id else [])}
    found = Part.objects.filter(message__thread__in=threads, is_attachment=True)
    return found.order_by("-message__received_at", "message", "index")


@transaction.atomic
def choose(person: Person, order: Order, message: int, index: int) -> None:
    """Make an attachment of the order's mail its draft.

    Raises:
        DraftError: there is no such attachment.
        PermissionDenied: the person may only read.
    """
    part = _choices(order).filter(message=message, index=index).first()
    if part is None:
        raise DraftError(_("This attachment is not there any more. Nothing was changed."))
    _point(person, order, part.message_id, part.index)


@transaction.atomic
def clear(person: Person, order: Order) -> None:
    """Let no attachment in the mail be the draft; the mail stays (PermissionDenied for readers)."""
    _point(person, order, None, None)


def _point(person: Person, order: Order, message: int | None, index: int | None) -> None:
    order = Order.objects.get(pk=order.pk)
    order.draft_message_id, order.draft_part = message, index
    orders.save(person, order)


@transaction.atomic
def upload(person: Person, order: Order, name: str, content: IO[bytes], size: int) -> DraftFile:
    """Keep a file as a draft of an order; memory holds a small piece of it.

    Args:
        person: who brings it.
        order: whose.
        name: of the file.
        content: of the file, from where it is.
        size: in bytes.

    Raises:
        DraftError: it is empty or too large, or there are as many as fit.
        PermissionDenied: the person may only read.
    """
    if not 0 < size <= MOST_BYTES:
        raise DraftError(
            _("The file is empty. Nothing was changed.")
            if size <= 0
            else _("The file is larger than %(most)s MiB. Nothing was changed.") % {"most": MOST_BYTES >> 20}
        )
    Order.objects.select_for_update(of=("self",)).get(pk=order.pk)
    if order.draft_files.count() >= MOST_FILES:
        raise DraftError(_("There are %(most)s files already: remove one first.") % {"most": MOST_FILES})
    file = DraftFile.objects.create(order=order, name=_plain(name), raw=storage.write(content), person=person)
    _changed(person, order, "", file.name)
    acted(person, "draft.attached", f"order:{order.pk}")
    return file


def _plain(name: str) -> str:
    """The name of a file without folders and signs that no name needs."""
    last = name.replace("\\", "/").rpartition("/")[2]
    plain = "".join(letter for letter in last if letter.isprintable()).strip()
    return plain[-255:] or "draft"


@transaction.atomic
def remove(person: Person, file: DraftFile) -> None:
    """Remove a file with its content (PermissionDenied for readers)."""
    _changed(person, file.order, file.name, "")
    acted(person, "draft.removed", f"order:{file.order_id}")
    raw = file.raw
    file.delete()
    raw.delete()


def _changed(person: Person, order: Order, old: str, new: str) -> None:
    OrderChange.objects.create(order=order, person=person, field="draft_file", old=old, new=new)


def pieces(file: DraftFile) -> Iterator[bytes]:
    """A file's content, piece by piece."""
    return storage.read(file.raw)
