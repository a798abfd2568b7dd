"""Who belongs to the team: invitations, roles, leaving. Only the owner and managers decide it.

Nobody can make themselves or others more than they are: managers look after members and readers, the
owner after everybody else. The owner stays the owner.
"""

from __future__ import annotations

from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from guestpost_crm.accounts.models import INVITED_FOR, Invitation, Person, Role, SignIn
from guestpost_crm.audit.services import record


class TeamError(Exception):
    """It may not be done; the message is for the person who tried."""


def assignable(person: Person) -> list[Role]:
    """The roles that a person may give to others."""
    if person.role == Role.OWNER:
        return [Role.MANAGER, Role.MEMBER, Role.READER]
    return [Role.MEMBER, Role.READER] if person.role == Role.MANAGER else []


def may_change(person: Person, other: Person) -> bool:
    """Whether a person may change another's role, or end their access."""
    return person.pk != other.pk and other.role in assignable(person)


@transaction.atomic
def invite(person: Person, email: str, role: str) -> Invitation:
    """Let an address sign in; inviting it again renews the invitation.

    Args:
        person: who invites.
        email: a Google account's verified address.
        role: one of `assignable`.

    Raises:
        TeamError: the role is not theirs to give, or the address is a member already.
    """
    email = email.strip().lower()
    if role not in assignable(person):
        raise TeamError(_("You may not give this role."))
    member = Person.objects.filter(email=email).first()
    if member is not None and member.is_active and member.role != Role.SUPPORT:
        raise TeamError(_("%(email)s is a member already.") % {"email": email})
    if member is not None:
        # Known by their account already: they only need to be let in again.
        if member.role != Role.SUPPORT:
            _require(person, member)
        Person.objects.filter(pk=member.pk).update(is_active=True, role=role)
    invitation, _made = Invitation.objects.update_or_create(
        email=email,
        defaults={"role": role, "invited_by": person, "expires_at": timezone.now() + INVITED_FOR},
    )
    record(person, "member.invited", f"invitation:{invitation.pk}", role=role)
    return invitation


@transaction.atomic
def withdraw(person: Person, invitation: Invitation) -> None:
    """Take an invitation back (TeamError)."""
    if invitation.role not in assignable(person):
        raise TeamError(_("You may not take this invitation back."))
    record(person, "invitation.withdrawn", f"invitation:{invitation.pk}")
    invitation.delete()


@transaction.atomic
def change_role(person: Person, member: Person, role: str) -> None:
    """Give a member another role (TeamError)."""
    _require(person, member)
    if role not in assignable(person):
        raise TeamError(_("You may not give this role."))
    member.role = role
    member.save(update_fields=["role"])
    record(person, "member.role-changed", f"person:{member.pk}", role=role)


@transaction.atomic
def end_access(person: Person, member: Person) -> None:
    """End a member's access and every session of theirs at once; what they did stays (TeamError)."""
    _require(person, member)
    member.is_active = False
    member.save(update_fields=["is_active"])
    Invitation.objects.filter(email=member.email).delete()
    end_sessions(member)
    record(person, "member.access-ended", f"person:{member.pk}")


def end_sessions(member: Person, *, but: str = "") -> int:
    """End a person's sessions, one excepted; returns how many there were."""
    signed_in = SignIn.objects.filter(person=member).exclude(session_key=but)
    keys = list(signed_in.values_list("session_key", flat=True))
    Session.objects.filter(session_key__in=keys).delete()
    signed_in.delete()
    return len(keys)


def end_session(member: Person, key: int) -> None:
    """End one of a person's own sessions; one that is gone is no error."""
    for signed_in in SignIn.objects.filter(person=member, pk=key):
        Session.objects.filter(session_key=signed_in.session_key).delete()
        signed_in.delete()
        record(member, "session.ended", f"person:{member.pk}")


def _require(person: Person, member: Person) -> None:
    if not may_change(person, member):
        raise TeamError(_("You may not change what %(name)s may do.") % {"name": member})
