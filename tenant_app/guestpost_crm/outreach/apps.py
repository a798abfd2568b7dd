"""The app, and what it does when mail is stored."""

from __future__ import annotations

from django.apps import AppConfig


class Outreach(AppConfig):
    """Outreach."""

    name = "guestpost_crm.outreach"

    def ready(self) -> None:
        """Keep the addresses of threads with their messages, whoever stores them."""
        from guestpost_crm.inbox.services import messages_stored
        from guestpost_crm.outreach.services.addresses import keep

        messages_stored.connect(keep, dispatch_uid="outreach-thread-addresses")
