"""Who is written to about what: from the audit log to notices. Without a mail server nobody is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.utils import timezone, translation

from guestpost_crm.accounts.models import Invitation, Person, Role
from guestpost_crm.audit.models import AuditEvent
from guestpost_crm.environment import current
from guestpost_crm.gmail.models import Mailbox
from guestpost_crm.notices.models import Kind, Notice, NoticeState
from guestpost_crm.outreach.models import Placement

# What concerns whoever the event is about.
_ABOUT_ONESELF = {
    "member.role-changed": Kind.ROLE_CHANGED,
    "member.access-ended": Kind.ACCESS_ENDED,
    "second-factor.set-up": Kind.FACTOR_SET_UP,
    "second-factor.removed": Kind.FACTOR_REMOVED,
    "second-factor.reset": Kind.FACTOR_RESET,
    "second-factor.locked": Kind.FACTOR_LOCKED,
    "second-factor.recovery-code-used": Kind.CODE_USED,
}
_FOR_THE_OWNER = {"support.requested": Kind.SUPPORT_ASKS, "export.downloaded": Kind.EXPORT_DOWNLOADED}
_FOR_WHO_MANAGES = {
    "erasure.requested": Kind.ERASURE_ASKED,
    "erasure.taken-back": Kind.ERASURE_TAKEN_BACK,
    "webhook.stopped": Kind.WEBHOOK_STOPPED,
}
# Links are seldom lost alone: those of a few minutes are told of together.
TOGETHER = dt.timedelta(minutes=5)


def available() -> bool:
    """Whether this CRM can write mail of its own."""
    return bool(current().smtp_host)


def queue(sender: Any, instance: AuditEvent, created: bool = False, raw: bool = False, **rest: Any) -> None:
    """Queue the notices of what was recorded (a receiver of post_save).

    Args:
        sender: the model.
        instance: the event.
        created: whether it is new.
        raw: whether it comes from an archive.
        rest: what else the signal says.
    """
    if not created or raw or not available():
        return
    action, by = instance.action, str(instance.person or "")
    if action in _ABOUT_ONESELF:
        detail = {"by": by, "role": str(instance.detail.get("role", ""))}
        tell(_subject(instance, Person), _ABOUT_ONESELF[action], instance.subject, detail)
    elif action in _FOR_THE_OWNER:
        tell(managers(Role.OWNER), _FOR_THE_OWNER[action], instance.subject, {"by": by})
    elif action in _FOR_WHO_MANAGES:
        tell(managers(Role.OWNER, Role.MANAGER), _FOR_WHO_MANAGES[action], instance.subject, {"by": by})
        if action == "erasure.taken-back":
            Notice.objects.filter(kind=Kind.ERASURE_NEAR, state=NoticeState.WAITING).delete()
    elif action == "token.made" and instance.person is not None:
        tell([instance.person], Kind.TOKEN_MADE, instance.subject, {})
    elif action == "member.invited":
        _invite(instance, by)
    elif action == "mailbox.consent-gone":
        _mailbox_stopped(instance)
    elif action == "placement.lost":
        _link_lost(instance)


def managers(*roles: str) -> list[Person]:
    """The people of these roles who still have access."""
    return list(Person.objects.filter(is_active=True, role__in=roles))


def _subject(event: AuditEvent, model: Any) -> list[Any]:
    """The record that an event is about, if it is there."""
    key = event.subject.partition(":")[2]
    return list(model.objects.filter(pk=key)) if key.isdigit() else []


def tell(
    people: Iterable[Person],
    kind: Kind,
    subject: str,
    detail: dict[str, Any],
    *,
    at: dt.datetime | None = None,
    once: str = "",
) -> None:
    """Queue a notice for each of these people.

    Args:
        people: who.
        kind: what it is about.
        subject: as in the audit log.
        detail: for its words.
        at: when it goes; at once when None.
        once: with it, a person gets one notice only, whoever asks for another.
    """
    Notice.objects.bulk_create(
        [
            Notice(
                kind=kind,
                person=person,
                address=person.email,
                language=person.language,
                subject=subject,
                detail=detail,
                once=f"{once}-{person.pk}" if once else "",
                next_at=at or timezone.now(),
            )
            for person in people
        ],
        ignore_conflicts=bool(once),
    )


def _invite(event: AuditEvent, by: str) -> None:
    for invitation in _subject(event, Invitation):
        Notice.objects.create(
            kind=Kind.INVITATION,
            address=invitation.email,
            # Nobody knows theirs yet; whoever invites them speaks with them.
            language=translation.get_language() or "",
            subject=event.subject,
            detail={"by": by, "until": invitation.expires_at.date().isoformat()},
            next_at=timezone.now(),
        )


def _mailbox_stopped(event: AuditEvent) -> None:
    for mailbox in _subject(event, Mailbox):
        people = {each.pk: each for each in managers(Role.OWNER)}
        if mailbox.connected_by is not None and mailbox.connected_by.is_active:
            people[mailbox.connected_by.pk] = mailbox.connected_by
        tell(people.values(), Kind.MAILBOX_STOPPED, event.subject, {})


def _link_lost(event: AuditEvent) -> None:
    for placement in _subject(event, Placement):
        assigned = placement.order.assigned if placement.order else None
        concerned = [assigned] if assigned and assigned.is_active else managers(Role.OWNER, Role.MANAGER)
        for person in concerned:
            if person.mail_lost_links:
                _one_more_lost(person)


def _one_more_lost(person: Person) -> None:
    """Add to the notice that waits for this person, or begin one."""
    waiting = Notice.objects.select_for_update().filter(
        person=person, kind=Kind.LINK_LOST, state=NoticeState.WAITING, attempts=0
    )
    notice = waiting.first()
    if notice is not None:
        notice.detail = {"count": int(notice.detail["count"]) + 1}
        notice.save(update_fields=["detail"])
        return
    tell([person], Kind.LINK_LOST, "", {"count": 1}, at=timezone.now() + TOGETHER)


def erasure_clock(now: dt.datetime) -> None:
    """Have whoever manages reminded a week and a day before everything is erased; asked when the web starts.

    The web is told when that is, and starts anew when it changes.
    """
    due = current().erase_after
    waiting = Notice.objects.filter(kind=Kind.ERASURE_NEAR, state=NoticeState.WAITING)
    waiting.exclude(detail__after=due).delete()
    if not due or not available():
        return
    after = dt.datetime.fromisoformat(due)
    for days in (7, 1):
        at = after - dt.timedelta(days=days)
        if at > now:
            once = f"{Kind.ERASURE_NEAR.value}-{due}-{days}"
            people = managers(Role.OWNER, Role.MANAGER)
            tell(people, Kind.ERASURE_NEAR, "tenant", {"after": due}, at=at, once=once)
