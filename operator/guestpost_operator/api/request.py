"""TenantRequest as the operator reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guestpost_operator.api.conditions import Condition
from guestpost_operator.api.part import Part

ERASE, CANCEL, CONTACT = "Erase", "CancelErasure", "ContactChange"


class Contact(Part):
    """Whom the service writes to."""

    name: str
    email: str


class RequestSpec(Part):
    """What is asked for."""

    type: str
    final_export: str = ""
    contact: Contact | None = None


class RequestStatus(Part):
    """The operator's answer."""

    phase: str = ""
    conditions: list[Condition] = []
    erase_after: str = ""


class Request(Part):
    """One TenantRequest."""

    name: str
    namespace: str
    uid: str
    generation: int = 1
    created: str
    spec: RequestSpec
    status: RequestStatus


def parse(body: Mapping[str, Any]) -> Request:
    """Read a TenantRequest from the API server's JSON, which has validated it (pydantic.ValidationError)."""
    metadata = body["metadata"]
    return Request.model_validate(
        {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "generation": metadata.get("generation", 1),
            "created": metadata["creationTimestamp"],
            "spec": body["spec"],
            "status": body.get("status") or {},
        }
    )
