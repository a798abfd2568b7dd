"""What every page says about support access: who looks in now, and who asks to."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from guestpost_crm.accounts.models import Person, Role
from guestpost_crm.support import access
from guestpost_crm.support.models import SupportAccess


def banner(request: HttpRequest) -> dict[str, Any]:
    """For people of the customer: what is active and what waits; for a guest: that they are one."""
    person = request.user if hasattr(request, "user") else None
    if not isinstance(person, Person):
        return {}
    if person.role == Role.SUPPORT:
        return {"support_guest": getattr(request, "support_access", None)}
    access.look_soon()
    unfinished = list(SupportAccess.objects.unfinished())
    active = [each for each in unfinished if each.is_active]
    return {
        "support_active": active,
        "support_waiting": len(unfinished) - len(active) if access.may_decide(person) else 0,
        "support_may_end": access.may_end(person),
    }
