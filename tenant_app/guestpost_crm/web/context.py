"""What every page knows of the installation."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.http import HttpRequest

from guestpost_crm.environment import current


def installation(request: HttpRequest) -> dict[str, Any]:
    """The tenant's name, whom to ask for help, and when everything here ends, if that is asked for."""
    environment = current()
    after = environment.erase_after
    return {
        "tenant_name": environment.tenant_name,
        "support_contact": environment.support_contact,
        "erase_after": dt.datetime.fromisoformat(after) if after else None,
    }
