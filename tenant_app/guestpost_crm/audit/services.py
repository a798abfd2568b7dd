"""Writing the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guestpost_crm.audit.models import AuditEvent

if TYPE_CHECKING:
    from guestpost_crm.accounts.models import Person


def record(person: Person | None, action: str, subject: str = "", **detail: str | int | None) -> AuditEvent:
    """Record that somebody did something.

    Args:
        person: who; None for the system itself.
        action: such as `mailbox.connected` or `message.sent`.
        subject: what it was done to, such as `mailbox:3`.
        detail: further facts; never content of mail.
    """
    return AuditEvent.objects.create(person=person, action=action, subject=subject, detail=detail)
