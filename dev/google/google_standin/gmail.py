"""Gmail's REST API, as far as a CRM uses it.

https://developers.google.com/workspace/gmail/api/reference/rest
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from google_standin import mailbox, mime
from google_standin.errors import ApiError, not_found
from google_standin.search import condition
from google_standin.state import State, body_of, state_of
from google_standin.store import UnknownMessageError

_BASE = "https://www.googleapis.com/auth/gmail."
_ALL = "https://mail.google.com/"
READ = {f"{_BASE}readonly", f"{_BASE}modify", _ALL}
META = READ | {f"{_BASE}metadata"}
SEND = {f"{_BASE}send", f"{_BASE}compose", f"{_BASE}modify", _ALL}
INSERT = {f"{_BASE}insert", f"{_BASE}modify", _ALL}
MODIFY = {f"{_BASE}modify", _ALL}
LARGEST_UPLOAD = 36_700_160
_SYSTEM_LABELS = (
    "INBOX", "SENT", "DRAFT", "SPAM", "TRASH", "UNREAD", "STARRED", "IMPORTANT", "CATEGORY_PERSONAL",
    "CATEGORY_SOCIAL", "CATEGORY_PROMOTIONS", "CATEGORY_UPDATES", "CATEGORY_FORUMS",
)  # fmt: skip

_PAGE_TOKEN = re.compile(r"-?\d{1,18}-[0-9a-f]{16}")
# With the metadata scope alone nothing of a message's body is given, and nothing is searched.
_METADATA_ALONE = "Metadata scope doesn't allow format "

Call = Callable[[State, str, Request], Awaitable[Any]]


def endpoint(method: str, scopes: set[str]) -> Callable[[Call], Callable[[Request], Awaitable[Response]]]:
    """Wrap a call with what every call goes through: token, scopes, faults, quota, errors."""

    def wrap(call: Call) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            state = state_of(request)
            try:
                email = _authorized(state, request, scopes)
                if (instead := await state.suffer(method, email)) is not None:
                    return instead
                state.quota.spend(email, method, _project(state, request))
                answer = await call(state, email, request)
                response = Response(status_code=204) if answer is None else JSONResponse(answer)
                return state.after_effect(response)
            except UnknownMessageError:
                return state.after_effect(not_found().response())
            except ApiError as error:
                return state.after_effect(error.response())

        serve.__doc__ = call.__doc__
        return serve

    return wrap


def _authorized(state: State, request: Request, scopes: set[str]) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    access = state.oauth.access(token) if kind.lower() == "bearer" else None
    if access is None:
        message = "Request had invalid authentication credentials."
        raise ApiError(
            401, message, headers={"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/"'}
        )
    if not access.scopes & scopes:
        challenge = 'Bearer realm="https://accounts.google.com/", error="insufficient_scope"'
        message = "Request had insufficient authentication scopes."
        raise ApiError(403, message, "insufficientPermissions", headers={"WWW-Authenticate": challenge})
    asked = request.path_params["user"]
    if asked.lower() not in ("me", access.email):
        raise ApiError(403, f"Delegation denied for {access.email}", "forbidden")
    request.state.access = access
    return access.email


def _project(state: State, request: Request) -> str:
    client = state.oauth.clients.get(request.state.access.client_id)
    return client.project if client else ""


def _number(request: Request, name: str, default: int, most: int) -> int:
    value = request.query_params.get(name, "")
    if not value:
        return default
    if not value.isdigit():
        raise ApiError(400, f"Invalid value at '{name}' (TYPE_INT32), \"{value}\"")
    return min(int(value), most)


def _may_read(request: Request) -> bool:
    scopes: frozenset[str] = request.state.access.scopes
    return bool(scopes & READ)


def _format(request: Request) -> str:
    """The format of a message (ApiError 403 for one that the scopes don't reach)."""
    form = request.query_params.get("format", "full").lower()
    if form in ("full", "raw") and not _may_read(request):
        raise ApiError(403, f"{_METADATA_ALONE}{form.upper()}", "forbidden")
    return form


async def _json(request: Request, limit: int = LARGEST_UPLOAD * 2) -> dict[str, Any]:
    content = await body_of(request, limit)
    try:
        parsed = json.loads(content or b"{}")
    except ValueError:
        raise ApiError(400, "Invalid JSON payload received.") from None
    return parsed if isinstance(parsed, dict) else {}


@endpoint("getProfile", META)
async def get_profile(state: State, email: str, request: Request) -> dict[str, Any]:
    """users.getProfile."""
    messages, threads = state.store.counts(email)
    return {
        "emailAddress": email,
        "messagesTotal": messages,
        "threadsTotal": threads,
        "historyId": str(state.store.account(email).history),
    }


@endpoint("messages.list", META)
async def list_messages(state: State, email: str, request: Request) -> dict[str, Any]:
    """users.messages.list."""
    query = request.query_params.get("q", "")
    if query and not _may_read(request):
        raise ApiError(403, "Metadata scope does not support 'q' parameter", "forbidden")
    wanted = condition(query, state.store.account(email))
    labels = set(request.query_params.getlist("labelIds"))
    everything = request.query_params.get("includeSpamTrash") == "true"
    size = _number(request, "maxResults", 100, state.most_on_page) or 100
    token = request.query_params.get("pageToken", "")
    if token and not _PAGE_TOKEN.fullmatch(token):
        raise ApiError(400, "Invalid pageToken")
    found = (
        message
        for message in state.store.older(email, token)
        if labels <= set(message.labels)
        and (everything or wanted.anywhere or not {"SPAM", "TRASH"} & (set(message.labels) - labels))
        and wanted.matches(message)
    )
    page = list(itertools.islice(found, size + 1))
    more, page = len(page) > size, page[:size]
    # Gmail estimates too, and not well.
    answer: dict[str, Any] = {"resultSizeEstimate": 201 if more else len(page)}
    if page:
        answer["messages"] = [{"id": message.id, "threadId": message.thread} for message in page]
    if more:
        answer["nextPageToken"] = f"{page[-1].date}-{page[-1].id}"
    return answer


@endpoint("messages.get", META)
async def get_message(state: State, email: str, request: Request) -> dict[str, Any]:
    """users.messages.get."""
    form = _format(request)
    names = {name.lower() for name in request.query_params.getlist("metadataHeaders")}
    return mailbox.resource(state, email, request.path_params["id"], form, names)


@endpoint("messages.attachments.get", READ)
async def get_attachment(state: State, email: str, request: Request) -> dict[str, Any]:
    """users.messages.attachments.get."""
    content = mime.attachment(
        state.store.raw(email, request.path_params["id"]), request.path_params["attachment"]
    )
    if content is None:
        raise not_found()
    return {"size": len(content), "data": mime.encode(content)}


@endpoint("messages.send", SEND)
async def send_message(state: State, email: str, request: Request) -> dict[str, Any]:
    """users.messages.send, by body or by upload."""
    raw, thread = await mailbox.uploaded(request, LARGEST_UPLOAD)
    sent = await mailbox.send(state, email, raw, thread)
    return {"id": sent.id, "threadId": sent.thread, "labelIds": list(sent.labels)}


@endpoint("messages.insert", INSERT)
async def insert_message(state: State, email: str, request: Request) -> dict[str, Any]:
    """users.messages.insert."""
    body = await _json(request)
    raw = mailbox.decode(str(body.get("raw", "")))
    stored = await mailbox.deliver(
        state, email, raw, labels=body.get("labelIds") or (), thread=body.get("threadId")
    )
    return {"id": stored.id, "threadId": stored.thread, "labelIds": list(stored.labels)}


@endpoint("messages.modify", MODIFY)
async def modify_message(state: State, email: str, request: Request) -> dict[str, Any]:
    """users.messages.modify."""
    body = await _json(request)
    message = state.store.relabel(
        email, request.path_params["id"], body.get("addLabelIds") or (), body.get("removeLabelIds") or ()
    )
    await state.watches.changed(email, message.labels)
    return {"id": message.id, "threadId": message.thread, "labelIds": list(message.labels)}


@endpoint("threads.list", META)
async def list_threads(state: State, email: str, request: Request) -> dict[str, Any]:
    """users.threads.list."""
    wanted = condition(request.query_params.get("q", ""), state.store.account(email))
    threads: dict[str, dict[str, str]] = {}
    for message in state.store.messages(email):
        if wanted.matches(message) and message.thread not in threads:
            threads[message.thread] = {
                "id": message.thread,
                "snippet": message.snippet,
                "historyId": str(message.history),
            }
    size, start = _number(request, "maxResults", 100, 500), _number(request, "pageToken", 0, 1 << 60)
    answer: dict[str, Any] = {"resultSizeEstimate": len(threads)}
    if page := list(threads.values())[start : start + size]:
        answer["threads"] = page
    if len(threads) > start + size:
        answer["nextPageToken"] = str(start + size)
    return answer


@endpoint("threads.get", META)
async def get_thread(state: State, email: str, request: Request) -> dict[str, Any]:
    """users.threads.get."""
    form = _format(request)
    names = {name.lower() for name in request.query_params.getlist("metadataHeaders")}
    thread = request.path_params["id"]
    found = list(state.store.messages(email, "thread = ?", [thread]))
    if not found:
        raise not_found()
    return {
        "id": thread,
        "historyId": str(max(message.history for message in found)),
        "messages": [mailbox.resource(state, email, message.id, form, names) for message in reversed(found)],
    }


@endpoint("labels.list", META)
async def list_labels(state: State, email: str, request: Request) -> dict[str, Any]:
    """users.labels.list."""
    own = state.store.account(email).user_labels
    system = [{"id": name, "name": name, "type": "system"} for name in _SYSTEM_LABELS]
    return {"labels": [*system, *({"id": key, "name": name, "type": "user"} for key, name in own.items())]}


@endpoint("labels.get", META)
async def get_label(state: State, email: str, request: Request) -> dict[str, Any]:
    """users.labels.get."""
    wanted = request.path_params["id"]
    names = {name: name for name in _SYSTEM_LABELS} | state.store.account(email).user_labels
    if wanted not in names:
        raise not_found()
    messages, threads = state.store.counts(email, wanted)
    return {
        "id": wanted,
        "name": names[wanted],
        "type": "system" if wanted in _SYSTEM_LABELS else "user",
        "messagesTotal": messages,
        "threadsTotal": threads,
    }


@endpoint("history.list", META)
async def list_history(state: State, email: str, request: Request) -> dict[str, Any]:
    """users.history.list; 404 when the start is forgotten or never was."""
    account = state.store.account(email)
    start = request.query_params.get("startHistoryId", "")
    if not start.isdigit():
        raise ApiError(400, "Invalid value for startHistoryId: it must be a number.")
    page = int(request.query_params.get("pageToken") or start)
    if int(start) < account.floor or int(start) > account.history:
        raise not_found()
    size = _number(request, "maxResults", 100, state.most_on_page)
    kinds = set(request.query_params.getlist("historyTypes"))
    label = request.query_params.get("labelId", "")
    return mailbox.history(state, account, page, size, kinds, label)


@endpoint("watch", META)
async def watch(state: State, email: str, request: Request) -> dict[str, Any]:
    """users.watch."""
    client_id = request.state.access.client_id
    return await state.watches.start(email, client_id, _project(state, request), await _json(request))


@endpoint("stop", META)
async def stop(state: State, email: str, request: Request) -> None:
    """users.stop."""
    state.watches.stop(email, request.state.access.client_id)


_USER = "/gmail/v1/users/{user}"
ROUTES = [
    Route(f"{_USER}/profile", get_profile),
    Route(f"{_USER}/messages", list_messages, methods=["GET"]),
    Route(f"{_USER}/messages", insert_message, methods=["POST"]),
    Route(f"{_USER}/messages/send", send_message, methods=["POST"]),
    Route(f"/upload{_USER}/messages/send", send_message, methods=["POST"]),
    Route(f"{_USER}/messages/{{id}}", get_message, methods=["GET"]),
    Route(f"{_USER}/messages/{{id}}/modify", modify_message, methods=["POST"]),
    Route(f"{_USER}/messages/{{id}}/attachments/{{attachment}}", get_attachment),
    Route(f"{_USER}/threads", list_threads),
    Route(f"{_USER}/threads/{{id}}", get_thread),
    Route(f"{_USER}/labels", list_labels),
    Route(f"{_USER}/labels/{{id}}", get_label),
    Route(f"{_USER}/history", list_history),
    Route(f"{_USER}/watch", watch, methods=["POST"]),
    Route(f"{_USER}/stop", stop, methods=["POST"]),
]
