"""Everything that can happen to a mailbox, in any order: at the end Gmail and the CRM are one.

Mail arrives, changes and goes, also between two calls of one pass; notifications are lost, doubled and late;
calls fail in every way; the sync dies at any statement that writes and at any call; people send, take back
and decide; the consent goes and comes back.
"""

from __future__ import annotations

import datetime as dt
import functools
import os
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from email import message_from_bytes
from typing import Any

import pytest
from crm_faults import Calls, Death, Killed
from crm_fixtures import clear_tables
from google_standin.testing import GoogleStandin
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

METHODS = [
    "getProfile", "labels.list", "watch", "messages.list",
    "history.list", "messages.get", "messages.send", "*",
]  # fmt: skip
FAULTS: list[dict[str, Any]] = [
    {"status": 429, "reason": "rateLimitExceeded"},
    {"status": 403, "reason": "userRateLimitExceeded"},
    {"status": 403, "reason": "forbidden"},
    {"status": 400, "reason": "invalidArgument"},
    {"status": 401, "reason": "authError"},
    {"status": 500},
    {"status": 503},
    {"drop": "before"},
    {"drop": "after"},
    {"status": 503, "drop": "after"},
]
# What a send that was just asked for may meet.
TROUBLE = [None, {"drop": "before"}, {"drop": "after"}, {"status": 503}, {"status": 503, "drop": "after"}]
# Gmail's word that a message or the history is not there, which is believed only where it can be true.
GONE = {"status": 404, "reason": "notFound"}
LABELS = ["UNREAD", "STARRED", "INBOX", "TRASH", "SPAM", "IMPORTANT"]
ANY = st.integers(0, 1 << 30)


class Mailboxes(RuleBasedStateMachine):
    """A mailbox at Gmail, and the CRM beside it."""

    google: GoogleStandin
    connect: Callable[[str], Any]
    make_mail: Callable[..., bytes]
    author: Callable[[], Any]
    calls: Calls

    def __init__(self) -> None:
        super().__init__()
        self.address = f"machine-{uuid.uuid4().hex[:10]}@acme.example"
        self.worker: Any = None
        self.instructed: list[uuid.UUID] = []

    @initialize()
    def begin(self) -> None:
        clear_tables()
        self.google.control.no_faults()
        self.google.control.account(self.address, "Desk", historyId=990)
        self.person = type(self).author()
        self.mailbox = type(self).connect(self.address)
        for number in range(3):
            self.mail_arrives(number, answer=False, spam=False)
        self.sync_works()

    def there(self) -> list[dict[str, Any]]:
        return self.google.control.messages(self.address)

    def one_of(self, number: int, *, but: str = "SENT") -> dict[str, Any] | None:
        found = [item for item in self.there() if but not in item["labelIds"]]
        return found[number % len(found)] if found else None

    # What happens at Gmail

    @rule(what=st.sampled_from(["mail", "mail", "label", "deletion", "draft", "draft sent"]), number=ANY)
    def mailbox_changes(self, what: str, number: int) -> None:
        if what == "mail":
            for each in range(1 + number % 3):
                self.mail_arrives(number + each, answer=number % 2 == 0, spam=number % 7 == 0)
        elif what == "label":
            self.label_changes(number, LABELS[number % len(LABELS)], add=number % 5 < 3)
        elif what == "deletion":
            self.mail_is_deleted(number)
        elif what == "draft":
            self.draft_is_begun()
        else:
            self.draft_is_sent(number)

    def mail_arrives(self, number: int, *, answer: bool, spam: bool) -> None:
        headers = {}
        if answer and (before := self.one_of(number, but="")):
            headers = {"In-Reply-To": before["messageId"], "References": before["messageId"]}
        raw = type(self).make_mail(f"Re: offer {number % 3}" if headers else f"offer {number % 3}", **headers)
        labels = ["SPAM"] if spam else ["INBOX", "UNREAD"]
        own = [f"Client {number % 9}"] if number % 5 == 0 else []
        self.google.control.deliver(self.address, raw, labelIds=labels, labels=own)

    def label_changes(self, number: int, label: str, *, add: bool) -> None:
        if message := self.one_of(number, but=""):
            change = {"add" if add else "remove": (label,)}
            self.google.control.relabel(self.address, message["id"], **change)

    def mail_is_deleted(self, number: int) -> None:
        if message := self.one_of(number):
            self.google.control.delete(self.address, message["id"])

    def draft_is_begun(self) -> None:
        raw = type(self).make_mail("a draft")
        self.google.control.deliver(self.address, raw, labelIds=["DRAFT"])

    def draft_is_sent(self, number: int) -> None:
        drafts = [item for item in self.there() if "DRAFT" in item["labelIds"]]
        if drafts:
            chosen = drafts[number % len(drafts)]["id"]
            self.google.control.relabel(self.address, chosen, add=("SENT",), remove=("DRAFT",))

    @rule(
        method=st.sampled_from(METHODS),
        fault=st.sampled_from(FAULTS),
        count=st.integers(1, 4),
        skip=st.integers(0, 3),
    )
    def calls_fail(self, method: str, fault: dict[str, Any], count: int, skip: int) -> None:
        self.google.control.fault(method, account=self.address, count=count, skip=skip, **fault)

    @rule(fault=st.sampled_from(FAULTS), number=ANY)
    def mail_comes_in_bad_times(self, fault: dict[str, Any], number: int) -> None:
        """New mail, and the call for it fails."""
        self.mail_arrives(number, answer=True, spam=False)
        self.mail_arrives(number + 1, answer=False, spam=False)
        self.google.control.fault("messages.get", account=self.address, **fault)
        self.told_of_changes(1)
        self.sync_works()

    @rule(
        others=st.integers(0, 12),
        what=st.sampled_from(
            ["mail", "label", "label", "deletion", "draft sent", "history expires", "revoked"]
        ),
        number=ANY,
        anew=st.booleans(),
    )
    def something_happens_during_a_pass(self, others: int, what: str, number: int, *, anew: bool) -> None:
        """Between two of its calls; `anew`: a pass that lists everything."""
        if anew:
            self.google.control.expire_history(self.address)
        self.mail_arrives(number, answer=True, spam=False)
        self.told_of_changes(1)
        happens = functools.partial(self.mailbox_changes, what, number)
        if what in ("history expires", "revoked"):
            happens = functools.partial(self.gmail_forgets, what)
        with self.calls.before(others, happens):
            self.sync_works()

    @rule(what=st.sampled_from(["history expires", "watch ends", "history refused", "revoked", "again"]))
    def gmail_forgets(self, what: str) -> None:
        if what == "history expires":
            self.google.control.expire_history(self.address)
        elif what == "watch ends":
            self.google.control.expire_watch(self.address)
        elif what == "history refused":
            self.google.control.fault("history.list", account=self.address, count=2, **GONE)
        elif what == "revoked":
            self.google.control.revoke(self.address)
        else:
            self.somebody_connects_again()

    # What reaches us

    @rule(times=st.integers(1, 3))
    def told_of_changes(self, times: int) -> None:
        """A notification: it may say anything of history, and nothing comes of it but a look."""
        from guestpost_crm.gmail.notifications import take

        newest = self.google.control.account(self.address, "Desk")["historyId"]
        for number in range(times):
            history = [newest, 5, 1 << 50][number]
            take(f'{{"emailAddress": "{self.address}", "historyId": {history}}}'.encode())
        if self.worker is not None:
            self.worker.wake()

    @rule(passes=st.booleans())
    def sync_is_let(self, *, passes: bool) -> None:
        """Sync works, after a while or at once."""
        if passes:
            self.time_passes()
        self.sync_works()

    def time_passes(self) -> None:
        """What waits for a moment has waited for it."""
        from guestpost_crm.gmail.models import FetchItem, Mailbox, OutboxMessage

        hours = dt.timedelta(hours=2)
        FetchItem.objects.update(not_before=None)
        OutboxMessage.objects.update(not_before=None, send_at=None)
        for message in OutboxMessage.objects.exclude(doubtful_at=None):
            OutboxMessage.objects.filter(pk=message.pk).update(doubtful_at=message.doubtful_at - hours)
        for mailbox in Mailbox.objects.exclude(listing_began_at=None):
            looked = mailbox.looked_at - hours if mailbox.looked_at else None
            Mailbox.objects.filter(pk=mailbox.pk).update(
                listing_began_at=mailbox.listing_began_at - hours, looked_at=looked
            )
        self.worker = None

    def sync_works(self) -> None:
        from guestpost_crm.gmail.worker import Worker

        if self.worker is None:
            self.worker = Worker(self.mailbox.pk)
        self.worker.step()

    @rule(
        at=st.sampled_from(["write", "write", "call"]),
        others=st.integers(0, 6) | st.integers(0, 25),
        what=st.sampled_from(["nothing", "mail", "label", "deletion"]),
        number=ANY,
    )
    def sync_dies(self, at: str, others: int, what: str, number: int) -> None:
        """SIGKILL before a statement that writes or a call: only what was committed is left."""
        from django.db import connection

        if what != "nothing":
            self.mailbox_changes(what, number)
        if self.worker is not None:
            self.worker.wake()
        dying = connection.execute_wrapper(Death(others))
        try:
            with dying if at == "write" else self.calls.before(others % 8, self.calls.die):
                self.sync_works()
        except Killed:
            connection.close()
            self.worker = None

    # What people do

    @precondition(lambda self: len(self.instructed) < 6)
    @rule(number=ANY, new=st.booleans(), trouble=st.sampled_from(TROUBLE))
    def somebody_sends(self, number: int, *, new: bool, trouble: dict[str, Any] | None) -> None:
        from guestpost_crm.gmail import compose, outbox
        from guestpost_crm.inbox.models import Message

        known = list(Message.objects.order_by("pk"))
        answers = None if new or not known else known[number % len(known)]
        subject = compose.reply_subject(answers.subject) if answers else "New"
        draft = compose.Draft(["bob@site.example"], subject, "Yes.", answers=answers)
        self.mailbox.refresh_from_db()
        try:
            message = outbox.queue(
                draft, form_key=uuid.uuid4(), mailbox=self.mailbox, author=self.person, follow_up_days=3
            )
        except outbox.MayNotSendError:
            return
        self.instructed.append(message.pk)
        if trouble is not None:
            self.google.control.fault("messages.send", account=self.address, **trouble)

    @rule(number=ANY, again=st.booleans())
    def somebody_decides(self, number: int, *, again: bool) -> None:
        """Take something back, or say what becomes of a message whose fate is open."""
        from guestpost_crm.gmail import outbox
        from guestpost_crm.gmail.models import OutboxMessage

        for message in OutboxMessage.objects.filter(state__in=["unconfirmed", "failed"])[:1]:
            with suppress(outbox.MayNotSendError):
                outbox.decide(message, self.person, send_again=again)
            return
        if self.instructed and number % 3 == 0:
            message = OutboxMessage.objects.get(pk=self.instructed[number % len(self.instructed)])
            try:
                outbox.take_back(message, self.person)
            except outbox.MayNotSendError:
                return

    def somebody_connects_again(self) -> None:
        from guestpost_crm.gmail.models import MailboxState

        self.mailbox.refresh_from_db()
        if self.mailbox.state != MailboxState.CONNECTED:
            type(self).connect(self.address)
            self.worker = None

    # What always holds

    @invariant()
    def nothing_is_there_twice(self) -> None:
        sent = self.sent()
        assert all(count == 1 for count in sent.values()), "sent twice"

    def sent(self) -> Counter[str]:
        """How often each of our messages lies at Gmail, by its identifier."""
        found: Counter[str] = Counter()
        for item in self.there():
            if "SENT" in item["labelIds"]:
                raw = self.google.control.raw(self.address, item["id"])
                if identifier := message_from_bytes(raw)["X-GuestPostCRM-Outbox"]:
                    found[identifier] += 1
        return found

    def teardown(self) -> None:
        """All heals; then Gmail and the CRM are one."""
        from guestpost_crm.gmail.models import FetchItem, Label, Mailbox, MailboxState, OutboxMessage
        from guestpost_crm.inbox.models import Blob, Message, Thread

        if not hasattr(self, "mailbox"):
            return
        self.google.control.no_faults()
        for _ in range(30):
            self.somebody_connects_again()
            self.time_passes()
            self.sync_works()
            mailbox = Mailbox.objects.get()
            open_sends = OutboxMessage.objects.filter(state__in=["queued", "sending"])
            settled = mailbox.state == MailboxState.CONNECTED and mailbox.is_listed
            if settled and not mailbox.error and not FetchItem.objects.exists() and not open_sends.exists():
                break
        else:
            pytest.fail("it does not come to rest")
        # A day later the watch is renewed, whatever became of it at Gmail.
        Mailbox.objects.update(watch_expires_at=mailbox.watch_expires_at - dt.timedelta(days=1, hours=1))
        self.time_passes()
        self.sync_works()
        assert self.google.control.usage()["watches"].get(self.address), "nobody tells of new mail"
        there = {item["id"]: item for item in self.there() if "DRAFT" not in item["labelIds"]}
        here = {message.gmail_id: message for message in Message.objects.select_related("thread")}
        assert there.keys() - here.keys() == set(), "lost"
        assert here.keys() - there.keys() == set(), "too much"
        for identifier, message in here.items():
            assert sorted(there[identifier]["labelIds"]) == message.labels
            assert there[identifier]["threadId"] == message.thread.gmail_id
        named = set(Label.objects.values_list("gmail_id", flat=True))
        assert {label for message in here.values() for label in message.labels} <= named, (
            "a label without name"
        )
        assert Thread.objects.count() == len({item["threadId"] for item in there.values()})
        assert Blob.objects.count() == Message.objects.count() + OutboxMessage.objects.count()
        sent = self.sent()
        for message in OutboxMessage.objects.all():
            assert (message.state == "sent") == (sent[str(message.pk)] == 1), message.state
        assert mailbox.difference == 0, "the protocol has a hole that only the comparison closed"


def test_at_the_end_gmail_and_the_crm_are_one(
    google: GoogleStandin,
    connect: Callable[[str], Any],
    mail: Callable[..., bytes],
    owner: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from guestpost_crm.accounts.models import Person
    from guestpost_crm.gmail import api, quota, share, worker

    class Machine(Mailboxes):
        pass

    def author() -> Any:
        owner.pk = None
        owner.save(force_insert=True)
        return Person.objects.get(pk=owner.pk)

    Machine.google, Machine.connect, Machine.make_mail = google, staticmethod(connect), staticmethod(mail)
    Machine.author, Machine.calls = staticmethod(author), Calls()
    monkeypatch.setattr(api.Gmail, "_attempt", Machine.calls.watching(api.Gmail._attempt))
    # Looking again after a change is a matter of seconds that nothing here depends on.
    monkeypatch.setattr(worker, "FIRST_LOOK", 0.01)
    # Quotas have tests of their own; here nothing waits for any.
    monkeypatch.setattr(share.Share, "wait", lambda *_: 0.0)
    monkeypatch.setattr(quota.Bucket, "spend", lambda *_, **__: None)
    # Pages so small that every listing has several.
    google.control.settings(quotaUnitsPerMinute=None, mostOnPage=4)
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=int(os.environ.get("MACHINE_EXAMPLES", "10")),
            stateful_step_count=40,
            deadline=None,
            derandomize="MACHINE_EXAMPLES" not in os.environ,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.generate, Phase.shrink),
        ),
    )
