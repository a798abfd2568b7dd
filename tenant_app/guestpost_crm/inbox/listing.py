"""Lists of threads: views and searches, in pages by key: the thousandth costs what the first does."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field

from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from guestpost_crm.inbox import search
from guestpost_crm.inbox.models import VIEWS as CONDITIONS
from guestpost_crm.inbox.models import Message, Thread

SIZE = 50
FOLLOW_UP = "follow-up"
VIEWS = {
    "inbox": _("Inbox"),
    "unread": _("Unread"),
    "unanswered": _("Unanswered"),
    "waiting": _("Waiting"),
    FOLLOW_UP: _("Follow-up due"),
    "starred": _("Starred"),
    "all": _("All mail"),
    "hidden": _("Spam and trash"),
}
# What somebody has to do something about is counted, up to here.
COUNTED = ("unread", "unanswered", FOLLOW_UP)
MOST_COUNTED = 99


@dataclass(frozen=True)
class Page:
    """Threads, and the key of the page that follows, empty on the last one.

    Attributes:
        newest: changes whenever the first page does, as far as one row can tell.
        problems: what of a search could not be understood.
    """

    threads: list[Thread]
    following: str
    newest: str = ""
    problems: list[str] = field(default_factory=list)


def page(view: str, after: str = "", mailbox: int | None = None) -> Page:
    """A page of a view; `after` is the key that the page before gave, `mailbox` the key of one mailbox."""
    found = _threads(view, mailbox)
    if edge := _read(after):
        moment, key = edge
        if view == FOLLOW_UP:
            found = found.filter(Q(follow_up_at__gt=moment) | Q(follow_up_at=moment, pk__gt=key))
        else:
            found = found.filter(Q(last_message_at__lt=moment) | Q(last_message_at=moment, pk__lt=key))
    threads = list(found[: SIZE + 1])
    newest = _mark(threads[0] if threads else None) if not edge else newest_of(view, mailbox)
    following = ""
    if len(threads) > SIZE:
        last = threads[SIZE - 1]
        moment_of_last = last.follow_up_at if view == FOLLOW_UP else last.last_message_at
        following = _key(moment_of_last or last.last_message_at, last.pk)
    return Page(threads[:SIZE], following, newest)


def found(text: str, after: str = "", mailbox: int | None = None) -> Page:
    """A page of a search: threads by the newest of their messages that match, each once."""
    query = search.parse(text)
    if query.empty:
        return Page([], "", problems=query.problems)
    condition = query.condition & Q(mailbox=mailbox) if mailbox else query.condition
    messages = Message.objects.filter(condition)
    newer = Message.objects.filter(
        condition,
        Q(received_at__gt=OuterRef("received_at"))
        | Q(received_at=OuterRef("received_at"), pk__gt=OuterRef("pk")),
        thread=OuterRef("thread"),
    )
    messages = messages.filter(~Exists(newer)).order_by("-received_at", "-pk")
    if edge := _read(after):
        moment, key = edge
        messages = messages.filter(Q(received_at__lt=moment) | Q(received_at=moment, pk__lt=key))
    rows = list(messages.values_list("received_at", "pk", "thread")[: SIZE + 1])
    threads = Thread.objects.in_bulk([row[2] for row in rows[:SIZE]])
    following = _key(*rows[SIZE - 1][:2]) if len(rows) > SIZE else ""
    return Page([threads[row[2]] for row in rows[:SIZE]], following, problems=query.problems)


def newest_of(view: str, mailbox: int | None = None) -> str:
    """Changes whenever a view's first page does, as far as one row can tell."""
    return _mark(_threads(view, mailbox).first())


def counts(mailbox: int | None = None) -> dict[str, int]:
    """How many threads wait in the views that ask for something, MOST_COUNTED + 1 when there are more."""
    first, *others = (
        _threads(view, mailbox)
        .order_by()
        .annotate(view=Value(view))
        .values_list("view", flat=True)[: MOST_COUNTED + 1]
        for view in COUNTED
    )
    found = Counter(first.union(*others, all=True))
    return {view: found[view] for view in COUNTED}


def _mark(thread: Thread | None) -> str:
    if thread is None:
        return ""
    return f"{_key(thread.last_message_at, thread.pk)}-{thread.message_count}-{int(thread.unread)}"


def _threads(view: str, mailbox: int | None) -> QuerySet[Thread]:
    threads = Thread.objects.filter(mailbox=mailbox) if mailbox else Thread.objects.all()
    if view == FOLLOW_UP:
        return threads.filter(follow_up_at__lte=timezone.now()).order_by("follow_up_at", "pk")
    return threads.filter(CONDITIONS.get(view, CONDITIONS["inbox"])).order_by("-last_message_at", "-pk")


def _key(moment: dt.datetime, key: int) -> str:
    return f"{moment.astimezone(dt.UTC).isoformat()}~{key}"


def _read(key: str) -> tuple[dt.datetime, int] | None:
    moment, _tilde, identifier = key.replace(" ", "+").partition("~")
    try:
        return dt.datetime.fromisoformat(moment).astimezone(dt.UTC), int(identifier)
    except (ValueError, OverflowError):
        return None
