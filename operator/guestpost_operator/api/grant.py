"""SupportGrant as the operator reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guestpost_operator.api.conditions import Condition
from guestpost_operator.api.part import Part

# What is asked for, and what is given.
BROWSE, SHELL = "Browse", "Shell"
APPROVED, DENIED = "Approved", "Denied"


class GrantSpec(Part):
    """What is asked for."""

    subject: str
    level: str


class Approval(Part):
    """The customer's decision; times are RFC 3339 in UTC, as the tenant's web wrote them."""

    decision: str
    level: str = ""
    decided_at: str
    expires_at: str = ""
    signature: str = ""


class Terminal(Part):
    """Where a Shell is."""

    job: str = ""


class GrantStatus(Part):
    """What became of it: approval and revokedAt are the web's, the rest is the operator's."""

    phase: str = ""
    approval: Approval | None = None
    revoked_at: str = ""
    shell: Terminal = Terminal()
    conditions: list[Condition] = []


class Grant(Part):
    """One SupportGrant."""

    name: str
    namespace: str
    uid: str
    generation: int = 1
    deleting: bool
    spec: GrantSpec
    status: GrantStatus

    @property
    def job(self) -> str:
        """Name of the Job of its Shell; a grant made again under its name has another one."""
        return f"support-{self.uid[:8]}"


def parse(body: Mapping[str, Any]) -> Grant:
    """Read a SupportGrant from the API server's JSON, which has validated it (pydantic.ValidationError)."""
    metadata = body["metadata"]
    return Grant.model_validate(
        {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "generation": metadata.get("generation", 1),
            "deleting": bool(metadata.get("deletionTimestamp")),
            "spec": body["spec"],
            "status": body.get("status") or {},
        }
    )
