"""The app, and what it does when something is recorded."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_save


class Integrations(AppConfig):
    """Integrations."""

    name = "guestpost_crm.integrations"

    def ready(self) -> None:
        """Tell webhooks of what the audit log records, in the transaction that records it."""
        from guestpost_crm.audit.models import AuditEvent
        from guestpost_crm.integrations.webhooks import queue

        post_save.connect(queue, sender=AuditEvent, dispatch_uid="integrations-webhooks")
