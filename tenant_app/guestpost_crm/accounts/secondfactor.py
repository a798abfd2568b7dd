"""A second factor beside the Google account: codes of an authenticator (RFC 6238), and codes for its loss.

The secret is sealed under the tenant's key; a code holds once; after five wrong ones nobody gets in for a
while, whichever server they ask.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import secrets

import pyotp
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from guestpost_crm.accounts import team
from guestpost_crm.accounts.models import Authenticator, Person, RecoveryCode
from guestpost_crm.audit.services import record
from guestpost_crm.environment import current

STEP = 30
MOST_WRONG = 5
LOCKED_FOR = dt.timedelta(minutes=5)
CODES = 10


class SecondFactorError(Exception):
    """It was not accepted; the message is for the person."""


def has(person: Person) -> bool:
    """Whether a person signs in with a second factor."""
    return Authenticator.objects.filter(person=person, confirmed_at__isnull=False).exists()


@transaction.atomic
def begin(person: Person) -> tuple[str, str]:
    """The secret to put into an authenticator, and the address that its picture holds; nothing holds yet.

    The same until it is confirmed, so that a page that is loaded again shows what was scanned.
    """
    found, made = Authenticator.objects.select_for_update().get_or_create(person=person)
    if found.confirmed_at is not None:
        raise SecondFactorError(_("You have a second factor already. Remove it first."))
    if made or not found.secret:
        found.keep_secret(pyotp.random_base32())
        found.save()
    secret = found.open_secret()
    issuer = f"GuestPostCRM {current().tenant_name}"
    uri = pyotp.TOTP(secret, interval=STEP, name=person.email, issuer=issuer).provisioning_uri()
    return secret, uri


@transaction.atomic
def confirm(person: Person, code: str) -> list[str]:
    """Make the second factor hold, given a code that the authenticator shows; returns codes for its loss.

    Raises:
        SecondFactorError: the code is wrong.
    """
    found = Authenticator.objects.select_for_update().filter(person=person, confirmed_at=None).first()
    step = _step(found, code) if found else None
    if found is None or step is None:
        raise SecondFactorError(_("This is not the code that your authenticator shows now."))
    found.confirmed_at, found.last_step = timezone.now(), step
    found.save()
    RecoveryCode.objects.filter(person=person).delete()
    codes = [f"{secrets.token_hex(3)}-{secrets.token_hex(3)}" for _each in range(CODES)]
    RecoveryCode.objects.bulk_create(RecoveryCode(person=person, digest=_digest(code)) for code in codes)
    record(person, "second-factor.set-up", f"person:{person.pk}")
    return codes


def check(person: Person, code: str) -> None:
    """Take a code of the authenticator or one for its loss, each once.

    Raises:
        SecondFactorError: it is wrong, was used, or too many were wrong.
    """
    # The count of wrong codes has to stay, so the refusal comes after the transaction.
    if problem := _checked(person, "".join(code.split()).lower()):
        raise SecondFactorError(problem)


@transaction.atomic
def _checked(person: Person, code: str) -> str:
    found = Authenticator.objects.select_for_update().get(person=person, confirmed_at__isnull=False)
    now = timezone.now()
    if found.locked_until is not None and found.locked_until > now:
        return _("Too many wrong codes. Wait five minutes, then try again.")
    step = _step(found, code)
    if step is not None and step > found.last_step:
        found.last_step = step
    elif RecoveryCode.objects.filter(person=person, digest=_digest(code)).delete()[0]:
        record(person, "second-factor.recovery-code-used", f"person:{person.pk}")
    else:
        found.wrong += 1
        if found.wrong >= MOST_WRONG:
            found.wrong, found.locked_until = 0, now + LOCKED_FOR
            record(person, "second-factor.locked", f"person:{person.pk}")
        found.save()
        return _("This code is wrong, or was used already. Wait for the next one.")
    found.wrong, found.locked_until = 0, None
    found.save()
    return ""


def _step(found: Authenticator, code: str) -> int | None:
    """Which step's code it is: this one, or one before or after it, for clocks differ; None for none."""
    totp = pyotp.TOTP(found.open_secret(), interval=STEP)
    now = int(timezone.now().timestamp()) // STEP
    plain = "".join(code.split())
    matching = [step for step in (now, now - 1, now + 1) if hmac.compare_digest(totp.at(step * STEP), plain)]
    return matching[0] if matching and plain.isascii() else None


def left(person: Person) -> int:
    """How many codes for the loss of the authenticator are left."""
    return RecoveryCode.objects.filter(person=person).count()


def remove(person: Person, code: str) -> None:
    """Sign in without a second factor from now on (SecondFactorError: the code is wrong)."""
    check(person, code)
    _forget(person)
    record(person, "second-factor.removed", f"person:{person.pk}")


@transaction.atomic
def reset(by: Person, member: Person) -> None:
    """Let somebody who lost theirs in without it, by whoever may change what they may do.

    Raises:
        team.TeamError: it is not theirs to do.
    """
    if not team.may_change(by, member):
        raise team.TeamError(_("You may not reset the second factor of %(name)s.") % {"name": member})
    _forget(member)
    team.end_sessions(member)
    record(by, "second-factor.reset", f"person:{member.pk}")


def _forget(person: Person) -> None:
    Authenticator.objects.filter(person=person).delete()
    RecoveryCode.objects.filter(person=person).delete()


def _digest(code: str) -> str:
    # 48 random bits, tried five times in five minutes: no slow hash is needed.
    return hashlib.sha256("".join(code.split()).lower().encode()).hexdigest()
