"""What the API server, or the way to it, answers with instead of what was asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """One part of a refusal: which field, and what is wrong with it."""

    field: str
    message: str


class ApiError(Exception):
    """The API server said no, or said nothing.

    Attributes:
        status: of HTTP; 503 when there was no answer.
        reason: a word for programs, such as "Conflict" (metav1.StatusReason), or "Away".
        message: a sentence for people.
        causes: by field, where the API server tells them.
        retry_after: seconds, when the API server names them.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        causes: tuple[Cause, ...] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = causes
        self.retry_after = retry_after


class AwayError(ApiError):
    """The API server does not answer, or not in time, or not with what it promised."""

    def __init__(self, message: str = "The API server does not answer.") -> None:
        super().__init__(503, "Away", message)


class TokenError(ApiError):
    """The API server no longer knows the person: the token has expired or was revoked (401)."""


class ForbiddenError(ApiError):
    """The person may not do this (403); the message is the API server's own."""


class GoneError(ApiError):
    """There is no such object (any more), or no such kind (404)."""


class ConflictError(ApiError):
    """Somebody else changed it meanwhile, or it is there already (409)."""


class InvalidError(ApiError):
    """The API server's schema, rules or policies refuse it (400, 422); see causes."""


class ExpiredError(ApiError):
    """What a watch or a list would go on from is too old (410): begin again."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: InvalidError,
    401: TokenError,
    403: ForbiddenError,
    404: GoneError,
    409: ConflictError,
    410: ExpiredError,
    422: InvalidError,
}


def from_answer(status: int, body: bytes | str, retry_after: str = "") -> ApiError:
    """The error that an answer stands for.

    Args:
        status: of HTTP, 400 or more.
        body: a metav1.Status, if all is well; anything else is survived and not quoted.
        retry_after: the header of that name.
    """
    try:
        said = json.loads(body)
        if not isinstance(said, dict):
            said = {}
    except ValueError:
        said = {}
    details = said.get("details") or {}
    causes = tuple(
        Cause(str(each.get("field", "")), str(each.get("message", "")))
        for each in details.get("causes") or ()
    )
    message = str(said.get("message") or f"The API server answered with {status}.")
    reason = str(said.get("reason") or "Unknown")
    seconds = int(retry_after) if retry_after.isdigit() else details.get("retryAfterSeconds")
    return _BY_STATUS.get(status, ApiError)(status, reason, message, causes, seconds)
