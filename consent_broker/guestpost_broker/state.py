"""The `state` of a consent: signed by the broker, so that Google's redirect can be passed on safely.

A JWT (RFC 7519) with HMAC-SHA-256. It names the tenant, what the consent is for, and the CRM's address
as it stood in the GuestPostTenant, so no parameter of a request ever decides where a browser is sent. Its
header names the key (`kid`), so that keys can be rotated.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Literal, cast

import jwt

from guestpost_broker.keys import KeyRing

SECONDS = 600
Purpose = Literal["sign_in", "mailbox"]
_AUDIENCE = "guestpost-consent"


class StateError(Exception):
    """The state was not made here, or its time is over."""


@dataclass(frozen=True)
class ConsentState:
    """What a state says.

    Attributes:
        tenant_uid: of the GuestPostTenant.
        project: Google project whose client asks.
        purpose: sign_in or mailbox.
        return_url: the CRM's address, without a path.
    """

    tenant_uid: str
    project: str
    purpose: Purpose
    return_url: str


def sign(state: ConsentState, keys: KeyRing, now: float) -> str:
    """The state as text for a URL; `now` in seconds since the epoch."""
    key = keys.newest(now)
    claims = {
        "aud": _AUDIENCE,
        "iat": int(now),
        "exp": int(now) + SECONDS,
        "jti": secrets.token_urlsafe(12),
        "sub": state.tenant_uid,
        "project": state.project,
        "purpose": state.purpose,
        "return": state.return_url,
    }
    return jwt.encode(claims, key.key, algorithm="HS256", headers={"kid": key.id})


def read(text: str, keys: KeyRing) -> ConsentState:
    """Check a state.

    Raises:
        StateError: forged, expired or malformed.
    """
    try:
        key = keys.named(str(jwt.get_unverified_header(text).get("kid", "")))
        if key is None:
            raise StateError("no key for it")
        claims = jwt.decode(
            text,
            key.key,
            algorithms=["HS256"],
            audience=_AUDIENCE,
            options={"require": ["exp", "iat", "sub", "purpose", "return", "project"]},
        )
    except jwt.InvalidTokenError as error:
        raise StateError(str(error)) from None
    if claims["purpose"] not in ("sign_in", "mailbox"):
        raise StateError("unknown purpose")
    return ConsentState(claims["sub"], claims["project"], cast(Purpose, claims["purpose"]), claims["return"])
