"""How a mailbox is doing, in sentences that are true: a pure function of what sync wrote down."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import Enum

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from guestpost_crm.gmail.models import NOT_BY_CHANCE, Mailbox, MailboxState

# Sync writes every ten seconds that it lives.
_SILENT = dt.timedelta(minutes=1)
_UNITS = 20
PROBLEMS = {
    "gmail_unavailable": gettext_lazy("Gmail does not answer. It is tried again by itself."),
    "gmail_refuses": gettext_lazy("Gmail refuses. If this stays, connect the mailbox again."),
    "rate_limited": gettext_lazy("Gmail's quota is used up for the moment. It goes on by itself."),
    "broker_unavailable": gettext_lazy("The consent broker does not answer. It is tried again by itself."),
}


# Words that we have for what stopped a call; any other is Google's.
_WORDS = {
    "unavailable": gettext_lazy("no answer"),
    "unauthorized": gettext_lazy("the access was not accepted"),
    "too_large": gettext_lazy("too large"),
    "not_stored": gettext_lazy("it could not be stored"),
}


class Kind(Enum):
    """The one word for it."""

    LEVEL = "level"
    FETCHING = "fetching"
    BEHIND = "behind"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Counts:
    """What lies where.

    Attributes:
        stored: messages that are here.
        queued: known of, and not here yet.
        stuck: of these, tried several times in vain.
    """

    stored: int = 0
    queued: int = 0
    stuck: int = 0


@dataclass
class Status:
    """How a mailbox is doing.

    Attributes:
        kind: in a word.
        sentence: in one sentence.
        problems: what is wrong, and what comes of it.
        percent: how much of it is here while it is fetched, None when that is not known.
    """

    kind: Kind
    sentence: str
    problems: list[str] = field(default_factory=list)
    percent: int | None = None


def of(mailbox: Mailbox, counts: Counts, now: dt.datetime, quiet: float) -> Status:
    """The status of a mailbox.

    Args:
        mailbox: as it was read a moment ago.
        counts: of its messages, at the same moment.
        now: the time.
        quiet: how often Gmail is asked when nothing happens, in seconds.
    """
    problems = _problems(mailbox, counts, now)
    found = _stopped(mailbox, now) or _behind(mailbox, now, quiet) or _unfinished(mailbox, counts)
    if found is None:
        level = _("Everything is here. Gmail was last asked at %s.") % _at(mailbox.looked_at or now, now)
        found = Status(Kind.LEVEL, level)
    found.problems = problems
    return found


def said(word: str) -> str:
    """Why a call failed, for people: what Google says as a quotation."""
    known = _WORDS.get(word)
    return str(known) if known else _("“%(word)s”") % {"word": word}


def _stopped(mailbox: Mailbox, now: dt.datetime) -> Status | None:
    if mailbox.state == MailboxState.NEEDS_CONSENT:
        if mailbox.error == "mailbox_taken":
            taken = _(
                "It is connected to another GuestPostCRM server now. To use it here again, disconnect it "
                "there first, then connect it here; what was fetched is kept."
            )
            return Status(Kind.STOPPED, taken)
        gone = _("Google no longer allows access. Connect the mailbox again; what was fetched is kept.")
        return Status(Kind.STOPPED, gone)
    if mailbox.state == MailboxState.DISCONNECTED:
        cut = _("It is disconnected: nothing is fetched or sent. Its mail is kept here.")
        return Status(Kind.STOPPED, cut)
    seen = mailbox.beat_at or mailbox.connected_at
    if now - seen > _SILENT:
        silent = _("Synchronisation has not run since %s: new mail is not here, and nothing is sent.")
        return Status(Kind.STOPPED, silent % _at(seen, now))
    return None


def _behind(mailbox: Mailbox, now: dt.datetime, quiet: float) -> Status | None:
    looked = mailbox.looked_at
    if mailbox.error:
        said = PROBLEMS.get(mailbox.error, mailbox.error)
        since = _("Since %s.") % _at(mailbox.error_at or now, now)
        missing = _("Mail that came after %s may be missing.") % _at(looked, now) if looked else ""
        return Status(Kind.BEHIND, f"{said} {since} {missing}".strip())
    if looked is not None and now - looked > _SILENT + dt.timedelta(seconds=2 * quiet):
        late = _("Gmail has not told what changed since %s: mail that came after may be missing.")
        return Status(Kind.BEHIND, late % _at(looked, now))
    return None


def _unfinished(mailbox: Mailbox, counts: Counts) -> Status | None:
    if mailbox.history_id is None or mailbox.looked_at is None:
        return Status(Kind.FETCHING, _("It was just connected: its first mail appears in a moment."))
    if mailbox.listing_page is not None or counts.queued > counts.stuck:
        return _fetching(mailbox, counts)
    if mailbox.labels_due:
        return Status(Kind.FETCHING, _("All messages are here; their labels are compared with Gmail's."))
    if counts.stuck:
        behind = ngettext(
            "All is here but %d message that can't be fetched so far.",
            "All is here but %d messages that can't be fetched so far.",
            counts.stuck,
        )
        return Status(Kind.BEHIND, behind % counts.stuck)
    return None


def _fetching(mailbox: Mailbox, counts: Counts) -> Status:
    listing = mailbox.listing_page is not None
    unlisted = max(0, mailbox.listing_total - mailbox.listing_count) if listing else 0
    left = counts.queued - counts.stuck + unlisted
    total = counts.stored + left
    granted = mailbox.quota_per_minute or 0.0
    rate = mailbox.fetch_rate or granted / _UNITS
    numbers = {"here": f"{counts.stored:,}", "total": f"{total:,}", "time": _duration(left, rate)}
    if numbers["time"]:
        sentence = _("%(here)s of about %(total)s messages are here, the newest first; about %(time)s left.")
    else:
        sentence = _("%(here)s of about %(total)s messages are here, the newest first.")
    percent = min(99, counts.stored * 100 // total) if total else None
    return Status(Kind.FETCHING, sentence % numbers, percent=percent)


def _duration(left: int, per_minute: float) -> str:
    """How long the rest takes, in words; empty when that is not known."""
    if per_minute <= 0 or not left:
        return ""
    minutes = left / per_minute
    if minutes < 1.5:
        return _("a minute")
    if minutes < 90:
        return _("%d minutes") % round(minutes)
    if minutes < 36 * 60:
        return _("%d hours") % round(minutes / 60)
    return _("%d days") % round(minutes / 60 / 24)


def _problems(mailbox: Mailbox, counts: Counts, now: dt.datetime) -> list[str]:
    found = []
    if counts.stuck:
        stuck = ngettext(
            "%d message can't be fetched so far; it is tried again, and nothing waits for it.",
            "%d messages can't be fetched so far; they are tried again, and nothing waits for them.",
            counts.stuck,
        )
        found.append(stuck % counts.stuck)
    expired = mailbox.watch_expires_at is not None and mailbox.watch_expires_at <= now
    if mailbox.watch_error or expired:
        why = f" ({said(mailbox.watch_error)})" if mailbox.watch_error else ""
        late = _("Gmail does not tell of new mail%s; it is asked every half minute instead.") % why
        found.append(late)
    elif mailbox.unnoticed >= NOT_BY_CHANCE:
        found.append(
            _("Gmail's notifications do not arrive; it is asked every half minute for new mail instead.")
        )
    if mailbox.difference:
        differed = ngettext(
            "The last comparison found %d message that was missing or too much; it was put right.",
            "The last comparison found %d messages that were missing or too much; they were put right.",
            mailbox.difference,
        )
        found.append(differed % mailbox.difference)
    return found


def _at(moment: dt.datetime, now: dt.datetime) -> str:
    """A moment as people say it today."""
    utc = moment.astimezone(dt.UTC)
    form = "%H:%M UTC" if utc.date() == now.astimezone(dt.UTC).date() else "%d %b, %H:%M UTC"
    return utc.strftime(form)
