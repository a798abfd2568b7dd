"""GuestPostTenant as the operator reads it. The CRD validates; this gives types.

Fields that only people or the API server use are ignored here, so a newer CRD does not stop
an older operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError

from guestpost_operator.api import names
from guestpost_operator.api.conditions import Condition
from guestpost_operator.api.part import Part, problems


class InvalidTenantError(Exception):
    """The object cannot be read as a GuestPostTenant; the message says which field and why."""


class Owner(Part):
    """Whose server it is: the first sign-in with this verified address becomes the owner."""

    name: str = ""
    email: str


class Storage(Part):
    """The database's volume: storage class (immutable) and size (only grows)."""

    class_name: str = ""
    database: str = ""


class Abandoned(Part):
    """A step of the erasure that a person gave up, and why."""

    step: str
    reason: str


class Deletion(Part):
    """What protects the tenant, and how it wants to be erased."""

    protected: bool = False
    requested: bool = False
    grace_period_seconds: int = 604800
    final_export: str = "Required"
    abandon: list[Abandoned] = []


class Release(Part):
    """Which versions of the CRM the tenant takes; `version` with channel Pinned only."""

    channel: str = "Stable"
    version: str = ""


class Spec(Part):
    """What is wanted."""

    owner: Owner
    hostname: str = ""
    region: str
    google_project: str
    plan: str = "Starter"
    state: str = "Running"
    suspend_reason: str = ""
    release: Release = Release()
    storage: Storage = Storage()
    deletion: Deletion = Deletion()


class NamespaceStatus(Part):
    """The tenant's namespace: a name alone proves nothing, so the uid is kept."""

    name: str = ""
    uid: str = ""


class ReleaseStatus(Part):
    """When the tenant was given the revision in force (RFC 3339), and which one it had before."""

    previous_revision: str = ""
    moved_at: str = ""


class AppStatus(Part):
    """The revision that web and sync are rendered from: they follow when the database is migrated."""

    revision: str = ""


class MessagingStatus(Part):
    """Full ids of the tenant's topic and subscription, written before they are made."""

    topic: str = ""
    subscription: str = ""


class Found(Part):
    """How many things of a kind there were when the erasure began."""

    kind: str
    count: int


class LastExport(Part):
    """What became of the last export: Downloaded, Expired, Empty, Skipped or Abandoned."""

    outcome: str
    sha256: str = ""


class DeletionStatus(Part):
    """How far an erasure is, or when one begins. Times are RFC 3339 in UTC."""

    requested_at: str = ""
    requested_by: str = ""
    final_export: str = ""
    erase_after: str = ""
    started_at: str = ""
    completed: list[str] = []
    abandoned: list[str] = []
    found: list[Found] = []
    export: LastExport | None = None
    blocked_by: str = ""


class Keys(Part):
    """How far the exchange of keys and passwords is; empty before the first one. Times are RFC 3339 in UTC.

    Attributes:
        stage: see `rotation.Stage`.
        requested: the annotation that was last answered.
        since: when the stage began.
        rotated_at: when the last exchange ended.
        login: of PostgreSQL, that web and sync use.
        kms_key: full name of the key in Google's KMS that wraps the tenant's key, written before it is made.
    """

    stage: str = ""
    requested: str = ""
    since: str = ""
    rotated_at: str = ""
    login: str = names.LOGIN
    kms_key: str = ""


class Status(Part):
    """What was last said about the tenant; only what decisions need."""

    observed_generation: int = 0
    revision: str = ""
    release: ReleaseStatus = ReleaseStatus()
    app: AppStatus = AppStatus()
    namespace: NamespaceStatus = NamespaceStatus()
    database: dict[str, Any] = {}
    messaging: MessagingStatus = MessagingStatus()
    keys: Keys = Keys()
    volumes: list[dict[str, str]] = []
    deletion: DeletionStatus = DeletionStatus()
    conditions: list[Condition] = []


class Tenant(Part):
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

    def asked_to_go(self, clock: DeletionStatus | None) -> Tenant:
        """The same with the erasure that is asked for, as its status is about to say."""
        deletion = clock or DeletionStatus()
        return self.model_copy(update={"status": self.status.model_copy(update={"deletion": deletion})})

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
        raise InvalidTenantError(problems(error)) from error
