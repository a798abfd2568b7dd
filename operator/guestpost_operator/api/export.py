"""TenantExport as the operator reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guestpost_operator.api.conditions import Condition
from guestpost_operator.api.part import Part

# Who asks, as spec.requestedBy says.
BY_ERASURE = "Erasure"
# The last export of a tenant that is erased; the name is known before the object is made.
FINAL = "final-export"


class ExportSpec(Part):
    """What is asked for."""

    requested_by: str
    retention_seconds: int = 604800


class Counts(Part):
    """What a complete archive holds."""

    messages: int = 0
    records: int = 0


class ExportStatus(Part):
    """How far it is: the operator and the export's own pod write it. Times are RFC 3339 in UTC."""

    phase: str = ""
    conditions: list[Condition] = []
    volume_size: str = ""
    sha256: str = ""
    counts: Counts = Counts()
    expires_at: str = ""
    downloaded_at: str = ""

    def condition(self, kind: str) -> Condition | None:
        """The condition of a type."""
        return next((each for each in self.conditions if each.type == kind), None)


class Export(Part):
    """One TenantExport."""

    name: str
    namespace: str
    uid: str
    generation: int = 1
    created: str
    deleting: bool
    spec: ExportSpec
    status: ExportStatus


def parse(body: Mapping[str, Any]) -> Export:
    """Read a TenantExport from the API server's JSON, which has validated it (pydantic.ValidationError)."""
    metadata = body["metadata"]
    return Export.model_validate(
        {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "generation": metadata.get("generation", 1),
            "created": metadata.get("creationTimestamp", ""),
            "deleting": bool(metadata.get("deletionTimestamp")),
            "spec": body["spec"],
            "status": body.get("status") or {},
        }
    )
