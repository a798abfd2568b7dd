"""What the owner asks the service for: the erasure of everything, taking that back, another contact.

Each is a TenantRequest in the tenant's namespace; the operator acts on the newest and answers in its status.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from guestpost_crm.accounts.models import Person
from guestpost_crm.audit.services import record
from guestpost_crm.environment import current
from guestpost_crm.privacy import kubernetes

PLURAL, KIND = "tenantrequests", "TenantRequest"
ERASE, CANCEL, CONTACT = "Erase", "CancelErasure", "ContactChange"


@dataclass(frozen=True)
class Erasure:
    """An erasure that was asked for.

    Attributes:
        after: when it begins; None until the service has answered.
        note: what the service says about it, for people.
        by_service: the service asks for it, so that the owner can't take it back.
        taken_back: the owner has just taken it back, and the service has not answered yet.
    """

    asked_at: dt.datetime
    after: dt.datetime | None
    note: str = ""
    by_service: bool = False
    taken_back: bool = False


@dataclass(frozen=True)
class Contact:
    """Whom the service writes to."""

    name: str
    email: str


@dataclass(frozen=True)
class Asked:
    """Everything that is asked for now."""

    erasure: Erasure | None
    refused: str
    contact: Contact


def asked() -> Asked:
    """What is asked for, and what the service answered (KubernetesError)."""
    found = kubernetes.find(PLURAL)
    refused = [body for body in found if _phase(body) == "Refused"]
    standing = [body for body in found if _phase(body) != "Refused"]
    contact = _newest(standing, CONTACT)
    return Asked(
        erasure=_erasure(_newest(standing, ERASE, CANCEL)),
        refused=_note(refused[0]) if refused else "",
        contact=Contact(**contact["spec"]["contact"]) if contact else _first_contact(),
    )


def ask_for_erasure(person: Person, *, last_export: bool) -> None:
    """Ask for the erasure of this server with all that is in it, after the grace period.

    Args:
        person: the owner.
        last_export: whether they want a last export before.

    Raises:
        KubernetesError: it could not be asked for.
    """
    _create(ERASE, {} if last_export else {"finalExport": "Skip"})
    record(person, "erasure.requested", "tenant", last_export=last_export)


def take_back(person: Person) -> None:
    """Take back what was asked for (KubernetesError)."""
    _create(CANCEL, {})
    record(person, "erasure.taken-back", "tenant")


def change_contact(person: Person, contact: Contact) -> None:
    """Say whom the service shall write to; it gives nobody access (KubernetesError)."""
    _create(CONTACT, {"contact": {"name": contact.name, "email": contact.email}})
    record(person, "contact.changed", "tenant")


def _create(kind: str, spec: dict[str, Any]) -> None:
    # The time to the microsecond: names of requests are in the order in which they were made.
    name = f"request-{timezone.now():%Y%m%d-%H%M%S-%f}"
    kubernetes.create(PLURAL, KIND, name, {"type": kind, **spec})


def _newest(found: list[dict[str, Any]], *kinds: str) -> dict[str, Any] | None:
    these = [body for body in found if body["spec"]["type"] in kinds]
    return max(these, key=_age, default=None)


def _age(body: dict[str, Any]) -> tuple[str, str]:
    return body["metadata"]["creationTimestamp"], body["metadata"]["name"]


def _erasure(body: dict[str, Any] | None) -> Erasure | None:
    if body is None:
        return None
    status = body.get("status", {})
    after = status.get("eraseAfter")
    asked_for = body["spec"]["type"] == ERASE
    if not asked_for and _phase(body) and not after:
        return None
    return Erasure(
        asked_at=dt.datetime.fromisoformat(body["metadata"]["creationTimestamp"]),
        after=dt.datetime.fromisoformat(after) if after else None,
        note=_note(body) if _reason(body) not in ("GracePeriod", "") else "",
        by_service=not asked_for and bool(after),
        taken_back=not asked_for and not after,
    )


def _phase(body: dict[str, Any]) -> str:
    return str(body.get("status", {}).get("phase", ""))


def _condition(body: dict[str, Any]) -> dict[str, Any]:
    return next((each for each in body.get("status", {}).get("conditions", ())), {})


def _reason(body: dict[str, Any]) -> str:
    return str(_condition(body).get("reason", ""))


def _note(body: dict[str, Any]) -> str:
    return str(_condition(body).get("message", ""))


def _first_contact() -> Contact:
    environment = current()
    return Contact(environment.owner_name, environment.owner_email)
