"""What every page knows of the installation."""

from __future__ import annotations

from django.http import HttpRequest

from guestpost_crm.environment import current


def installation(request: HttpRequest) -> dict[str, str]:
    """The tenant's name and whom to ask for help."""
    environment = current()
    return {"tenant_name": environment.tenant_name, "support_contact": environment.support_contact}
