"""Labels after history was lost: each label is listed, and only what differs is asked for message by message.

A page of 500 ids costs 5 units, one message's labels 20. A list is a hint alone: what differs from what is
here is asked of Gmail once more, and what changes meanwhile is told by history, whose cursor is older than
the lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from django.db.models import QuerySet

from guestpost_crm.gmail.api import Gmail
from guestpost_crm.gmail.errors import NotFoundError, RefusedError
from guestpost_crm.gmail.ids import Ids
from guestpost_crm.gmail.models import Mailbox
from guestpost_crm.gmail.quota import UNITS
from guestpost_crm.inbox.models import Message

_TOGETHER = 1000


class LabelLists:
    """One comparison of a mailbox's labels, a page at each step, so that new mail is not held up.

    Args:
        mailbox: whose messages are all listed.
        gmail: its client.
        labels: every label there is at Gmail.
        ask: has the labels of messages read one by one.
    """

    def __init__(
        self, mailbox: Mailbox, gmail: Gmail, labels: list[str], ask: Callable[[Iterable[str]], None]
    ) -> None:
        self.listing = mailbox.listing
        self._mailbox = mailbox
        self._gmail = gmail
        self._all = labels
        self._left = list(labels)
        self._ask = ask
        self._page = ""
        self._there = Ids()

    def step(self) -> bool:
        """Read one page; False when every label was compared.

        Raises:
            GmailError: call again later, nothing is lost.
        """
        if self._left == self._all and not self._page:
            one_by_one = self._here().count() * UNITS["messages.get"]
            if not self._all or one_by_one <= len(self._all) * UNITS["messages.list"]:
                self._ask_about(self._here())
                return False
            # Labels that are gone at Gmail are in no list.
            self._ask_about(self._here().exclude(labels__contained_by=self._all))
        try:
            answer = self._gmail.list_ids(self._page, label=self._left[-1])
        except (NotFoundError, RefusedError):
            # A label that is gone meanwhile, a page's token that is too old: the long way always works.
            self._ask_about(self._here())
            return False
        self._there.add(item["id"] for item in answer.get("messages", ()))
        self._page = answer.get("nextPageToken", "")
        if not self._page:
            self._compare(self._left.pop())
            self._there = Ids()
        return bool(self._left)

    def _here(self) -> QuerySet[Message]:
        return Message.objects.filter(mailbox=self._mailbox)

    def _ask_about(self, messages: QuerySet[Message]) -> None:
        for some in _together(messages.values_list("gmail_id", flat=True).iterator(chunk_size=_TOGETHER)):
            self._ask(some)

    def _compare(self, label: str) -> None:
        """Ask about every message that has a label here or at Gmail alone."""
        having = self._here().filter(labels__contains=[label]).values_list("gmail_id", flat=True)
        known, seen = having.iterator(chunk_size=_TOGETHER), self._there.seen
        for some in _together(each for each in known if not seen(each)):
            self._ask(some)
        for some in _together(self._there.unseen()):
            # What is not here is a draft, or is fetched with the labels that it has then.
            self._ask_about(self._here().filter(gmail_id__in=some))


def _together(identifiers: Iterator[str]) -> Iterator[list[str]]:
    while some := list(islice(identifiers, _TOGETHER)):
        yield some
