"""Gmail's API as the CRM uses it, behind a small interface; one client for one thread.

https://developers.google.com/workspace/gmail/api/reference/rest
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, Any

import httplib2
from google.auth.exceptions import RefreshError, TransportError
from google.oauth2.credentials import Credentials
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build_from_document
from googleapiclient.discovery_cache import get_static_doc
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaIoBaseUpload

from guestpost_crm.environment import current
from guestpost_crm.gmail.broker import Broker, BrokerError
from guestpost_crm.gmail.quota import UNITS, Bucket

TIMEOUT = 60
_RATE = {"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded"}


class GmailError(Exception):
    """Gmail's answer was no success, or there was none."""


class ConsentGoneError(GmailError):
    """The person's consent is no longer valid."""


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


@dataclass(frozen=True)
class RawMessage:
    """A message as Gmail has it; `content` is a file that goes with the message."""

    id: str
    thread: str
    labels: tuple[str, ...]
    received_at: dt.datetime
    content: IO[bytes]


class Gmail:
    """One mailbox.

    Args:
        token: gives the sealed refresh token.
        bucket: shared by all clients of the mailbox.
        broker: refreshes access tokens.
    """

    def __init__(self, token: Callable[[], str], bucket: Bucket, broker: Broker | None = None) -> None:
        self._token = token
        self._bucket = bucket
        self._broker = broker or Broker()
        self._service: Any = None
        self._expires = 0.0

    def profile(self) -> dict[str, Any]:
        """users.getProfile."""
        return self._call("getProfile", lambda users: users.getProfile(userId="me"))

    def history(self, start: int, page: str = "") -> dict[str, Any]:
        """A page of users.history.list (NotFoundError when `start` is too old)."""
        return self._call(
            "history.list",
            lambda users: users.history().list(
                userId="me", startHistoryId=str(start), maxResults=500, pageToken=page or None
            ),
        )

    def list_ids(self, page: str = "", query: str = "", *, background: bool = True) -> dict[str, Any]:
        """A page of users.messages.list, spam and trash included, drafts not."""
        return self._call(
            "messages.list",
            lambda users: users.messages().list(
                userId="me",
                maxResults=500,
                includeSpamTrash=True,
                q=query or "-in:drafts",
                pageToken=page or None,
            ),
            background=background,
        )

    def labels(self) -> list[dict[str, Any]]:
        """users.labels.list."""
        answer = self._call("labels.list", lambda users: users.labels().list(userId="me"))
        return list(answer.get("labels", ()))

    def message(self, identifier: str, *, background: bool = False) -> RawMessage:
        """A whole message, by format=raw: 20 units with all its attachments.

        Raises:
            NotFoundError: it was deleted meanwhile.
        """
        answer = self._call(
            "messages.get",
            lambda users: users.messages().get(userId="me", id=identifier, format="raw"),
            background=background,
        )
        content = tempfile.SpooledTemporaryFile(max_size=1 << 20)  # noqa: SIM115 - lives with the message
        encoded: str = answer.pop("raw", "")
        try:
            for start in range(0, len(encoded), 4 << 18):
                piece = encoded[start : start + (4 << 18)]
                content.write(base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4)))
        except binascii.Error as error:
            raise UnavailableError("Gmail's answer is no base 64") from error
        content.seek(0)
        return RawMessage(
            answer["id"], answer["threadId"], tuple(answer.get("labelIds", ())), _date(answer), content
        )

    def message_labels(self, identifier: str) -> tuple[str, ...]:
        """A message's labels now (NotFoundError)."""
        answer = self._call(
            "messages.get",
            lambda users: users.messages().get(userId="me", id=identifier, format="minimal"),
            background=True,
        )
        return tuple(answer.get("labelIds", ()))

    def headers(self, identifier: str, names: list[str]) -> dict[str, str]:
        """Some headers of a message, by lower-case name (NotFoundError)."""
        answer = self._call(
            "messages.get",
            lambda users: users.messages().get(
                userId="me", id=identifier, format="metadata", metadataHeaders=names
            ),
        )
        found = answer.get("payload", {}).get("headers", ())
        return {item["name"].lower(): item["value"] for item in found}

    def send(self, content: IO[bytes], thread: str = "") -> dict[str, Any]:
        """users.messages.send: exactly one attempt, whatever comes of it."""
        media = MediaIoBaseUpload(content, mimetype="message/rfc822", resumable=False)
        body = {"threadId": thread} if thread else {}
        return self._call(
            "messages.send",
            lambda users: users.messages().send(userId="me", body=body, media_body=media),
        )

    def watch(self, topic: str) -> dict[str, Any]:
        """users.watch: changes are published to a Pub/Sub topic for seven days at most."""
        return self._call("watch", lambda users: users.watch(userId="me", body={"topicName": topic}))

    def stop(self) -> None:
        """users.stop."""
        self._call("stop", lambda users: users.stop(userId="me"))

    def _call(
        self, method: str, request: Callable[[Any], Any], *, background: bool = False
    ) -> dict[str, Any]:
        self._bucket.spend(UNITS[method], background=background)
        try:
            answer = self._attempt(request)
        except UnauthorizedError:
            # Access tokens can end before their time; whether the consent has, only refreshing tells.
            self._service = None
            try:
                answer = self._attempt(request)
            except UnauthorizedError as error:
                raise UnavailableError("fresh access tokens are not accepted") from error
        return dict(answer) if isinstance(answer, dict) else {}

    def _attempt(self, request: Callable[[Any], Any]) -> Any:
        with _translated(self._bucket):
            return request(self._users()).execute(num_retries=0)

    def _users(self) -> Any:
        if self._service is None or time.monotonic() > self._expires:
            access = self._broker.refresh(self._token())
            http = httplib2.Http(timeout=TIMEOUT)
            # 308 is an answer of resumable uploads, no redirection.
            http.redirect_codes = set(http.redirect_codes) - {308}
            authorized = AuthorizedHttp(Credentials(access.value), http=http, max_refresh_attempts=0)
            self._service = build_from_document(_description(), http=authorized)
            self._expires = time.monotonic() + max(30, access.expires_in - 120)
        return self._service.users()


@lru_cache(maxsize=1)
def _description() -> dict[str, Any]:
    """Gmail's discovery document with our endpoint in it.

    The option `api_endpoint` would leave uploads and batches with Google's own address.
    """
    document: dict[str, Any] = json.loads(get_static_doc("gmail", "v1"))
    root = current().gmail_api_endpoint.rstrip("/") + "/"
    return {**document, "rootUrl": root, "baseUrl": root, "mtlsRootUrl": root}


def _date(answer: dict[str, Any]) -> dt.datetime:
    try:
        return dt.datetime.fromtimestamp(int(answer.get("internalDate", 0)) / 1000, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return dt.datetime.fromtimestamp(0, dt.UTC)


@contextmanager
def _translated(bucket: Bucket) -> Iterator[None]:
    """Errors of the libraries as ours."""
    try:
        yield
    except HttpError as error:
        raise _of(error, bucket) from None
    except BrokerError as error:
        if error.error in ("invalid_grant", "invalid_seal"):
            raise ConsentGoneError(error.error) from None
        raise UnavailableError(error.error) from None
    except RefreshError:
        # A 401 makes the library ask for a new token, which only the broker can give.
        raise UnauthorizedError("unauthorized") from None
    except (OSError, TransportError, httplib2.HttpLib2Error, ValueError, EOFError) as error:
        raise UnavailableError(type(error).__name__) from None
    except Exception as error:
        if type(error).__module__.startswith("http.client"):
            raise UnavailableError(type(error).__name__) from None
        raise


def _of(error: HttpError, bucket: Bucket) -> GmailError:
    status = int(error.status_code)
    reason = _reason(error)
    if status == 404:
        return NotFoundError(reason)
    if status == 429 or (status == 403 and reason in _RATE):
        bucket.refused()
        return RateLimitedError(_retry_after(error))
    if status == 401:
        return UnauthorizedError(reason)
    if status >= 500 or status == 408:
        return UnavailableError(f"{status} {reason}")
    return RefusedError(status, reason)


def _reason(error: HttpError) -> str:
    details = error.error_details
    if isinstance(details, list) and details and isinstance(details[0], dict):
        return str(details[0].get("reason", ""))[:60]
    return ""


def _retry_after(error: HttpError) -> float:
    value = str(error.resp.get("retry-after", ""))
    return min(float(value), 300.0) if value.isdigit() else 2.0
