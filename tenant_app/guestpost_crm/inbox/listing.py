"""Lists of threads: named views, pages by key so that the thousandth costs what the first does."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from guestpost_crm.inbox.models import Thread

SIZE = 50
VIEWS = {
    "inbox": "Inbox",
    "unread": "Unread",
    "unanswered": "Unanswered",
    "starred": "Starred",
    "all": "All mail",
}
_CONDITIONS = {
    "inbox": Q(in_inbox=True),
    "unread": Q(in_inbox=True, unread=True),
    "unanswered": Q(in_inbox=True, last_from_us=False),
    "starred": Q(starred=True),
    "all": Q(),
}


@dataclass(frozen=True)
class Page:
    """Threads, and the key of the page that follows, empty on the last one."""

    threads: list[Thread]
    following: str
    newest: str


def page(view: str, after: str = "") -> Page:
    """A page of a view; `after` is the key that the page before gave."""
    found = _threads(view)
    if edge := _read(after):
        moment, key = edge
        found = found.filter(Q(last_message_at__lt=moment) | Q(last_message_at=moment, pk__lt=key))
    threads = list(found[: SIZE + 1])
    following = _key(threads[SIZE - 1]) if len(threads) > SIZE else ""
    return Page(threads[:SIZE], following, newest(view))


def newest(view: str) -> str:
    """Changes whenever a view's first page does, as far as one row can tell."""
    first = _threads(view).first()
    return f"{_key(first)}-{first.message_count}-{int(first.unread)}" if first else ""


def _threads(view: str) -> QuerySet[Thread]:
    condition = _CONDITIONS.get(view, _CONDITIONS["inbox"])
    return Thread.objects.filter(condition, message_count__gt=0).order_by("-last_message_at", "-pk")


def _key(thread: Thread) -> str:
    return f"{thread.last_message_at.astimezone(dt.UTC).isoformat()}~{thread.pk}"


def _read(key: str) -> tuple[dt.datetime, int] | None:
    moment, _, identifier = key.replace(" ", "+").partition("~")
    try:
        return dt.datetime.fromisoformat(moment).astimezone(dt.UTC), int(identifier)
    except (ValueError, OverflowError):
        return None
