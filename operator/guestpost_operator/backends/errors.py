"""What can go wrong outside the process, in the words that conditions use."""

from __future__ import annotations


class BackendError(Exception):
    """A call outside failed.

    Attributes:
        reason: CamelCase, for conditions and metrics.
        retry_after: seconds that the other side asked to wait, if it did.
    """

    reason = "Error"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnavailableError(BackendError):
    """Not reached, too slow, overloaded or broken on the other side: try again."""

    reason = "Unavailable"


class ConflictError(BackendError):
    """Somebody else changed it at the same time: read again, try again."""

    reason = "Conflict"


class AlreadyExistsError(BackendError):
    """The name is in use."""

    reason = "AlreadyExists"


class NotFoundError(BackendError):
    """Not there; where absence is wanted this is success."""

    reason = "NotFound"


class RefusedError(BackendError):
    """We lack the right, or an admission policy or quota says no: a person has to act."""

    reason = "Refused"


class InvalidError(BackendError):
    """The other side does not take what we send: wrong values or an older API."""

    reason = "Invalid"


class ExpiredError(BackendError):
    """A watch's or list's resource version is too old (HTTP 410)."""

    reason = "Expired"


class UnsupportedError(InvalidError):
    """The other side does not know this call."""

    reason = "Unsupported"
