"""What the operator remembers of a tenant between reconciles. Losing it costs reads, never writes."""

from __future__ import annotations

from dataclasses import dataclass, field

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


@dataclass
class Memory:
    """Per tenant.

    Attributes:
        good: per object, hash of what was rendered and of what the cluster then held: as long as
            both are the same, the object needs neither a read nor a write.
        rendered: input of the last rendering and the hashes that came out.
        certificate: of the web.
        messaging_checked: when Pub/Sub was last seen to be as wanted (monotonic seconds).
        volumes_read: whether the volumes of this database were looked up.
    """

    good: dict[Key, tuple[str, str]] = field(default_factory=dict)
    rendered: tuple[object, dict[Key, str]] | None = None
    certificate: tuple[str, Certificate] | None = None
    messaging_checked: float | None = None
    volumes_read: str = ""

    def forget_checks(self) -> None:
        """Look at everything again, as after a start."""
        self.good.clear()
        self.messaging_checked = None
        self.volumes_read = ""
