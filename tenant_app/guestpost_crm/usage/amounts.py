"""How much there is here, in numbers: what the usage page shows, and all that the service is told."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import connection
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from guestpost_crm.accounts.models import Person, Role
from guestpost_crm.gmail.models import Mailbox, MailboxState
from guestpost_crm.inbox.models import Message, Thread
from guestpost_crm.outreach.models import Contact, Order, Site
from guestpost_crm.usage.models import Event
from guestpost_crm.usage.services import totals

# As fields of a TenantUsage (crds/tenantusages.yaml), and for the customer.
LABELS: Mapping[str, Promise] = {
    "people": _("People"),
    "mailboxes": _("Mailboxes"),
    "conversations": _("Conversations"),
    "messages": _("Messages"),
    "sites": _("Sites"),
    "contacts": _("Contacts"),
    "orders": _("Orders"),
    "databaseBytes": _("Database"),
}
EVENTS: Mapping[Event, str] = {
    Event.SIGN_IN: "signIns",
    Event.THREAD_OPENED: "conversationsOpened",
    Event.ATTACHMENT_OPENED: "attachmentsOpened",
    Event.MESSAGE_INSTRUCTED: "messagesSent",
    Event.MAILBOX_CONNECTED: "mailboxesConnected",
    Event.EXPORT_REQUESTED: "exportsRequested",
}


def few() -> dict[str, int]:
    """People and mailboxes: few, counted at once, and news when they change."""
    return {
        "people": Person.objects.filter(is_active=True).exclude(role=Role.SUPPORT).count(),
        "mailboxes": Mailbox.objects.filter(state=MailboxState.CONNECTED).count(),
    }


def amounts() -> dict[str, int]:
    """How much there is of what is in LABELS."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        (size,) = cursor.fetchone()
    return {
        **few(),
        "conversations": Thread.objects.count(),
        "messages": Message.objects.count(),
        "sites": Site.objects.count(),
        "contacts": Contact.objects.count(),
        "orders": Order.objects.count(),
        "databaseBytes": int(size),
    }


def events() -> dict[str, int]:
    """How often each event has happened so far."""
    counts = totals()
    return {name: counts[event.value] for event, name in EVENTS.items()}
