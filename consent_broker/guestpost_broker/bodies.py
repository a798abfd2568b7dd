"""What requests may hold, with a bound on every field."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Opaque = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Urlsafe = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43,128}$")]
# A Google account's `sub`: at most 255 ASCII characters.
Subject = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")]
Verifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~-]{43,128}$")]


class Body(BaseModel):
    """Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Authorization(Body):
    """POST /v1/authorizations. The challenge is S256 (RFC 7636), the nonce at least 256 bits."""

    purpose: Literal["sign_in", "mailbox"]
    code_challenge: Urlsafe
    nonce: Urlsafe
    login_hint: Annotated[str, StringConstraints(max_length=320)] = ""


class Exchange(Body):
    """POST /v1/tokens."""

    state: Opaque
    code: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    code_verifier: Verifier


class Sealed(Body):
    """POST /v1/tokens/refresh and /v1/tokens/revoke: the mailbox's account, and its sealed token."""

    sub: Subject
    sealed_refresh_token: Annotated[str, StringConstraints(min_length=1, max_length=8192)]


class Backfill(Sealed):
    """POST /v1/backfills: units of quota a minute that are wished for; 0 gives the share back."""

    units_per_minute: Annotated[int, Field(ge=0, le=10**9)]
