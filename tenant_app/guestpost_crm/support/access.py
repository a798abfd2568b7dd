"""What the service asks for, and the customer's decisions about it.

A decision counts from the moment at which it stands in this server's own database. The API server is told of
it, so that the operator acts on it too; while it can't be reached, that is tried again.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Iterable
from typing import Any

import structlog
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from guestpost_crm.accounts.models import Person, Role
from guestpost_crm.accounts.team import end_sessions
from guestpost_crm.audit.services import record
from guestpost_crm.environment import SettingError, current
from guestpost_crm.privacy import kubernetes
from guestpost_crm.support import signing
from guestpost_crm.support.models import Decision, Level, SupportAccess

log = structlog.get_logger()

PLURAL = "supportgrants"
LEAST, MOST = 300, 28_800
# What a customer may choose from, in seconds, as far as it is not more than what is asked for.
TIMES = (900, 1800, 3600, 7200, 14_400, 28_800)
# Requests are looked for no more often than that, and only while somebody of the customer's is here.
LOOK_SECONDS = 30.0


class AccessError(Exception):
    """It can't be done; the message is for the person who tried."""


def may_decide(person: Person) -> bool:
    """Letting somebody in is the owner's to decide."""
    return person.role == Role.OWNER


def may_end(person: Person) -> bool:
    """Ending it is for everybody who looks after this server."""
    return person.may_manage


def choices(access: SupportAccess) -> list[int]:
    """The times, in seconds, that a customer may give."""
    return sorted({each for each in TIMES if each < access.seconds} | {access.seconds})


# -- What is asked for


def refresh() -> None:
    """Take note of what is asked for and withdrawn, and tell what was decided (KubernetesError)."""
    found = {body["metadata"]["uid"]: body for body in kubernetes.find(PLURAL)}
    for body in found.values():
        _note(body)
    for access in SupportAccess.objects.unfinished().exclude(grant__in=found):
        SupportAccess.objects.filter(pk=access.pk).update(withdrawn_at=timezone.now(), told=True)
        record(None, "support.withdrawn", f"support:{access.pk}")
    tell_all()


def _note(body: dict[str, Any]) -> None:
    metadata, spec = body["metadata"], body["spec"]
    access, new = SupportAccess.objects.get_or_create(
        grant=metadata["uid"],
        defaults={
            "tenant": current().tenant_uid,
            "name": metadata["name"],
            "subject": spec["subject"].lower() if "@" in spec["subject"] else spec["subject"],
            "reason": spec["reason"],
            "level": spec["level"],
            "seconds": min(max(int(spec.get("durationSeconds", 3600)), LEAST), MOST),
            "asked_at": dt.datetime.fromisoformat(metadata["creationTimestamp"]),
        },
    )
    if new:
        record(None, "support.requested", f"support:{access.pk}")


_looking = threading.Lock()
_looked = [float("-inf")]


def look_soon() -> None:
    """Refresh beside the request that asks for it, if that was not done a moment ago."""
    if not kubernetes.available() or time.monotonic() - _looked[0] < LOOK_SECONDS:
        return
    if _looking.acquire(blocking=False):
        _looked[0] = time.monotonic()
        threading.Thread(target=_look, name="support requests", daemon=True).start()


def _look() -> None:
    try:
        refresh()
    except kubernetes.KubernetesError as error:
        log.warning("support requests not read", status=error.status)
    except Exception as error:
        # Whatever it is, the next page tries again; the text may hold what a person wrote.
        log.error("support requests not read", error=type(error).__name__)
    finally:
        connection.close()
        _looking.release()


# -- What is decided


def approve(person: Person, key: int, level: str, seconds: int) -> SupportAccess:
    """Let somebody in, as far and as long as the customer wants.

    Args:
        person: who decides.
        key: of the request.
        level: not more than is asked for.
        seconds: from now on; not more than is asked for.

    Raises:
        AccessError: it is not theirs to decide, decided already, or more than is asked for.
    """
    with transaction.atomic():
        access = _undecided(person, key)
        if level not in Level.values or (level == Level.SHELL and access.level != Level.SHELL):
            raise AccessError(_("That is more than was asked for."))
        if not LEAST <= seconds <= access.seconds:
            raise AccessError(_("That is longer than was asked for."))
        now = timezone.now().replace(microsecond=0)
        access.decision, access.given_level = Decision.APPROVED, level
        access.decided_by, access.decided_at = person, now
        access.expires_at = now + dt.timedelta(seconds=seconds)
        access.told = False
        access.save()
        record(person, "support.approved", f"support:{access.pk}", level=level, seconds=seconds)
    tell_all([access])
    return access


def deny(person: Person, key: int) -> None:
    """Let nobody in (AccessError)."""
    with transaction.atomic():
        access = _undecided(person, key)
        access.decision = Decision.DENIED
        access.decided_by, access.decided_at = person, timezone.now().replace(microsecond=0)
        access.told = False
        access.save()
        record(person, "support.denied", f"support:{access.pk}")
    tell_all([access])


def revoke(person: Person, key: int) -> None:
    """End what was approved, at once (AccessError)."""
    if not may_end(person):
        raise AccessError(_("Ask the owner or a manager to end it."))
    with transaction.atomic():
        access = SupportAccess.objects.select_for_update(of=("self",)).filter(pk=key).first()
        if access is None or not access.is_active:
            raise AccessError(_("It has ended already."))
        access.revoked_by, access.revoked_at = person, timezone.now().replace(microsecond=0)
        access.told = False
        access.save()
        record(person, "support.revoked", f"support:{access.pk}")
        for guest in Person.objects.filter(role=Role.SUPPORT, email=access.subject):
            end_sessions(guest)
    tell_all([access])


def _undecided(person: Person, key: int) -> SupportAccess:
    if not may_decide(person):
        raise AccessError(_("Only the owner decides who may look in."))
    access = SupportAccess.objects.select_for_update(of=("self",)).filter(pk=key).first()
    if access is None or access.state != "waiting":
        raise AccessError(_("This request is not open any more."))
    return access


# -- What the API server is told


def tell_all(which: Iterable[SupportAccess] | None = None) -> None:
    """Tell the API server of decisions; those that can't be told are told by the next `refresh`."""
    for access in SupportAccess.objects.of_this_server().filter(told=False) if which is None else which:
        try:
            _tell(access)
        except kubernetes.KubernetesError as error:
            if error.status in (404, 409):
                # It is gone: whom it would let in is not let in any more.
                gone = {"withdrawn_at": timezone.now(), "told": True}
                SupportAccess.objects.filter(pk=access.pk).update(**gone)
            else:
                log.warning("support decision not told", status=error.status)
                SupportAccess.objects.filter(pk=access.pk).update(problem=str(error)[:500])
        except SettingError as error:
            SupportAccess.objects.filter(pk=access.pk).update(problem=str(error)[:500])
        else:
            SupportAccess.objects.filter(pk=access.pk, revoked_at=access.revoked_at).update(
                told=True, problem=""
            )


def _tell(access: SupportAccess) -> None:
    if access.decided_at is None:
        return
    decision: dict[str, str] = {
        "decision": access.decision,
        "decidedAt": signing.moment(access.decided_at),
    }
    if access.decision == Decision.APPROVED and access.expires_at:
        expires_at = signing.moment(access.expires_at)
        decision |= {
            "level": access.given_level,
            "expiresAt": expires_at,
            "signature": signing.sign(access.grant, access.given_level, expires_at),
        }
    status: dict[str, Any] = {"approval": decision}
    if access.revoked_at:
        status["revokedAt"] = signing.moment(access.revoked_at)
    kubernetes.patch_status(PLURAL, access.name, status, uid=access.grant)
