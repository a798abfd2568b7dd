"""What the operator remembers of a tenant between reconciles. Losing it costs reads, never writes."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from guestpost_operator.api import names
from guestpost_operator.credentials import Certificate
from guestpost_operator.inventory import Key
from guestpost_operator.status import Step


class BlockedError(Exception):
    """It cannot go on without a person.

    Attributes:
        reason: CamelCase, for the condition.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def step(self) -> Step:
        """As a step of the status."""
        return Step(done=False, reason=self.reason, message=str(self), stalled=True, failed=True)


def not_adopted(what: str, whose: str, uid: str) -> str:
    """What is said about an object in a tenant's namespace that was not made for it.

    Args:
        what: the object.
        whose: whose it is, as far as can be told.
        uid: the tenant's.
    """
    return (
        f"{what} exists already and {whose}; it is not adopted. Remove it, or label it "
        f"{names.LABEL_TENANT_UID}={uid} if it is a backup of this tenant's that was restored."
    )


class NotYetError(Exception):
    """Something was asked for and is under way; the message says what is waited for.

    Attributes:
        patient: it may take days by rights, so nobody is alarmed.
    """

    def __init__(self, message: str, *, patient: bool = False) -> None:
        super().__init__(message)
        self.patient = patient


@dataclass(slots=True)
class Memory:
    """Per tenant.

    Attributes:
        inputs: fingerprint of what was last rendered from, empty before that.
        rendered: per object, hash of what was last rendered.
        good: per object, hash of what the cluster held when it was as rendered: as long as both are the same,
            the object needs neither a read nor a write.
        certificate: of the web.
        messaging_checked: when Pub/Sub was last seen to be as wanted (monotonic seconds).
        kms_checked: whether the KMS key was seen to be as wanted.
        new_namespace: whether the namespace was made in this very pass, so that nothing can be in it.
        volumes_read: whether the volumes of this database were looked up.
        export_volumes: uids of the exports whose volumes are known to go with them.
        approval_key: uid of the Secret with the tenant's keys, and what its web's approvals are checked with.
    """

    inputs: bytes = b""
    rendered: dict[Key, bytes] = field(default_factory=dict)
    good: dict[Key, bytes] = field(default_factory=dict)
    certificate: tuple[str, Certificate] | None = None
    messaging_checked: float | None = None
    kms_checked: bool = False
    new_namespace: bool = False
    volumes_read: str = ""
    export_volumes: set[str] = field(default_factory=set)
    approval_key: tuple[str, Ed25519PublicKey] | None = None

    def render(self, inputs: bytes, hashes: dict[Key, bytes]) -> None:
        """Take note of a rendering; what it gave otherwise than the last one has to be looked at."""
        for key, digest in self.rendered.items():
            if hashes.get(key) != digest:
                self.good.pop(key, None)
        self.inputs, self.rendered = inputs, hashes

    def agrees(self, key: Key, rendered: bytes, held: bytes) -> None:
        """Take note that the cluster holds an object as it is rendered."""
        self.rendered[key], self.good[key] = rendered, held

    def forget_checks(self) -> None:
        """Look at everything again, as after a start."""
        self.good.clear()
        self.messaging_checked = None
        self.kms_checked = False
        self.volumes_read = ""
