"""Gmail's API as the CRM uses it, behind a small interface; one client for one thread.

https://developers.google.com/workspace/gmail/api/reference/rest
"""

from __future__ import annotations

import datetime as dt
import io
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, Any, TypeVar

import httplib2
import requests
from google.oauth2.credentials import Credentials
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build_from_document
from googleapiclient.discovery_cache import get_static_doc

from guestpost_crm.environment import current
from guestpost_crm.gmail import transfer
from guestpost_crm.gmail.broker import Broker, TokenHolder
from guestpost_crm.gmail.errors import RateLimitedError, UnauthorizedError, UnavailableError, translated
from guestpost_crm.gmail.quota import UNITS, Bucket

Answer = TypeVar("Answer")
_DRAFTS = "-in:drafts"


@dataclass(frozen=True)
class RawMessage:
    """A message as Gmail has it; `content` is a file that goes with the message."""

    id: str
    thread: str
    labels: tuple[str, ...]
    received_at: dt.datetime
    content: IO[bytes]
    size: int = 0


class Gmail:
    """One mailbox.

    Args:
        mailbox: has the sealed refresh token.
        bucket: shared by all clients of the mailbox.
        broker: refreshes access tokens.
    """

    def __init__(self, mailbox: TokenHolder, bucket: Bucket, broker: Broker | None = None) -> None:
        self._mailbox = mailbox
        self._bucket = bucket
        self._broker = broker or Broker()
        self._service: Any = None
        self._session = requests.Session()
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

    def list_ids(self, page: str = "", *, size: int = 500, label: str = "") -> dict[str, Any]:
        """A page of users.messages.list, spam and trash included, the newest first.

        Args:
            page: token of the page; empty for the first.
            size: ids on a page.
            label: only what has it; without one everything but drafts.
        """
        which: dict[str, Any] = {"labelIds": [label]} if label else {"q": _DRAFTS}
        return self._list(page, background=True, includeSpamTrash=True, maxResults=size, **which)

    def list_sent(self, page: str = "") -> dict[str, Any]:
        """What was sent, the newest first, by label and not by a search, whose index may be behind."""
        return self._list(page, background=False, labelIds=["SENT"], includeSpamTrash=True, maxResults=100)

    def _list(self, page: str, *, background: bool, **arguments: Any) -> dict[str, Any]:
        return self._call(
            "messages.list",
            lambda users: users.messages().list(userId="me", pageToken=page or None, **arguments),
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
            TooLargeError: it can be no message of Gmail's.
        """
        address = f"{_root()}gmail/v1/users/me/messages/{identifier}"
        answer, content = self._spend(
            "messages.get", lambda: transfer.download(self._session, address), background=background
        )
        try:
            labels = tuple(answer.get("labelIds", ()))
            size = content.seek(0, io.SEEK_END)
            content.seek(0)
            return RawMessage(answer["id"], answer["threadId"], labels, _date(answer), content, size)
        except (KeyError, TypeError):
            content.close()
            raise UnavailableError("an answer without id or thread") from None

    def message_labels(self, identifier: str) -> tuple[str, ...]:
        """A message's labels now (NotFoundError)."""
        answer = self._call(
            "messages.get",
            lambda users: users.messages().get(userId="me", id=identifier, format="minimal"),
            background=True,
        )
        return tuple(answer.get("labelIds", ()))

    def headers(self, identifier: str, names: list[str]) -> tuple[dt.datetime, dict[str, str]]:
        """When a message came or went, and some of its headers by lower-case name (NotFoundError)."""
        answer = self._call(
            "messages.get",
            lambda users: users.messages().get(
                userId="me", id=identifier, format="metadata", metadataHeaders=names
            ),
        )
        found = answer.get("payload", {}).get("headers", ())
        moment = dt.datetime.fromtimestamp(int(answer["internalDate"]) / 1000, dt.UTC)
        return moment, {item["name"].lower(): item["value"] for item in found}

    def send(self, content: Callable[[], Iterable[bytes]], size: int, thread: str = "") -> dict[str, Any]:
        """users.messages.send: exactly one attempt, whatever comes of it.

        Args:
            content: gives the raw message in pieces; called again only when the first call was refused
                for its access token.
            size: of the message in bytes.
            thread: Gmail's id of the conversation it belongs to.

        Raises:
            UnreachableError: it was certainly not sent.
            UnavailableError: it may have been sent.
        """
        address = f"{_root()}upload/gmail/v1/users/me/messages/send"
        described = {"threadId": thread} if thread else {}
        return self._spend(
            "messages.send",
            lambda: transfer.upload(self._session, address, described, content(), size),
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
        answer = self._spend(
            method,
            lambda: request(self._service.users()).execute(num_retries=0),
            background=background,
        )
        return dict(answer) if isinstance(answer, dict) else {}

    def _spend(self, method: str, attempt: Callable[[], Answer], *, background: bool = False) -> Answer:
        """Make a call when the quota allows it, once more with a fresh access token if it asks for one."""
        self._bucket.spend(UNITS[method], background=background)
        try:
            return self._attempt(attempt)
        except UnauthorizedError:
            # Access tokens can end before their time; whether the consent has, only refreshing tells.
            self._service = None
            try:
                return self._attempt(attempt)
            except UnauthorizedError as error:
                raise UnavailableError("fresh access tokens are not accepted") from error

    def _attempt(self, attempt: Callable[[], Answer]) -> Answer:
        try:
            with translated():
                self._authorize()
                return attempt()
        except RateLimitedError:
            self._bucket.refused()
            raise

    def _authorize(self) -> None:
        """See to an access token that is still good for a while."""
        if self._service is not None and time.monotonic() < self._expires:
            return
        access = self._broker.refresh(self._mailbox.sub, self._mailbox.token())
        if access.sealed:
            self._mailbox.renew_token(access.sealed)
        http = httplib2.Http(timeout=transfer.READ)
        # 308 is an answer of resumable uploads, no redirection.
        http.redirect_codes = set(http.redirect_codes) - {308}
        authorized = AuthorizedHttp(Credentials(access.value), http=http, max_refresh_attempts=0)
        self._service = build_from_document(_description(), http=authorized)
        self._session.headers["Authorization"] = f"Bearer {access.value}"
        self._expires = time.monotonic() + max(30, access.expires_in - 120)


def _root() -> str:
    return current().gmail_api_endpoint.rstrip("/") + "/"


@lru_cache(maxsize=1)
def _description() -> dict[str, Any]:
    """Gmail's discovery document with our endpoint in it.

    The option `api_endpoint` would leave batches with Google's own address.
    """
    document: dict[str, Any] = json.loads(get_static_doc("gmail", "v1"))
    return {**document, "rootUrl": _root(), "baseUrl": _root(), "mtlsRootUrl": _root()}


def _date(answer: dict[str, Any]) -> dt.datetime:
    try:
        return dt.datetime.fromtimestamp(int(answer.get("internalDate", 0)) / 1000, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return dt.datetime.fromtimestamp(0, dt.UTC)
