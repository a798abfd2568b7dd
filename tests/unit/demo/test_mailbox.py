"""The demo's mailbox: enough mail, of every kind, the same each time, nobody's real address."""

from __future__ import annotations

import datetime as dt
import email
import re
from collections import Counter

import pytest
from guestpost_demo.mailbox import DemoMessage, messages

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def mailbox() -> list[DemoMessage]:
    return list(messages(NOW))


def test_there_are_three_hundred_at_least_over_half_a_year(mailbox: list[DemoMessage]) -> None:
    assert len(mailbox) >= 300
    assert mailbox == sorted(mailbox, key=lambda message: message.date)
    assert mailbox[-1].date <= NOW
    assert NOW - mailbox[0].date > dt.timedelta(days=150)
    assert NOW - mailbox[-1].date < dt.timedelta(hours=8)


def test_it_is_the_same_each_time(mailbox: list[DemoMessage]) -> None:
    def stable(raw: bytes) -> bytes:
        return re.sub(rb"={10,}\d+==", b"boundary", raw)

    assert [stable(each.raw) for each in mailbox] == [stable(each.raw) for each in messages(NOW)]


def test_every_kind_is_there(mailbox: list[DemoMessage]) -> None:
    parsed = [email.message_from_bytes(message.raw) for message in mailbox]
    kinds = Counter(part.get_content_type() for message in parsed for part in message.walk())
    assert {
        "application/pdf",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "image/png",
        "message/delivery-status",
        "message/rfc822",
        "multipart/signed",
        "text/calendar",
        "text/html",
    } <= kinds.keys()
    charsets = {part.get_content_charset() for message in parsed for part in message.walk()}
    assert {"iso-2022-jp", "gb18030", "koi8-r", "iso-8859-9", "iso-8859-2", "utf-8"} <= charsets
    labels = {label for message in mailbox for label in message.labels + message.own_labels}
    assert {"INBOX", "SENT", "UNREAD", "STARRED", "SPAM", "TRASH", "Invoices", "Negotiating"} <= labels


def test_threads_hold_together(mailbox: list[DemoMessage]) -> None:
    parsed = [email.message_from_bytes(message.raw) for message in mailbox]
    known = {message["Message-ID"] for message in parsed}
    assert len(known) == len(parsed)
    answers = [message for message in parsed if message["References"]]
    assert len(answers) > 100
    assert all(set(message["References"].split()) <= known for message in answers)
    assert max(len(message["References"].split()) for message in answers) >= 30


def test_nobody_real_is_named(mailbox: list[DemoMessage]) -> None:
    for message in mailbox:
        domains = re.findall(rb"@([a-z0-9.-]+)", message.raw)
        strange = [d for d in domains if not re.search(rb"(example|example\.(com|org|net))$", d.rstrip(b"."))]
        assert not strange
