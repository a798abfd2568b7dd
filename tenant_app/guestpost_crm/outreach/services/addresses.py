"""Which addresses appear in which threads: found by an index, not by searching headers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from guestpost_crm.gmail.compose import addresses
from guestpost_crm.inbox.models import Message
from guestpost_crm.outreach.models import ThreadAddress

# A mail to a large list says nothing about whom it is for.
MOST_OF_A_MESSAGE = 50


def of_message(message: Message) -> list[str]:
    """The addresses in a message's headers, lower case, each once."""
    headers = (message.sender, message.reply_to, message.recipients, message.copies)
    found = (address.lower() for header in headers for address in addresses(header))
    return list(dict.fromkeys(found))[:MOST_OF_A_MESSAGE]


def keep(sender: Any, messages: Iterable[Message], **rest: Any) -> None:
    """Remember the addresses of messages that were stored (a receiver of inbox.services.messages_stored).

    Args:
        sender: the model.
        messages: what was stored.
        rest: what else the signal says.
    """
    rows = [
        ThreadAddress(thread_id=message.thread_id, address=each)
        for message in messages
        for each in of_message(message)
    ]
    ThreadAddress.objects.bulk_create(rows, ignore_conflicts=True)
