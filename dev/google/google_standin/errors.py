"""Errors as Google's APIs and its OAuth server write them.

https://developers.google.com/workspace/gmail/api/guides/handle-errors
"""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.responses import JSONResponse

_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
}
_REASONS = {
    400: "invalidArgument",
    401: "authError",
    403: "forbidden",
    404: "notFound",
    413: "uploadTooLarge",
    429: "rateLimitExceeded",
    500: "backendError",
    503: "backendError",
}


@dataclass
class ApiError(Exception):
    """An answer of Gmail's that is no success.

    Attributes:
        code: HTTP status.
        message: for people.
        reason: such as `rateLimitExceeded`; the usual one of the code when empty.
        domain: `usageLimits` for quotas, else `global`.
    """

    code: int
    message: str
    reason: str = ""
    domain: str = "global"
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> JSONResponse:
        """The answer in Google's form."""
        reason = self.reason or _REASONS.get(self.code, "backendError")
        detail = {"message": self.message, "domain": self.domain, "reason": reason}
        error = {
            "code": self.code,
            "message": self.message,
            "errors": [detail],
            "status": _STATUS.get(self.code, "UNKNOWN"),
        }
        return JSONResponse({"error": error}, status_code=self.code, headers=self.headers)


def not_found() -> ApiError:
    """The message, thread or history asked for is not there."""
    return ApiError(404, "Requested entity was not found.")


def rate_limited(message: str = "") -> ApiError:
    """The quota of this user or project is used up."""
    text = message or (
        "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user' of service"
        " 'gmail.googleapis.com'."
    )
    return ApiError(429, text, "rateLimitExceeded", "usageLimits")


@dataclass
class OAuthError(Exception):
    """An error answer of the token or revocation endpoint (RFC 6749, section 5.2)."""

    error: str
    description: str
    code: int = 400

    def response(self) -> JSONResponse:
        """The answer."""
        return JSONResponse(
            {"error": self.error, "error_description": self.description}, status_code=self.code
        )
