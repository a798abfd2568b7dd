"""What can come of a call to Gmail, by what is to be done about it.

https://developers.google.com/workspace/gmail/api/guides/handle-errors
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httplib2
import requests
from google.auth.exceptions import RefreshError, TransportError
from googleapiclient.errors import HttpError
from urllib3.exceptions import NewConnectionError

from guestpost_crm.gmail.broker import BrokerError
from guestpost_crm.web.numbers import number

_RATE = {"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded"}
# A day's limit is not over in a moment.
_DAY, _MOMENT, _LONGEST = 600.0, 2.0, 600.0


class GmailError(Exception):
    """Gmail's answer was no success, or there was none."""


class ConsentGoneError(GmailError):
    """The person's consent is no longer valid, or of no use here any more.

    Attributes:
        problem: consent_gone, or mailbox_taken by another server.
    """

    def __init__(self, problem: str = "consent_gone") -> None:
        super().__init__(problem)
        self.problem = problem


class UnauthorizedError(GmailError):
    """The access token is not accepted: a new one is asked for, and only the broker's word ends a consent."""


class NotFoundError(GmailError):
    """The message or history asked for is not there (any more)."""


class RateLimitedError(GmailError):
    """The quota is used up. `retry_after` in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("rate limited")
        self.retry_after = retry_after


class RefusedError(GmailError):
    """Gmail will not do this, now or later; carries Gmail's reason, such as `invalidArgument`."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


class UnavailableError(GmailError):
    """No answer, or a failure of Gmail's own: the call may have had its effect."""


class UnreachableError(UnavailableError):
    """No connection came about: the call certainly had no effect."""


class BrokerAwayError(UnreachableError):
    """The consent broker gave no access token, so Gmail was not called."""


class TooLargeError(GmailError):
    """An answer is larger than any message of Gmail's can be."""


def of_answer(status: int, reason: str, retry_after: str) -> GmailError:
    """The error of an answer.

    Args:
        status: HTTP status.
        reason: Google's, such as `rateLimitExceeded`.
        retry_after: the header, empty without one.
    """
    if status == 404:
        return NotFoundError(reason)
    if status == 429 or (status == 403 and reason in _RATE):
        usual = _DAY if reason == "dailyLimitExceeded" else _MOMENT
        asked = number(retry_after)
        return RateLimitedError(usual if asked is None else min(asked, _LONGEST))
    if status == 401:
        return UnauthorizedError(reason)
    if status >= 500 or status == 408:
        return UnavailableError(f"{status} {reason}")
    return RefusedError(status, reason)


def word(error: GmailError) -> str:
    """Why a call failed, in a word: Google's own where it said one, else one of ours (gmail.status)."""
    if isinstance(error, RefusedError):
        return error.reason or str(error.status)
    if isinstance(error, NotFoundError):
        return str(error) or "404"
    if isinstance(error, TooLargeError):
        return "too_large"
    return "unauthorized" if isinstance(error, UnauthorizedError) else "unavailable"


def _of_broker(error: str) -> GmailError:
    """The error of an answer of the broker's, which gave no access token."""
    if error in ("invalid_grant", "invalid_seal"):
        return ConsentGoneError()
    return ConsentGoneError(error) if error == "mailbox_taken" else BrokerAwayError(error)


@contextmanager
def translated() -> Iterator[None]:
    """Errors of the libraries as ours."""
    try:
        yield
    except HttpError as error:
        details = error.error_details
        first = details[0] if isinstance(details, list) and details else {}
        reason = str(first.get("reason", "")) if isinstance(first, dict) else ""
        after = str(error.resp.get("retry-after", ""))
        raise of_answer(int(error.status_code), reason[:60], after) from None
    except BrokerError as error:
        raise _of_broker(error.error) from None
    except RefreshError:
        # A 401 makes the library ask for a new token, which only the broker can give.
        raise UnauthorizedError("unauthorized") from None
    except requests.ConnectionError as error:
        cause = getattr(error.args[0], "reason", None) if error.args else None
        never = isinstance(error, requests.ConnectTimeout) or isinstance(cause, NewConnectionError)
        kind = UnreachableError if never else UnavailableError
        raise kind(type(error).__name__) from None
    except ConnectionRefusedError:
        raise UnreachableError("ConnectionRefusedError") from None
    except (OSError, TransportError, httplib2.HttpLib2Error, ValueError, EOFError) as error:
        raise UnavailableError(type(error).__name__) from None
    except Exception as error:
        if type(error).__module__.startswith("http.client"):
            raise UnavailableError(type(error).__name__) from None
        raise
