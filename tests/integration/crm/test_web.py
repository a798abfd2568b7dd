"""The pages: who gets in, what they show, what they refuse."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from google_standin.testing import GoogleStandin
from google_standin.testing import consent as at_google

HOST = "acme.localhost"


@pytest.fixture
def browser(crm: None) -> Any:
    from django.test import Client

    return Client(headers={"host": HOST}, enforce_csrf_checks=True)


@pytest.fixture
def page(owner: Any) -> Any:
    """The owner's browser, without the forms' tokens."""
    from django.test import Client

    client = Client(headers={"host": HOST})
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def conversation(
    google: GoogleStandin, mailbox: Any, address: str, mail: Callable[..., bytes], level: Callable[..., Any]
) -> Any:
    from guestpost_crm.inbox.models import Message

    google.control.deliver(address, mail("Rates for site.example"))
    level(mailbox)
    return Message.objects.get()


@pytest.mark.promise("P11.1")
def test_cookies_are_for_this_host_alone_where_browsers_come_by_https() -> None:
    import os
    import subprocess
    import sys

    program = (
        "from django.conf import settings as s; print(s.SESSION_COOKIE_NAME, s.SESSION_COOKIE_SECURE,"
        " s.SESSION_COOKIE_HTTPONLY, s.CSRF_COOKIE_NAME, s.CSRF_COOKIE_SECURE, s.SECURE_HSTS_SECONDS > 0)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PUBLIC_URL": "https://acme.example.com", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.split() == ["__Host-session", "True", "True", "__Host-csrf", "True", "True"]


def begin(client: Any, address: str) -> dict[str, str]:
    """Post the sign-in form; returns what Google is asked."""
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get("/sign-in").content.decode())
    assert token
    answer = client.post(
        "/sign-in", {"csrfmiddlewaretoken": token[1]}, headers={"origin": "http://acme.localhost:8080"}
    )
    assert answer.status_code == 302, answer.content.decode()[:2000]
    return at_google(answer.url, address)


@pytest.mark.promise("P5.2")
@pytest.mark.promise("P6.1")
def test_ownership_is_bound_to_the_first_account_that_signs_in(
    browser: Any, google: GoogleStandin, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guestpost_crm import environment
    from guestpost_crm.accounts.models import Person

    mine, other = f"{uuid.uuid4().hex[:8]}@acme.example", f"{uuid.uuid4().hex[:8]}@acme.example"
    google.control.account(mine, "Mia First")
    google.control.account(other, "Oscar Other")
    monkeypatch.setenv("OWNER_EMAIL", mine)
    environment.current.cache_clear()
    try:
        answer = browser.get("/oauth/callback", begin(browser, mine))
        assert (answer.status_code, answer.url) == (302, "/")
        first = Person.objects.get()
        assert (first.email, first.role) == (mine, "owner")
        monkeypatch.setenv("OWNER_EMAIL", other)
        environment.current.cache_clear()
        browser.cookies.clear()
        refused = browser.get("/oauth/callback", begin(browser, other))
        assert refused.status_code == 403
        assert b"no member of this CRM" in refused.content
        assert list(Person.objects.all()) == [first]
    finally:
        monkeypatch.undo()
        environment.current.cache_clear()


def test_a_callback_that_was_not_begun_here_signs_nobody_in(browser: Any) -> None:
    from guestpost_crm.accounts.models import Person

    answer = browser.get("/oauth/callback", {"state": "stolen", "code": "stolen"})
    assert answer.status_code == 400
    assert not Person.objects.exists()
    assert browser.get("/").status_code == 302


def form_of(page: Any, thread: int) -> dict[str, str]:
    text = page.get(f"/threads/{thread}").content.decode()
    fields = dict(re.findall(r'<input type="(?:hidden|text)" name="(\w+)" value="([^"]*)"', text))
    return {name: fields[name] for name in ("form_key", "answers", "to")}


@pytest.mark.promise("P4.2")
def test_a_wrong_reply_says_what_and_keeps_what_was_typed(page: Any, conversation: Any) -> None:
    from guestpost_crm.gmail.models import OutboxMessage

    thread = conversation.thread_id
    typed = {**form_of(page, thread), "to": "bob@site.example, not an address", "body": "A long answer."}
    answer = page.post(f"/threads/{thread}/reply", typed)
    assert answer.status_code == 422
    text = answer.content.decode()
    assert "is not an e-mail address" in text
    assert "A long answer." in text
    assert "not an address" in text
    assert not OutboxMessage.objects.exists()


@pytest.mark.promise("P4.2")
def test_the_same_form_sent_twice_is_one_message(page: Any, conversation: Any) -> None:
    from guestpost_crm.gmail.models import OutboxMessage

    thread = conversation.thread_id
    typed = {**form_of(page, thread), "body": "We take it."}
    for _ in range(2):
        assert page.post(f"/threads/{thread}/reply", typed).status_code == 302
    assert OutboxMessage.objects.count() == 1


def test_a_reader_may_look_and_not_send(page: Any, owner: Any, conversation: Any) -> None:
    owner.role = "reader"
    owner.save()
    thread = conversation.thread_id
    assert b"reply-form" not in page.get(f"/threads/{thread}").content
    assert page.post(f"/threads/{thread}/reply", {"body": "x"}).status_code == 403
    assert page.post("/mailboxes/connect").status_code == 403


def test_attachments_come_as_downloads_with_their_names(
    page: Any, google: GoogleStandin, mailbox: Any, address: str, level: Callable[..., Any]
) -> None:
    from email.message import EmailMessage

    from guestpost_crm.inbox.models import Message

    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@site.example", address, "Draft"
    message.set_content("See below.")
    content = bytes(range(256)) * 5000
    name = '../../etc/"päss\u202ewd\r\nX: y.html'
    message.add_attachment(content, maintype="text", subtype="html", filename=name.replace("\r\n", ""))
    google.control.deliver(address, message.as_bytes())
    level(mailbox)
    stored = Message.objects.get()
    [part] = [each for each in stored.parts.all() if each.is_attachment]
    answer = page.get(f"/messages/{stored.pk}/parts/{part.index}")
    assert b"".join(answer.streaming_content) == content
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename*=UTF-8''")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
