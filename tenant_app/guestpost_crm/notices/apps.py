"""The app, and what it does when something is recorded."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_save


class Notices(AppConfig):
    """Notices."""

    name = "guestpost_crm.notices"

    def ready(self) -> None:
        """Write to people about what the audit log records, in the transaction that records it."""
        from guestpost_crm.audit.models import AuditEvent
        from guestpost_crm.notices.queueing import queue

        post_save.connect(queue, sender=AuditEvent, dispatch_uid="notices")
