"""Signing in with Google: who may, and how ownership is bound to one Google account.

https://developers.google.com/identity/openid-connect/openid-connect
"""

from __future__ import annotations

import hmac
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request
from google.oauth2 import id_token

from guestpost_crm.accounts.models import Invitation, Person, Role
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
        raise SignInError(_("Google's answer could not be verified. Please begin again.")) from None
    issuers = {environment.google_issuer, environment.google_issuer.removeprefix("https://")}
    if claims.get("iss") not in issuers or not hmac.compare_digest(str(claims.get("nonce", "")), nonce):
        raise SignInError(_("Google's answer was not meant for this sign-in. Please begin again."))
    return claims


@transaction.atomic
def person_for(claims: dict[str, Any]) -> Person:
    """The person that a verified ID token stands for.

    The first sign-in with the verified address that the tenant names becomes the owner; from then on
    ownership belongs to that account's `sub`, whatever address anybody writes into the tenant. Everybody
    else needs an invitation, which the first sign-in with its address uses up.

    Raises:
        SignInError: no member of this tenant.
    """
    known = Person.objects.filter(sub=claims["sub"]).first()
    if known is not None:
        if not known.is_active:
            raise SignInError(_("Your access to this CRM has been ended. Ask its owner."))
        _keep_profile(known, claims)
        Invitation.objects.filter(email=known.email).delete()
        return known
    address = str(claims.get("email", "")).lower() if claims.get("email_verified") is True else ""
    name = str(claims.get("name", ""))[:200]
    if address and address == current().owner_email.lower() and not _owned():
        return _bind_owner(claims["sub"], address, name)
    invitation = Invitation.objects.select_for_update().filter(email=address).first()
    if invitation is None or invitation.expired:
        raise SignInError(
            _(
                "This Google account is no member of this CRM. Ask its owner for an invitation, or sign in "
                "with the account that you were invited with."
            )
        )
    person = Person.objects.create(sub=claims["sub"], email=address, name=name, role=invitation.role)
    record(person, "member.joined", f"person:{person.pk}", role=person.role)
    invitation.delete()
    return person


def _owned() -> bool:
    return Person.objects.filter(role=Role.OWNER).exists()


def _bind_owner(sub: str, address: str, name: str) -> Person:
    try:
        with transaction.atomic():
            person = Person.objects.create(sub=sub, email=address, name=name, role=Role.OWNER)
    except IntegrityError:
        raise SignInError(_("Somebody else became the owner a moment ago. Ask them for access.")) from None
    record(person, "owner.bound", f"person:{person.pk}")
    return person


def _keep_profile(person: Person, claims: dict[str, Any]) -> None:
    address, name = str(claims.get("email", "")).lower(), str(claims.get("name", ""))[:200]
    if claims.get("email_verified") is True and address and person.email != address:
        person.email = address
    person.name = person.name or name
    person.save()
