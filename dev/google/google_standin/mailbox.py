"""What calls of Gmail do to a mailbox, and how they show it."""

from __future__ import annotations

import base64
import binascii
import email.utils
import json
import re
import secrets
from collections.abc import Iterable
from typing import Any

from starlette.requests import Request

from google_standin import mime
from google_standin.errors import ApiError
from google_standin.state import State, body_of
from google_standin.store import Account, Change, Message, UnknownAccountError


def decode(text: str) -> bytes:
    """URL-safe base 64 with or without padding (ApiError 400)."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise ApiError(400, "Invalid value at 'message.raw' (TYPE_BYTES), Base64 decoding failed") from None


def resource(state: State, account: str, identifier: str, form: str, names: set[str]) -> dict[str, Any]:
    """A message as Gmail shows it: format full, metadata, raw or minimal."""
    message = state.store.message(account, identifier)
    shown: dict[str, Any] = {
        "id": message.id,
        "threadId": message.thread,
        "labelIds": list(message.labels),
        "snippet": message.snippet,
        "historyId": str(message.history),
        "internalDate": str(message.date),
        "sizeEstimate": message.size,
    }
    if form == "minimal":
        return shown
    raw = state.store.raw(account, identifier)
    if form == "raw":
        return {**shown, "raw": mime.encode(raw)}
    if form in ("full", "metadata"):
        return {**shown, "payload": mime.payload(raw, headers=names if form == "metadata" else None)}
    raise ApiError(400, f"Invalid value at 'format': {form}")


async def deliver(
    state: State,
    account: str,
    raw: bytes,
    *,
    labels: Iterable[str],
    thread: str | None = None,
    date: int | None = None,
) -> Message:
    """Put a message into a mailbox, into the conversation it belongs to, and tell the watchers."""
    found = mime.index(raw)
    stored = state.store.add(
        account,
        raw,
        labels=labels,
        date=date if date is not None else (found.date or mime.now()),
        thread=thread or _conversation(state, account, found),
        index=found,
    )
    await state.watches.changed(account, stored.labels)
    return stored


def _conversation(state: State, account: str, found: mime.Index) -> str | None:
    for reference in reversed(found.references):
        for known in state.store.messages(account, "message_id = ?", [reference]):
            if mime.same_subject(known.subject, found.subject):
                return known.thread
    return None


async def uploaded(request: Request, limit: int) -> tuple[bytes, str | None]:
    """The raw message and the thread of a send, from JSON, media or multipart upload.

    https://developers.google.com/workspace/gmail/api/guides/uploads
    """
    content = await body_of(request, limit * 2)
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "message/rfc822":
        raw, thread = content, None
    elif kind == "multipart/related":
        raw, thread = _related(request.headers["content-type"], content)
    else:
        try:
            described = json.loads(content or b"{}")
        except ValueError:
            raise ApiError(400, "Invalid JSON payload received.") from None
        raw, thread = decode(str(described.get("raw", ""))), described.get("threadId")
    if len(raw) > limit:
        raise ApiError(413, f"Message larger than {limit} bytes.")
    return raw, thread


def _related(content_type: str, content: bytes) -> tuple[bytes, str | None]:
    """The two parts of a multipart upload: JSON, and the message as it is."""
    found = re.search(r'boundary="?([^";]+)"?', content_type)
    parts = re.split(rb"\r?\n?--" + re.escape((found[1] if found else "-").encode()), content)
    bodies = [re.split(rb"\r?\n\r?\n", part, maxsplit=1)[-1] for part in parts[1:3]]
    if len(bodies) != 2:
        raise ApiError(400, "Missing part in multipart body.")
    return bodies[1], json.loads(bodies[0] or b"{}").get("threadId")


async def send(state: State, account: str, raw: bytes, thread: str | None) -> Message:
    """Send a message: into Sent, and into the mailboxes of recipients who have one here.

    Raises:
        ApiError: 400 without a recipient, 404 for a thread that is not there.
    """
    message = mime.parse(raw)
    fields = [str(message[name]) for name in ("To", "Cc", "Bcc") if message[name]]
    recipients = {address.lower() for _, address in email.utils.getaddresses(fields) if "@" in address}
    if not recipients:
        raise ApiError(400, "Recipient address required")
    if thread is not None and not list(state.store.messages(account, "thread = ?", [thread])):
        raise ApiError(404, "Requested entity was not found.")
    if not state.keep_message_ids or message["Message-ID"] is None:
        raw = mime.replace_message_id(raw, f"<CA+{secrets.token_urlsafe(24)}@mail.gmail.com>")
    joined = thread if thread and _agrees(state, account, thread, mime.index(raw)) else None
    sent = await deliver(state, account, raw, labels=["SENT"], thread=joined, date=mime.now())
    for address in recipients:
        try:
            known = state.store.account(address)
        except UnknownAccountError:
            continue
        await deliver(state, known.email, raw, labels=["INBOX", "UNREAD"], date=mime.now())
    return sent


def _agrees(state: State, account: str, thread: str, found: mime.Index) -> bool:
    """Whether headers and subject let a message join a thread, as Gmail asks.

    https://developers.google.com/workspace/gmail/api/guides/threads
    """
    known = list(state.store.messages(account, "thread = ?", [thread]))
    referred = {message.message_id for message in known} & set(found.references)
    return bool(referred) and any(mime.same_subject(message.subject, found.subject) for message in known)


def history(
    state: State, account: Account, after: int, size: int, kinds: set[str], label: str
) -> dict[str, Any]:
    """A page of history records."""
    changes = state.store.changes(account.email, after, size + 1)
    more, changes = len(changes) > size, changes[:size]
    names = {
        "messageAdded": "messagesAdded",
        "messageDeleted": "messagesDeleted",
        "labelAdded": "labelsAdded",
        "labelRemoved": "labelsRemoved",
    }
    wanted = {names[kind] for kind in kinds if kind in names} or set(names.values())
    records = [
        _record(change)
        for change in changes
        if change.kind in wanted and (not label or label in change.labels + change.changed)
    ]
    answer: dict[str, Any] = {"historyId": str(account.history)}
    if records:
        answer["history"] = records
    if more:
        answer["nextPageToken"] = str(changes[-1].id)
    return answer


def _record(change: Change) -> dict[str, Any]:
    message = {"id": change.message, "threadId": change.thread}
    entry: dict[str, Any] = {"message": {**message, "labelIds": list(change.labels)}}
    if change.kind.startswith("labels"):
        entry["labelIds"] = list(change.changed)
    return {"id": str(change.id), "messages": [message], change.kind: [entry]}
