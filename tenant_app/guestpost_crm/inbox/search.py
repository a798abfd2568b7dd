"""Searching mail: words, and the operators that people know from Gmail.

https://support.google.com/mail/answer/7190: `from: to: subject: label: in: is: has: filename: before:
after:`, quotation marks, `-` before what must not be, and OR between what may.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from django.contrib.postgres.search import SearchVectorField
from django.db.models import Exists, Lookup, OuterRef, Q
from django.utils.translation import gettext as _

from guestpost_crm.gmail.models import Label
from guestpost_crm.inbox import words
from guestpost_crm.inbox.models import Part

MOST = 500
_TERM = re.compile(r'(-?)(?:([A-Za-z_]+):)?("[^"]*"|\([^()]*\)|[^\s"]+)')
_WEIGHTS = {"from": words.SENDER, "to": words.RECIPIENTS, "cc": words.RECIPIENTS, "subject": words.SUBJECT}
_PLACES = {
    "inbox": "INBOX", "sent": "SENT", "spam": "SPAM", "trash": "TRASH", "bin": "TRASH", "starred": "STARRED",
    "important": "IMPORTANT", "unread": "UNREAD", "promotions": "CATEGORY_PROMOTIONS",
    "social": "CATEGORY_SOCIAL", "updates": "CATEGORY_UPDATES", "forums": "CATEGORY_FORUMS",
    "primary": "CATEGORY_PERSONAL",
}  # fmt: skip
_OPEN = Q(thread__automatic=False, thread__done=False)
_VIEWS = {
    "unanswered": Q(_OPEN, thread__in_inbox=True, thread__last_from_us=False),
    "waiting": Q(_OPEN, thread__last_from_us=True),
    "done": Q(thread__done=True),
}
_HIDDEN = Q(labels__contains=["SPAM"]) | Q(labels__contains=["TRASH"])


if TYPE_CHECKING:
    _Lookup = Lookup[Any]
else:
    _Lookup = Lookup


@SearchVectorField.register_lookup
class Matches(_Lookup):
    """`search__matches`: a tsquery as words.phrase and its like write it."""

    lookup_name = "matches"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """The condition in SQL."""
        column, parameters = self.process_lhs(compiler, connection)
        return f"{column} @@ %s::tsquery", (*parameters, self.rhs)


@dataclass
class Query:
    """What was asked for.

    Attributes:
        condition: on messages.
        problems: what could not be understood, in sentences; it was passed over.
        empty: nothing was asked for.
    """

    condition: Q = field(default_factory=Q)
    problems: list[str] = field(default_factory=list)
    empty: bool = True


def parse(text: str) -> Query:
    """Read what somebody typed; spam and trash are searched only when they are named."""
    query = Query()
    # Each of them has to hold: in it, one of its terms.
    groups: list[list[Q | str]] = []
    hidden = False
    either = False
    for minus, operator, value in _TERM.findall(text[:MOST]):
        name, bare = operator.lower(), value.strip('"() ')
        if not operator and value == "OR" and not minus:
            either = bool(groups)
            continue
        if name == "in" and bare.lower() in ("spam", "trash", "bin", "anywhere"):
            hidden = True
        made = _term(query, name, value, bare) if bare else None
        if made is not None:
            term = made if not minus else ~made if isinstance(made, Q) else f"!{made}"
            if either:
                groups[-1].append(term)
            else:
                groups.append([term])
        either = False
    query.empty = not groups
    query.condition = _all_of(groups)
    if not hidden:
        query.condition &= ~_HIDDEN
    return query


def _all_of(groups: list[list[Q | str]]) -> Q:
    """The condition that of each group one term holds; words are looked for together, by one index."""
    condition = Q()
    together: list[str] = []
    for terms in groups:
        texts = [each for each in terms if isinstance(each, str)]
        if len(texts) == len(terms):
            together.append(f"({' | '.join(texts)})" if len(texts) > 1 else texts[0])
        else:
            any_of = (Q(search__matches=each) if isinstance(each, str) else each for each in terms)
            condition &= reduce(or_, any_of)
    return condition & Q(search__matches=" & ".join(together)) if together else condition


def _term(query: Query, name: str, value: str, bare: str) -> Q | str | None:
    """A condition, or a piece of the tsquery; None for what says nothing."""
    if name in _CONDITIONS:
        return _CONDITIONS[name](query, name, bare)
    # Anything else with a colon, such as `re:` or an address of the web, is words.
    whole = bare if name in _WEIGHTS or not name else f"{name} {bare}"
    return words.phrase(whole, _WEIGHTS.get(name, ""), prefix=not value.startswith('"')) or None


def _filename(query: Query, name: str, bare: str) -> Q:
    named = Part.objects.filter(message=OuterRef("pk"), is_attachment=True, filename__icontains=bare)
    return Q(Exists(named), has_attachments=True)


def _has(query: Query, name: str, bare: str) -> Q | None:
    if bare.lower().startswith("attachment"):
        return Q(has_attachments=True)
    query.problems.append(_("“has:%(value)s” is not known here: has:attachment is.") % {"value": bare[:40]})
    return None


def _mailbox(query: Query, name: str, bare: str) -> Q:
    return Q(mailbox__address__istartswith=bare)


def _place(query: Query, name: str, bare: str) -> Q | None:
    bare = bare.lower()
    if bare == "anywhere":
        return None
    if bare == "read":
        return ~Q(labels__contains=["UNREAD"])
    if bare in _VIEWS:
        return _VIEWS[bare]
    if bare in _PLACES:
        return Q(labels__contains=[_PLACES[bare]])
    wanted = {bare, bare.replace("-", " ")}
    labels = [
        label
        for label in Label.objects.only("mailbox_id", "gmail_id", "name")
        if {label.name.lower(), label.name.lower().replace("/", "-").replace(" ", "-")} & wanted
    ]
    if not labels:
        query.problems.append(_("There is no label “%(name)s”.") % {"name": bare})
        return Q(pk=None)
    found = Q()
    for label in labels:
        found |= Q(mailbox_id=label.mailbox_id, labels__contains=[label.gmail_id])
    return found


def _date(query: Query, name: str, bare: str) -> Q | None:
    try:
        year, month, day = (int(each) for each in re.split(r"[-/.]", bare))
        edge = dt.datetime(year, month, day, tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        query.problems.append(
            _("“%(date)s” is no date: write %(name)s:2026-05-31.") % {"date": bare[:40], "name": name}
        )
        return None
    return Q(received_at__lt=edge) if name in ("before", "older") else Q(received_at__gte=edge)


_CONDITIONS: dict[str, Callable[[Query, str, str], Q | None]] = {
    "filename": _filename,
    "has": _has,
    "mailbox": _mailbox,
    **dict.fromkeys(("label", "in", "is"), _place),
    **dict.fromkeys(("before", "older", "after", "newer"), _date),
}
