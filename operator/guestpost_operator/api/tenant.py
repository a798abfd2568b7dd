"""GuestPostTenant as the operator reads it. The CRD validates; this gives types.

Fields that only people or the API server use are ignored here, so a newer CRD does not stop
an older operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from guestpost_operator.api import names
from guestpost_operator.api.conditions import Condition


class InvalidTenantError(Exception):
    """The object cannot be read as a GuestPostTenant; the message says which field and why."""


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class Owner(_Part):
    """Whose server it is: the first sign-in with this verified address becomes the owner."""

    name: str = ""
    email: str


class Storage(_Part):
    """The database's volume: storage class (immutable) and size (only grows)."""

    class_name: str = ""
    database: str = ""


class Abandoned(_Part):
    """A step of the erasure that a person gave up, and why."""

    step: str
    reason: str


class Deletion(_Part):
    """What protects the tenant, and how it wants to be erased."""

    protected: bool = False
    abandon: list[Abandoned] = []


class Spec(_Part):
    """What is wanted."""

    owner: Owner
    hostname: str = ""
    region: str
    google_project: str
    plan: str = "Starter"
    state: str = "Running"
    storage: Storage = Storage()
    deletion: Deletion = Deletion()


class NamespaceStatus(_Part):
    """The tenant's namespace: a name alone proves nothing, so the uid is kept."""

    name: str = ""
    uid: str = ""


class MessagingStatus(_Part):
    """Full ids of the tenant's topic and subscription, written before they are made."""

    topic: str = ""
    subscription: str = ""


class Status(_Part):
    """What was last said about the tenant; only what decisions need."""

    observed_generation: int = 0
    revision: str = ""
    namespace: NamespaceStatus = NamespaceStatus()
    database: dict[str, Any] = {}
    messaging: MessagingStatus = MessagingStatus()
    volumes: list[dict[str, str]] = []
    conditions: list[Condition] = []


class Tenant(_Part):
    """One GuestPostTenant."""

    name: str
    uid: str
    generation: int
    created: str
    deleting: bool
    finalizers: list[str]
    annotations: dict[str, str]
    spec: Spec
    status: Status = Field(default_factory=Status)

    @property
    def namespace(self) -> str:
        """Name of its namespace."""
        return names.namespace(self.name)

    @property
    def paused(self) -> bool:
        """Whether a person asked the operator to leave it alone (any value but "false")."""
        return self.annotations.get(names.ANNOTATION_PAUSED, "false").lower() != "false"

    @property
    def has_data(self) -> bool:
        """Whether its database has ever been made: from then on a lost key is a lost server."""
        return bool(self.status.database)


def parse(body: Mapping[str, Any]) -> Tenant:
    """Read a GuestPostTenant from the API server's JSON.

    Raises:
        InvalidTenantError: when a field that decisions need is missing or of the wrong type.
    """
    metadata = body.get("metadata") or {}
    try:
        return Tenant.model_validate(
            {
                "name": metadata.get("name"),
                "uid": metadata.get("uid"),
                "generation": metadata.get("generation", 0),
                "created": metadata.get("creationTimestamp", ""),
                "deleting": bool(metadata.get("deletionTimestamp")),
                "finalizers": metadata.get("finalizers") or [],
                "annotations": metadata.get("annotations") or {},
                "spec": body.get("spec") or {},
                "status": body.get("status") or {},
            }
        )
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise InvalidTenantError(problems) from error
