"""Every change goes through here: who may not write is refused, what was done is on the audit log."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied

from guestpost_crm.accounts.models import Person
from guestpost_crm.audit.services import record


def acted(person: Person | None, action: str, subject: str, **detail: str | int | None) -> None:
    """Record a change, in the transaction that makes it.

    Args:
        person: who did it; None for the system itself.
        action: such as `site.created`.
        subject: such as `site:3`.
        detail: ids, counts and names of fields; never names, addresses or texts.

    Raises:
        PermissionDenied: the person may only read; the transaction undoes what was done.
    """
    if person is not None and not person.may_write:
        raise PermissionDenied
    record(person, action, subject, **detail)
