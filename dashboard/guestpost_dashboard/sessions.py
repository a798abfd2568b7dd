"""Sessions in encrypted cookies: the dashboard stores nothing."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guestpost_dashboard.identity import Person
from guestpost_dashboard.settings import Settings

# What a browser keeps of one cookie is 4,096 bytes, name and attributes included (RFC 6265bis).
CHUNK = 3500
MOST_CHUNKS = 5
# How much later than noted a person may have been there: it saves a cookie on most answers.
SEEN_STEP = 60
# What a page asks for by itself: it keeps no session alive.
BACKGROUND = "x-background"


@dataclass
class Session:
    """What is known of a browser.

    Attributes:
        person: who signed in, None before.
        csrf: what every form of the session carries.
        began: when it began, in seconds since 1970.
        seen: when the person was last there.
        notices: (level, text) to show once; level is success, warning or error.
        signing: what a sign-in that is under way has to remember.
    """

    began: float
    seen: float
    person: Person | None = None
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    notices: list[tuple[str, str]] = field(default_factory=list)
    signing: dict[str, str] = field(default_factory=dict)
    expired: bool = False

    def say(self, level: str, text: str) -> None:
        """Have the next page show a sentence once."""
        self.notices = [*self.notices[-4:], (level, text[:500])]

    def dump(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "began": self.began,
            "seen": self.seen,
            "person": self.person.dump() if self.person else None,
            "csrf": self.csrf,
            "notices": self.notices,
            "signing": self.signing,
        }


def restored(said: Mapping[str, Any]) -> Session:
    """The session that `Session.dump` gave."""
    return Session(
        began=float(said["began"]),
        seen=float(said["seen"]),
        person=Person(**said["person"]) if said["person"] else None,
        csrf=str(said["csrf"]),
        notices=[(str(level), str(text)) for level, text in said["notices"]],
        signing={str(key): str(value) for key, value in said["signing"].items()},
    )


class Sessions:
    """Opens and seals the cookies, as middleware; the session is `request.state.session`.

    Args:
        app: what comes behind.
        settings: keys, times, and whether cookies are `__Host-`.
        clock: seconds since 1970.
    """

    def __init__(self, app: ASGIApp, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._app = app
        self._settings = settings
        self._clock = clock
        self._keys = MultiFernet([Fernet(key) for key in settings.session_keys])
        self._name = ("__Host-" if settings.secure else "") + "guestpost-dashboard"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        session, present = self._open(connection)
        before = json.dumps(session.dump())
        by_itself = BACKGROUND in connection.headers or scope["path"].startswith("/streams/")
        if self._clock() - session.seen > SEEN_STEP and not by_itself:
            session.seen = self._clock()
        scope.setdefault("state", {})["session"] = session

        async def with_cookies(message: Message) -> None:
            if message["type"] == "http.response.start":
                after = json.dumps(session.dump())
                if after != before or not present:
                    self._seal(after, connection.cookies, MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, with_cookies)

    def _open(self, connection: HTTPConnection) -> tuple[Session, bool]:
        """The session of a request, and whether the browser has it already."""
        now = self._clock()
        sealed = "".join(connection.cookies.get(self._part(place), "") for place in range(MOST_CHUNKS))
        if not sealed:
            return Session(now, now), False
        try:
            session = restored(json.loads(self._keys.decrypt(sealed.encode("ascii", "replace"))))
        except (InvalidToken, ValueError, KeyError, TypeError):
            return Session(now, now), False
        if session.person is None or self.ends(session) > now:
            return session, True
        # What tells the page why the person has to sign in again.
        return Session(now, now, expired=True), False

    def ends(self, session: Session) -> float:
        """When a session is over, in seconds since 1970."""
        return ends(session, self._settings)

    def _part(self, place: int) -> str:
        return f"{self._name}-{place}" if place else self._name

    def _seal(self, said: str, had: Mapping[str, str], headers: MutableHeaders) -> None:
        sealed = self._keys.encrypt(said.encode()).decode()
        parts = [sealed[start : start + CHUNK] for start in range(0, len(sealed), CHUNK)]
        if len(parts) > MOST_CHUNKS:
            raise ValueError("the person's token is too long for a session")
        secure = "; Secure" if self._settings.secure else ""
        # Lax: Strict would keep it from the request that the issuer sends a person back with.
        kept = f"; Path=/; HttpOnly; SameSite=Lax{secure}"
        for place in range(MOST_CHUNKS):
            name = self._part(place)
            if place < len(parts):
                headers.append(
                    "set-cookie", f"{name}={parts[place]}; Max-Age={self._settings.session_seconds}{kept}"
                )
            elif name in had:
                headers.append("set-cookie", f"{name}=; Max-Age=0{kept}")


def ends(session: Session, settings: Settings) -> float:
    """When a session is over, in seconds since 1970: its most, its idle time, or the token's."""
    limits = [session.began + settings.session_seconds, session.seen + settings.idle_seconds]
    if session.person is not None and session.person.expires:
        limits.append(session.person.expires)
    return min(limits)
