"""Faults on request: the next calls of a method fail, wait, or lose their connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from google_standin.errors import ApiError


@dataclass
class Fault:
    """What happens to the next calls.

    Attributes:
        method: such as `messages.get`, `token`, `revoke`, `notification`, or `*` for every call.
        account: e-mail address, or `*`.
        status: HTTP status to answer, 0 for none.
        reason: Google's reason, such as `userRateLimitExceeded`.
        count: how many calls, None for all that come.
        skip: calls that are let through first.
        latency: seconds to wait before anything else.
        drop: close the connection without an answer, before or after the call had its effect; a
            notification is lost.
        retry_after: seconds, sent as the Retry-After header.
        copies: how often a notification comes.
    """

    method: str
    account: str = "*"
    status: int = 0
    reason: str = ""
    message: str = ""
    count: int | None = 1
    skip: int = 0
    latency: float = 0.0
    drop: Literal["", "before", "after"] = ""
    retry_after: int | None = None
    copies: int = 1

    def error(self) -> ApiError:
        """The answer that is given instead."""
        limited = "rate" in self.reason.lower() or self.status == 429
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        domain = "usageLimits" if limited else "global"
        return ApiError(self.status, self.message or "Injected fault.", self.reason, domain, headers)


class Faults:
    """The faults asked for, in order."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """One more."""
        self._faults.append(fault)

    def clear(self) -> None:
        """None any more."""
        self._faults.clear()

    def take(self, method: str, account: str) -> Fault | None:
        """The fault that this call suffers, if any; counts it."""
        for fault in self._faults:
            if not _concerns(fault.method, method) or fault.account not in ("*", account):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            if fault.count is None:
                return fault
            if fault.count > 0:
                fault.count -= 1
                return fault
        return None


def _concerns(asked: str, method: str) -> bool:
    """Whether a fault is for a method. A notification is no call, so `*` does not mean it."""
    return asked == method or (asked == "*" and method != "notification")
