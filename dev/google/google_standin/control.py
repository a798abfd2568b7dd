"""The control interface: what tests, benchmarks and the demo ask of the stand-in (`/_standin/…`)."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from google_standin import mailbox
from google_standin.faults import Fault
from google_standin.oauth import Client
from google_standin.state import body_of, state_of

LARGEST = 128 << 20


async def _body(request: Request) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(await body_of(request, 1 << 20) or b"{}")
    return parsed


async def put_account(request: Request) -> Response:
    """PUT accounts/{email} {name, sub?, historyId?}: create it, or change its name."""
    body = await _body(request)
    account = state_of(request).store.put_account(
        request.path_params["email"], body.get("name", "Somebody"), body.get("sub"), body.get("historyId")
    )
    return JSONResponse(
        {"email": account.email, "sub": account.sub, "name": account.name, "historyId": str(account.history)}
    )


async def put_client(request: Request) -> Response:
    """PUT clients/{id} {client_secret, redirect_uris, project?}: an OAuth client."""
    body = await _body(request)
    identifier = request.path_params["id"]
    state_of(request).oauth.clients[identifier] = Client(
        identifier, body["client_secret"], tuple(body["redirect_uris"]), body.get("project", "")
    )
    return JSONResponse({"client_id": identifier})


async def post_message(request: Request) -> Response:
    """POST accounts/{email}/messages with a raw message: as if it had arrived.

    Query: labelIds (repeated; default INBOX and UNREAD), labels (names of the user's own labels),
    internalDate (milliseconds), threadId.
    """
    state, email = state_of(request), request.path_params["email"]
    query = request.query_params
    labels = query.getlist("labelIds") or ["INBOX", "UNREAD"]
    own = [state.store.label_id(email, name) for name in query.getlist("labels")]
    date = int(query["internalDate"]) if "internalDate" in query else None
    raw = await body_of(request, LARGEST)
    stored = await mailbox.deliver(
        state, email, raw, labels=[*labels, *own], thread=query.get("threadId"), date=date
    )
    return JSONResponse(
        {"id": stored.id, "threadId": stored.thread, "historyId": str(stored.history)}, status_code=201
    )


async def get_messages(request: Request) -> Response:
    """GET accounts/{email}/messages: id, thread, labels and subject of every message."""
    found = state_of(request).store.messages(request.path_params["email"])
    return JSONResponse(
        [
            {
                "id": message.id,
                "threadId": message.thread,
                "labelIds": list(message.labels),
                "subject": message.subject,
                "messageId": message.message_id,
            }
            for message in found
        ]
    )


async def get_raw(request: Request) -> Response:
    """GET accounts/{email}/messages/{id}: the raw message."""
    raw = state_of(request).store.raw(request.path_params["email"], request.path_params["id"])
    return Response(raw, media_type="message/rfc822")


async def patch_message(request: Request) -> Response:
    """PATCH accounts/{email}/messages/{id} {addLabelIds, removeLabelIds}: as if done in Gmail."""
    state, email = state_of(request), request.path_params["email"]
    body = await _body(request)
    message = state.store.relabel(
        email, request.path_params["id"], body.get("addLabelIds") or (), body.get("removeLabelIds") or ()
    )
    await state.watches.changed(email, message.labels)
    return JSONResponse({"id": message.id, "labelIds": list(message.labels)})


async def delete_message(request: Request) -> Response:
    """DELETE accounts/{email}/messages/{id}: for good."""
    state, email = state_of(request), request.path_params["email"]
    labels = state.store.message(email, request.path_params["id"]).labels
    state.store.delete(email, request.path_params["id"])
    await state.watches.changed(email, labels)
    return Response(status_code=204)


async def expire_history(request: Request) -> Response:
    """POST accounts/{email}/expire-history: every change so far is forgotten."""
    state_of(request).store.expire_history(request.path_params["email"])
    return Response(status_code=204)


async def expire_watch(request: Request) -> Response:
    """POST accounts/{email}/expire-watch: the watch ends as after seven days."""
    state_of(request).watches.expire(request.path_params["email"])
    return Response(status_code=204)


async def revoke(request: Request) -> Response:
    """POST accounts/{email}/revoke: the person removes every app's access at Google."""
    state_of(request).oauth.revoke_account(request.path_params["email"])
    return Response(status_code=204)


async def post_fault(request: Request) -> Response:
    """POST faults: the fields of faults.Fault."""
    state_of(request).faults.add(Fault(**await _body(request)))
    return Response(status_code=204)


async def delete_faults(request: Request) -> Response:
    """DELETE faults: none any more."""
    state_of(request).faults.clear()
    return Response(status_code=204)


async def get_usage(request: Request) -> Response:
    """GET usage: calls, units, refusals by account; notifications; watches; who allows which clients."""
    state = state_of(request)
    return JSONResponse(
        {
            "accounts": state.quota.usage(),
            "notifications": {"published": state.watches.published, "dropped": state.watches.dropped},
            "watches": state.watches.active(),
            "grants": state.oauth.granted(),
        }
    )


async def get_relayed(request: Request) -> Response:
    """GET relayed: from, to, subject and text of what the SMTP relay took. Query: to, one address."""
    return JSONResponse(state_of(request).relay.taken(request.query_params.get("to", "")))


async def delete_usage(request: Request) -> Response:
    """DELETE usage: begin counting anew."""
    state_of(request).quota.forget()
    return Response(status_code=204)


async def put_settings(request: Request) -> Response:
    """PUT settings: what is given is changed.

    Limits, which null lifts: quotaUnitsPerMinute (of a user), projectUnitsPerMinute, notificationsPerSecond.
    Besides: latency, in seconds, of every call; keepMessageIds, whether sent mail keeps its Message-ID;
    mostOnPage, how many messages or changes stand on a page at most; keyRingRights, of whoever does not say
    who it is.
    """
    state, body = state_of(request), await _body(request)
    if "quotaUnitsPerMinute" in body:
        state.quota.per_user = body["quotaUnitsPerMinute"]
    if "projectUnitsPerMinute" in body:
        state.quota.per_project = body["projectUnitsPerMinute"]
    if "notificationsPerSecond" in body:
        state.watches.per_second = body["notificationsPerSecond"]
    state.latency = float(body.get("latency", state.latency))
    state.keep_message_ids = bool(body.get("keepMessageIds", state.keep_message_ids))
    state.most_on_page = int(body.get("mostOnPage", state.most_on_page))
    state.kms.rights = frozenset(body.get("keyRingRights", state.kms.rights))
    return Response(status_code=204)


async def health(request: Request) -> Response:
    """GET /_standin/healthz: it answers."""
    return Response("ok\n")


_ONE = "/_standin/accounts/{email}"
ROUTES = [
    Route("/_standin/healthz", health),
    Route("/_standin/clients/{id}", put_client, methods=["PUT"]),
    Route(_ONE, put_account, methods=["PUT"]),
    Route(f"{_ONE}/messages", post_message, methods=["POST"]),
    Route(f"{_ONE}/messages", get_messages, methods=["GET"]),
    Route(f"{_ONE}/messages/{{id}}", get_raw, methods=["GET"]),
    Route(f"{_ONE}/messages/{{id}}", patch_message, methods=["PATCH"]),
    Route(f"{_ONE}/messages/{{id}}", delete_message, methods=["DELETE"]),
    Route(f"{_ONE}/expire-history", expire_history, methods=["POST"]),
    Route(f"{_ONE}/expire-watch", expire_watch, methods=["POST"]),
    Route(f"{_ONE}/revoke", revoke, methods=["POST"]),
    Route("/_standin/faults", post_fault, methods=["POST"]),
    Route("/_standin/faults", delete_faults, methods=["DELETE"]),
    Route("/_standin/usage", get_usage, methods=["GET"]),
    Route("/_standin/usage", delete_usage, methods=["DELETE"]),
    Route("/_standin/relayed", get_relayed, methods=["GET"]),
    Route("/_standin/settings", put_settings, methods=["PUT"]),
]
