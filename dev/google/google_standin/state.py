"""Everything that the server remembers, and how a call is let through."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from google_standin.errors import ApiError
from google_standin.faults import Fault, Faults
from google_standin.keys import Kms
from google_standin.oauth import OAuth
from google_standin.quota import Quota
from google_standin.relay import Relay
from google_standin.store import Store
from google_standin.watch import Watches


class DroppedConnection(Response):
    """Announces more than it sends, so that the server closes the connection on the client."""

    def __init__(self) -> None:
        super().__init__(b"{", headers={"Content-Length": "1000"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the beginning of an answer and nothing more."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


class State:
    """The server's memory.

    Attributes:
        keep_message_ids: whether sent mail keeps the sender's Message-ID; Gmail sets its own.
        most_on_page: so many messages or changes stand on a page, however many were asked for.
    """

    def __init__(self, issuer: str, pubsub_host: str = "") -> None:
        self.store = Store()
        self.oauth = OAuth(issuer)
        self.quota = Quota()
        self.faults = Faults()
        self.watches = Watches(self.store, self.faults, pubsub_host)
        self.kms = Kms()
        self.relay = Relay()
        self.keep_message_ids = False
        self.most_on_page = 500
        self.latency = 0.0
        # By the task that serves the call, and never by its id, which the next task may have.
        self._pending: WeakKeyDictionary[asyncio.Task[Any], Fault] = WeakKeyDictionary()

    async def suffer(self, method: str, account: str) -> Response | None:
        """Let a call meet its fault, if one was asked for.

        Returns:
            An answer to give instead of the call's own; None to go on.

        Raises:
            ApiError: the fault is an error.
        """
        if self.latency:
            await asyncio.sleep(self.latency)
        fault = self.faults.take(method, account)
        if fault is None:
            return None
        if fault.latency:
            await asyncio.sleep(fault.latency)
        if fault.drop == "before":
            return DroppedConnection()
        if fault.status and fault.drop != "after":
            raise fault.error()
        if fault.drop == "after" and (task := asyncio.current_task()) is not None:
            self._pending[task] = fault
        return None

    def after_effect(self, answer: Response) -> Response:
        """The answer, or a lost connection or an error when that was asked for after the effect."""
        task = asyncio.current_task()
        fault = self._pending.pop(task, None) if task is not None else None
        if fault is None:
            return answer
        return fault.error().response() if fault.status else DroppedConnection()


def state_of(request: Request) -> State:
    """The server's memory, from a request."""
    state: State = request.app.state.standin
    return state


async def body_of(request: Request, limit: int) -> Any:
    """The request's body (ApiError 413 above `limit` bytes)."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > limit:
            raise ApiError(413, f"Request larger than {limit} bytes.")
    return bytes(content)
