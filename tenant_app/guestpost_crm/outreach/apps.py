"""The app, and what it does when mail is stored."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_save


class Outreach(AppConfig):
    """Outreach."""

    name = "guestpost_crm.outreach"

    def ready(self) -> None:
        """Keep the addresses of threads with their messages, whoever stores them."""
        from guestpost_crm.inbox.models import Message
        from guestpost_crm.outreach.services.addresses import keep

        post_save.connect(keep, sender=Message, dispatch_uid="outreach-thread-addresses")
