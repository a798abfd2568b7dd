"""The thread of the sync process that sends notices, each until it is taken or long in vain."""

from __future__ import annotations

import datetime as dt
from email.utils import format_datetime

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.utils import timezone, translation
from prometheus_client import Counter

from guestpost_crm.background import Background
from guestpost_crm.environment import current
from guestpost_crm.notices import queueing, texts
from guestpost_crm.notices.mailer import Mailer, MailError, Smtp
from guestpost_crm.notices.models import Notice, NoticeState

# Right away, then ever more rarely for some three days.
WAITS = tuple(
    dt.timedelta(seconds=each)
    for each in (10, 60, 300, 1800, 3600, 2 * 3600, 5 * 3600, 10 * 3600, 24 * 3600, 24 * 3600)
)
LEASE = dt.timedelta(minutes=5)
KEPT = dt.timedelta(days=90)
_CLEANED = dt.timedelta(hours=6)
NOTICES = Counter("guestpost_notices_total", "Attempts to send notices.", ["outcome"])
log = structlog.get_logger()


class Postman(Background):
    """Sends one notice after the other, whichever is due; several processes share the work."""

    def __init__(self, mailer: Mailer | None = None) -> None:
        super().__init__("postman", quiet=3.0)
        self._mailer = mailer or Smtp()
        self._cleaned: dt.datetime | None = None

    def step(self) -> bool:
        """Send what is due; False when nothing is."""
        if not queueing.available():
            return False
        notice = claim(timezone.now())
        if notice is None:
            return False
        try:
            self._mailer.send(letter(notice))
        except MailError as error:
            tried(notice, error, timezone.now())
            NOTICES.labels(error.problem).inc()
            log.warning("notice not taken", notice=str(notice.pk), kind=notice.kind, problem=error.problem)
        else:
            tried(notice, None, timezone.now())
            NOTICES.labels("sent").inc()
        return True

    def tidy(self) -> None:
        """Forget old notices, a few times a day."""
        now = timezone.now()
        if self._cleaned is None or now - self._cleaned > _CLEANED:
            Notice.objects.filter(done_at__lt=now - KEPT).delete()
            self._cleaned = now


def letter(notice: Notice) -> EmailMessage:
    """A notice as a mail, in its person's language; programs are told not to answer it (RFC 3834)."""
    with translation.override(notice.language or settings.LANGUAGE_CODE):
        subject, text = texts.written(notice)
    host = current().host.partition(":")[0]
    headers = {
        "Message-ID": f"<{notice.pk}@{host}>",
        "Date": format_datetime(notice.created_at),
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }
    return EmailMessage(subject, text, current().smtp_from, [notice.address], headers=headers)


@transaction.atomic
def claim(now: dt.datetime) -> Notice | None:
    """Take the notice that is due; nobody else takes it during LEASE."""
    due = Notice.objects.filter(next_at__lte=now, state=NoticeState.WAITING).order_by("next_at", "pk")
    notice = due.select_for_update(skip_locked=True).first()
    if notice is not None:
        notice.next_at = now + LEASE
        notice.attempts += 1
        notice.save(update_fields=["next_at", "attempts"])
    return notice


def tried(notice: Notice, error: MailError | None, now: dt.datetime) -> None:
    """Keep what became of an attempt."""
    notice.problem = error.problem if error else ""
    if error is None:
        notice.state, notice.next_at, notice.done_at = NoticeState.SENT, None, now
    elif error.final or notice.attempts > len(WAITS):
        notice.state, notice.next_at, notice.done_at = NoticeState.FAILED, None, now
    else:
        notice.next_at = now + WAITS[notice.attempts - 1]
    notice.save(update_fields=["state", "problem", "next_at", "done_at"])
