"""What a person may, as the API server says; remembered for a short while, for pages ask often."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.requests import Request

from guestpost_dashboard.backends.errors import ForbiddenError
from guestpost_dashboard.backends.kinds import TENANT, Kind
from guestpost_dashboard.identity import Person
from guestpost_dashboard.pages import rendering

SECONDS = 30.0
MOST = 10_000
Key = tuple[Person, str, Kind, str, str]


class Rights:
    """Answers of SelfSubjectAccessReview, each at most `SECONDS` old, for buttons and the fleet's pages.

    What a person does is decided by the API server when it is done.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[Key, tuple[float, bool]] = OrderedDict()

    def known(self, key: Key) -> bool | None:
        """An answer that is fresh enough."""
        found = self._known.get(key)
        return found[1] if found and self._clock() - found[0] < SECONDS else None

    def learn(self, key: Key, allowed: bool) -> None:
        """Remember an answer."""
        self._known.pop(key, None)
        self._known[key] = (self._clock(), allowed)
        while len(self._known) > MOST:
            self._known.popitem(last=False)

    def forget(self) -> None:
        """Forget everything: the next page asks again."""
        self._known.clear()


async def may(request: Request, verb: str, kind: Kind = TENANT, namespace: str = "", name: str = "") -> bool:
    """Whether the person who asks may do something; the answer may be `SECONDS` old.

    Raises:
        ApiError: the API server did not say.
    """
    rights: Rights = request.app.state.rights
    key = (rendering.person(request), verb, kind, namespace, name)
    allowed = rights.known(key)
    if allowed is None:
        allowed = await rendering.api(request).may(verb, kind, namespace, name)
        rights.learn(key, allowed)
    return allowed


async def require_tenant(request: Request) -> None:
    """Let only those go on who may see the tenant that the address names.

    Raises:
        ForbiddenError: they may not.
        ApiError: the API server did not say.
    """
    name = request.path_params["name"]
    if not await may(request, "get", name=name) and not await may(request, "list"):
        who = rendering.person(request).name
        raise ForbiddenError(403, "Forbidden", f"{who} may not see this GuestPostTenant.")


async def require_fleet(request: Request) -> None:
    """Let only those go on who may list the tenants: the fleet comes from a watch that is not theirs.

    Raises:
        ForbiddenError: they may not.
        ApiError: the API server did not say.
    """
    if not await may(request, "list"):
        who = rendering.person(request).name
        raise ForbiddenError(
            403, "Forbidden", f"{who} may not list GuestPostTenants. Ask for the role guestpost-viewer."
        )
