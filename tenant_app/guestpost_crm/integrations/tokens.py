"""Tokens of the API: made, looked up, revoked."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Iterable

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from guestpost_crm.accounts.models import Person
from guestpost_crm.audit.services import record
from guestpost_crm.integrations.models import ApiToken, Scope

PREFIX = "gpc_"
LONGEST = dt.timedelta(days=366)
MOST_OF_A_PERSON = 20
_NOTED = dt.timedelta(minutes=5)


def allowed(person: Person) -> list[Scope]:
    """The scopes that a person may give to a token: nobody gives what they don't have."""
    return [scope for scope in Scope if scope != Scope.OUTREACH_WRITE or person.may_write]


@transaction.atomic
def make(person: Person, name: str, scopes: Iterable[str], lasts: dt.timedelta) -> tuple[ApiToken, str]:
    """Make a token.

    Args:
        person: whose it is.
        name: what it is for.
        scopes: of `allowed`.
        lasts: at most LONGEST.

    Returns:
        The token, and its text, which is shown once and stored nowhere.

    Raises:
        PermissionDenied: a scope is not theirs to give, or they have as many tokens as fit.
    """
    wanted = sorted(set(scopes))
    known = ApiToken.objects.filter(person=person).count()
    if not wanted or not set(wanted) <= set(allowed(person)) or known >= MOST_OF_A_PERSON:
        raise PermissionDenied
    text = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        person=person, name=name, scopes=wanted, digest=_digest(text), hint=text[: len(PREFIX) + 5],
        expires_at=timezone.now() + min(lasts, LONGEST),
    )  # fmt: skip
    record(person, "token.made", f"token:{token.pk}", scopes=",".join(wanted))
    return token, text


def find(text: str) -> ApiToken | None:
    """The token of a text, when it holds: not expired, its person still here."""
    # 256 random bits need no slow hash; looking up a digest gives nothing away by its time.
    token = ApiToken.objects.select_related("person").filter(digest=_digest(text)).first()
    if token is None or token.expired or not token.person.is_active:
        return None
    now = timezone.now()
    if token.used_at is None or now - token.used_at > _NOTED:
        ApiToken.objects.filter(pk=token.pk).update(used_at=now)
    return token


@transaction.atomic
def revoke(person: Person, key: int) -> None:
    """End a token: one's own, or anybody's as owner or manager; one that is gone is no error."""
    for token in ApiToken.objects.filter(pk=key):
        if token.person_id != person.pk and not person.may_manage:
            raise PermissionDenied
        record(person, "token.revoked", f"token:{token.pk}")
        token.delete()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
