"""Searches find what they should, views show whose turn it is, and neither asks more for more mail."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)


@pytest.fixture
def desk(owner: Any) -> Any:
    """A mailbox without a Google behind it."""
    from guestpost_crm.gmail.models import Label, Mailbox

    mailbox = Mailbox.objects.create(
        sub="desk", address="desk@acme.example", connected_by=owner, connected_at=NOW, beat_at=NOW
    )
    Label.objects.create(mailbox=mailbox, gmail_id="Label_7", name="Prices/2026")
    return mailbox


@pytest.fixture
def put(desk: Any) -> Callable[..., Any]:
    """Stores a message, one after the other."""
    from guestpost_crm.inbox import services

    number = iter(range(1, 1000))

    def act(
        subject: str = "Guest post",
        text: str = "Hello",
        *,
        sender: str = "Bob Smith <bob@site.example>",
        to: str = "desk@acme.example",
        labels: tuple[str, ...] = ("INBOX",),
        thread: str = "",
        at: dt.datetime | None = None,
        file: str = "",
        html: bool = False,
        **headers: str,
    ) -> Any:
        each = next(number)
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = sender, to, subject
        for name, value in headers.items():
            message[name.replace("_", "-")] = value
        message.set_content(text, subtype="html" if html else "plain")
        if file:
            message.add_attachment(b"x", maintype="application", subtype="pdf", filename=file)
        moment = at or NOW + dt.timedelta(minutes=each)
        raw = io.BytesIO(message.as_bytes())
        return services.store(desk, f"{each:016x}", thread or f"{each:016x}", labels, moment, raw)

    return act


def subjects(query: str) -> list[str]:
    from guestpost_crm.inbox import listing

    return [thread.subject for thread in listing.found(query).threads]


def test_words_and_operators_find_what_people_know_from_gmail(put: Callable[..., Any]) -> None:
    put("Price list", "Our rates: 120 USD per post.", at=NOW - dt.timedelta(days=40), file="Rates-2026.pdf")
    put(
        "Angebot für Köln",
        "Größe und Preise",
        sender="Jörg Müller <joerg@beispiel.example>",
        labels=("INBOX", "Label_7"),
    )
    put("Re: draft", "<p>The <b>casino</b> link</p>", html=True, labels=("INBOX", "UNREAD", "STARRED"))
    put("価格について", "ゲスト投稿の価格です")
    put("Cheap price", "Buy now price", labels=("SPAM",))
    put(
        "We answered",
        "our price is fine",
        sender="desk@acme.example",
        to="carol@blog.example",
        labels=("SENT",),
    )
    wanted = {
        "price": ["We answered", "Price list"],
        "PRICE": ["We answered", "Price list"],
        "pric": ["We answered", "Price list"],
        "price -rates": ["We answered"],
        "in:spam price": ["Cheap price"],
        "in:anywhere price": ["We answered", "Cheap price", "Price list"],
        "koln": ["Angebot für Köln"],
        "Grösse": ["Angebot für Köln"],
        "from:muller": ["Angebot für Köln"],
        "from:joerg@beispiel.example": ["Angebot für Köln"],
        "from:beispiel": ["Angebot für Köln"],
        "from:carol": [],
        "to:carol@blog.example": ["We answered"],
        "subject:price": ["Price list"],
        '"rates 120"': ["Price list"],
        '"120 rates"': [],
        "casino": ["Re: draft"],
        "価格": ["価格について"],
        "投稿": ["価格について"],
        "has:attachment": ["Price list"],
        "filename:rates": ["Price list"],
        "rates-2026.pdf": ["Price list"],
        "before:2026-05-01": ["Price list"],
        "after:2026/05/01 -in:sent subject:angebot": ["Angebot für Köln"],
        "label:prices-2026": ["Angebot für Köln"],
        'label:"Prices/2026"': ["Angebot für Köln"],
        "label:none-such": [],
        "is:unread": ["Re: draft"],
        "is:starred": ["Re: draft"],
        "in:sent": ["We answered"],
        "casino OR koln": ["Re: draft", "Angebot für Köln"],
        "casino OR koln OR rates": ["Re: draft", "Angebot für Köln", "Price list"],
        "label:prices-2026 OR is:starred": ["Re: draft", "Angebot für Köln"],
        "casino OR has:attachment": ["Re: draft", "Price list"],
        "in:sent OR subject:price after:2026-05-01": ["We answered"],
        "OR casino": ["Re: draft"],
        "mailbox:other": [],
        "re: draft": ["Re: draft"],
        "'; DROP TABLE message; --": [],
        "!!! ((( ': & | <->": [],
        "": [],
    }
    assert {query: subjects(query) for query in wanted} == wanted


def test_what_is_no_date_is_told_and_passed_over(put: Callable[..., Any]) -> None:
    from guestpost_crm.inbox import listing

    put("Price")
    page = listing.found("price before:yesterday has:legs")
    assert [thread.subject for thread in page.threads] == ["Price"]
    assert page.problems == [
        "“yesterday” is no date: write before:2026-05-31.",
        "“has:legs” is not known here: has:attachment is.",
    ]


def test_a_thread_is_found_once_and_pages_end(put: Callable[..., Any]) -> None:
    from guestpost_crm.inbox import listing

    for number in range(60):
        put(f"offer {number}", thread=f"{number % 55 + 100:016x}")
    first = listing.found("offer")
    second = listing.found("offer", first.following)
    keys = [thread.pk for page in (first, second) for thread in page.threads]
    assert (len(first.threads), len(second.threads), second.following) == (50, 5, "")
    assert len(set(keys)) == len(keys)


def test_views_say_whose_turn_it_is(put: Callable[..., Any]) -> None:
    from guestpost_crm.inbox import listing

    put("They asked")
    put("We answered", thread="a" * 16)
    put("We answered", sender="desk@acme.example", labels=("SENT",), thread="a" * 16)
    put("Away until Monday", sender="desk@acme.example", labels=("SENT",), thread="b" * 16)
    put("Away until Monday", thread="b" * 16, Auto_Submitted="auto-replied")
    put("Newsletter", List_Id="<news.example>")
    put("Bounce", sender="MAILER-DAEMON@site.example")
    put("Junk", labels=("SPAM",))

    def shown(view: str) -> set[str]:
        return {thread.subject for thread in listing.page(view).threads}

    assert shown("unanswered") == {"They asked"}
    assert shown("waiting") == {"We answered", "Away until Monday"}
    assert shown("hidden") == {"Junk"}
    assert "Junk" not in shown("all")
    assert listing.counts() == {"unread": 0, "unanswered": 1, "follow-up": 0}


def test_done_holds_until_something_new_is_said(put: Callable[..., Any], owner: Any) -> None:
    from django.test import Client
    from guestpost_crm.audit.models import AuditEvent
    from guestpost_crm.inbox import listing

    first = put("Asked", thread="c" * 16)
    page = Client(headers={"host": "acme.localhost"})
    page.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    assert page.post(f"/threads/{first.thread_id}/done", {"done": "yes"}).status_code == 302
    assert not listing.page("unanswered").threads
    assert AuditEvent.objects.filter(action="thread.done").exists()
    put("Asked", thread="c" * 16)
    assert [thread.pk for thread in listing.page("unanswered").threads] == [first.thread_id]


def test_a_reminder_ends_with_an_answer_and_not_with_an_absence_note(
    put: Callable[..., Any], owner: Any
) -> None:
    from django.test import Client
    from django.utils import timezone
    from guestpost_crm.inbox import listing
    from guestpost_crm.inbox.models import Thread

    sent = put("Offer", sender="desk@acme.example", labels=("SENT",), thread="d" * 16)
    page = Client(headers={"host": "acme.localhost"})
    page.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    page.post(f"/threads/{sent.thread_id}/follow-up", {"days": "3"})
    thread = Thread.objects.get()
    assert thread.follow_up_at is not None
    assert thread.follow_up_by == owner
    assert not listing.page("follow-up").threads
    Thread.objects.update(follow_up_at=timezone.now())
    assert len(listing.page("follow-up").threads) == 1
    later = timezone.now() + dt.timedelta(minutes=1)
    put("Away", thread="d" * 16, at=later, Auto_Submitted="auto-replied")
    assert len(listing.page("follow-up").threads) == 1
    put("Re: Offer", thread="d" * 16, at=later + dt.timedelta(minutes=1))
    assert not listing.page("follow-up").threads
    assert Thread.objects.get().follow_up_by is None


@pytest.mark.parametrize(
    "path", ["/", "/?view=unanswered", "/?q=offer", "/mailboxes", "/outbox", "/threads/{thread}"]
)
def test_pages_ask_as_often_for_much_mail_as_for_little(
    put: Callable[..., Any], owner: Any, path: str
) -> None:
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    page = Client(headers={"host": "acme.localhost"})
    page.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            assert page.get(path.format(thread=thread)).status_code == 200
        return len(asked)

    thread = put("offer", thread="e" * 16).thread_id
    queries()
    few = queries()
    for number in range(25):
        put(
            f"offer {number}",
            "Long " * 50,
            thread="e" * 16 if number % 2 else "",
            file="a.pdf" if number % 3 else "",
        )
    assert queries() == few


def test_mail_stored_before_there_was_a_search_becomes_searchable(put: Callable[..., Any]) -> None:
    from guestpost_crm.inbox import services
    from guestpost_crm.inbox.models import Message

    put("An old price", file="old.pdf")
    Message.objects.update(search=None, has_attachments=False)
    assert subjects("price") == []
    assert services.make_searchable() == 1
    assert services.make_searchable() == 0
    assert subjects("price has:attachment") == ["An old price"]
