"""Which addresses appear in which threads: found by an index, not by searching headers."""

from __future__ import annotations

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


def keep(sender: Any, instance: Message, created: bool = False, raw: bool = False, **rest: Any) -> None:
    """Remember the addresses of a message that was stored (a receiver of post_save).

    Args:
        sender: the model.
        instance: the message.
        created: whether it is new.
        raw: whether it comes from an archive, which has these rows too.
        rest: what else the signal says.
    """
    if not created or raw:
        return
    rows = [ThreadAddress(thread_id=instance.thread_id, address=each) for each in of_message(instance)]
    ThreadAddress.objects.bulk_create(rows, ignore_conflicts=True)
