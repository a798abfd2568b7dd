"""Signing in with Google: who may, and how ownership is bound to one Google account.

https://developers.google.com/identity/openid-connect/openid-connect
"""

from __future__ import annotations

import hmac
from typing import Any

from django.db import IntegrityError, transaction
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request
from google.oauth2 import id_token

from guestpost_crm.accounts.models import Person, Role
from guestpost_crm.audit.services import record
from guestpost_crm.environment import current

_certificates = Request()


class SignInError(Exception):
    """Nobody is signed in; the message is for the person."""


def verify(token: str, nonce: str) -> dict[str, Any]:
    """The claims of an ID token whose signature, issuer, audience, time and nonce are right.

    Raises:
        SignInError: something about it is wrong.
    """
    environment = current()
    try:
        claims: dict[str, Any] = dict(
            id_token.verify_token(
                token,
                _certificates,
                audience=environment.google_client_id,
                certs_url=environment.google_certs_url,
                clock_skew_in_seconds=10,
            )
        )
    except (GoogleAuthError, ValueError):
        raise SignInError("Google's answer could not be verified. Please begin again.") from None
    issuers = {environment.google_issuer, environment.google_issuer.removeprefix("https://")}
    if claims.get("iss") not in issuers or not hmac.compare_digest(str(claims.get("nonce", "")), nonce):
        raise SignInError("Google's answer was not meant for this sign-in. Please begin again.")
    return claims


@transaction.atomic
def person_for(claims: dict[str, Any]) -> Person:
    """The person that a verified ID token stands for.

    The first sign-in with the verified address that the tenant names becomes the owner; from then on
    ownership belongs to that account's `sub`, whatever address anybody writes into the tenant.

    Raises:
        SignInError: no member of this tenant.
    """
    known = Person.objects.filter(sub=claims["sub"]).first()
    if known is not None:
        if not known.is_active:
            raise SignInError("Your access to this CRM has been ended. Ask its owner.")
        _keep_profile(known, claims)
        return known
    address = str(claims.get("email", "")).lower()
    is_owner = address == current().owner_email.lower() and claims.get("email_verified") is True
    if not is_owner or Person.objects.filter(role=Role.OWNER).exists():
        raise SignInError(
            "This Google account is no member of this CRM. Ask its owner for an invitation, or sign in with "
            "the account that you were invited with."
        )
    try:
        with transaction.atomic():
            person = Person.objects.create(
                sub=claims["sub"], email=address, name=str(claims.get("name", ""))[:200], role=Role.OWNER
            )
    except IntegrityError:
        raise SignInError("Somebody else became the owner a moment ago. Ask them for access.") from None
    record(person, "owner.bound", f"person:{person.pk}")
    return person


def _keep_profile(person: Person, claims: dict[str, Any]) -> None:
    address, name = str(claims.get("email", "")).lower(), str(claims.get("name", ""))[:200]
    if claims.get("email_verified") is True and address and person.email != address:
        person.email = address
    person.name = person.name or name
    person.save()
