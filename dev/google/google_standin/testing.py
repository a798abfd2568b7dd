"""The stand-in inside a test's or benchmark's process."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

import httpx
import uvicorn
from lxml import html

from google_standin.app import create
from google_standin.pubsub import PubSub
from google_standin.store import Store

# Pages of 127.0.0.1 are plain HTTP: loading the certificates of all authorities takes longer than a page.
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def consent(address: str, email: str = "", *, allow: Sequence[str] | None = None) -> dict[str, str]:
    """Be a person at Google's consent page, who says who they are and allows.

    Args:
        address: of the page, as an application made it.
        email: of the person's account; by default the one that the address suggests.
        allow: scopes; by default all that are asked for.

    Returns:
        The parameters with which Google sends them back, such as `code` and `state`.
    """
    page = httpx.get(
        httpx.URL(address).copy_merge_params({"login_hint": email} if email else {}), verify=PLAIN
    )
    if page.status_code == 200:
        [form] = html.fromstring(page.text).forms
        values = {key: value for key, value in form.form_values() if key != "allow"}
        values |= {"decision": "allow", "allow": form.xpath(".//input[@name='allow']/@value")}
        if allow is not None:
            values["allow"] = list(allow)
        page = httpx.post(page.url.join(form.get("action")), data=values, verify=PLAIN)
    if page.status_code != 302:
        raise AssertionError(f"the consent page answered {page.status_code}: {page.text}")
    return dict(parse_qsl(httpx.URL(page.headers["location"]).query.decode()))


class Control:
    """The control interface (`/_standin/…`) as methods.

    Args:
        url: address of the stand-in.
    """

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None) -> None:
        self._http = httpx.Client(
            base_url=f"{url}/_standin", timeout=60, headers=dict(headers or {}), verify=PLAIN
        )

    def _ask(self, method: str, path: str, **arguments: Any) -> Any:
        answer = self._http.request(method, path, **arguments)
        answer.raise_for_status()
        return answer.json() if answer.content and "json" in answer.headers["content-type"] else None

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def client(self, client_id: str, secret: str, *redirect_uris: str, project: str = "") -> None:
        """Register an OAuth client."""
        body = {"client_secret": secret, "redirect_uris": redirect_uris, "project": project}
        self._ask("PUT", f"/clients/{client_id}", json=body)

    def account(self, email: str, name: str = "Somebody", **more: Any) -> dict[str, Any]:
        """Create an account, or change its name; `sub` and `historyId` may be given."""
        answer: dict[str, Any] = self._ask("PUT", f"/accounts/{email}", json={"name": name, **more})
        return answer

    def deliver(self, email: str, raw: bytes, **query: Any) -> dict[str, str]:
        """A message arrives; query as control.post_message."""
        answer: dict[str, str] = self._ask("POST", f"/accounts/{email}/messages", content=raw, params=query)
        return answer

    def messages(self, email: str) -> list[dict[str, Any]]:
        """What the mailbox holds, the newest first."""
        answer: list[dict[str, Any]] = self._ask("GET", f"/accounts/{email}/messages")
        return answer

    def raw(self, email: str, identifier: str) -> bytes:
        """A message's content."""
        answer = self._http.get(f"/accounts/{email}/messages/{identifier}")
        answer.raise_for_status()
        return answer.content

    def relabel(
        self, email: str, identifier: str, *, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()
    ) -> None:
        """Change labels as if in Gmail."""
        body = {"addLabelIds": add, "removeLabelIds": remove}
        self._ask("PATCH", f"/accounts/{email}/messages/{identifier}", json=body)

    def delete(self, email: str, identifier: str) -> None:
        """Delete a message for good."""
        self._ask("DELETE", f"/accounts/{email}/messages/{identifier}")

    def expire_history(self, email: str) -> None:
        """Forget every change so far."""
        self._ask("POST", f"/accounts/{email}/expire-history")

    def expire_watch(self, email: str) -> None:
        """End the watch as after seven days."""
        self._ask("POST", f"/accounts/{email}/expire-watch")

    def revoke(self, email: str) -> None:
        """The person removes every app's access at Google."""
        self._ask("POST", f"/accounts/{email}/revoke")

    def fault(self, method: str, **fault: Any) -> None:
        """Ask for a fault; fields of faults.Fault."""
        self._ask("POST", "/faults", json={"method": method, **fault})

    def no_faults(self) -> None:
        """Take all faults back."""
        self._ask("DELETE", "/faults")

    def settings(self, **settings: Any) -> None:
        """Fields of control.put_settings."""
        self._ask("PUT", "/settings", json=settings)

    def usage(self) -> dict[str, Any]:
        """Calls and quota units by account, notifications, watches, grants."""
        answer: dict[str, Any] = self._ask("GET", "/usage")
        return answer

    def relayed(self, to: str) -> list[dict[str, Any]]:
        """What our programs wrote to an address through the SMTP relay, the oldest first."""
        answer: list[dict[str, Any]] = self._ask("GET", "/relayed", params={"to": to})
        return answer

    def forget_usage(self) -> None:
        """Begin counting anew."""
        self._ask("DELETE", "/usage")


class GoogleStandin:
    """OAuth, OpenID Connect, Gmail and Pub/Sub on free ports of 127.0.0.1, as a context manager.

    Args:
        pubsub: whether the Pub/Sub stand-in is started too.

    Attributes:
        url: address of the server, also its issuer.
        control: the control interface.
        pubsub: the Pub/Sub stand-in, None without one.
        store: the mailboxes, to put much into them at once while nobody asks for anything.
    """

    def __init__(self, *, pubsub: bool = True) -> None:
        self.pubsub = PubSub() if pubsub else None
        self.url = ""
        self.control: Control
        self.store: Store

    def __enter__(self) -> Self:
        host = self.pubsub.__enter__().host if self.pubsub else ""
        # asyncio turns Nagle's algorithm off only where the protocol is named: without it each answer waits
        # 40 ms for the acknowledgement of its headers.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        application = create(self.url, host)
        self.store = application.state.standin.store
        configuration = uvicorn.Config(application, log_level="warning", access_log=False, lifespan="off")
        self._server = uvicorn.Server(configuration)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="google-standin", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        self.control = Control(self.url)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.control.close()
        self._server.should_exit = True
        self._thread.join(10)
        if self.pubsub:
            self.pubsub.stop()
