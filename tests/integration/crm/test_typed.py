"""Whatever a form is refused for, what was typed into it stands on the page that says so."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from lxml import html

WORDS = "Dear Bob, <b>we</b> take it.\n\nRegards"
REPLY = {"to": "bob@site.example", "body": WORDS, "form_key": "x", "kind": "reply"}


@pytest.fixture
def thread(make: Any, owner: Any) -> Any:
    """A conversation."""
    return make.thread(owner, ("Bob <bob@site.example>", "120 USD?"))


def kept(answer: Any) -> dict[str, str]:
    """What stands on a page to be copied."""
    document = html.fromstring(answer.content.decode())
    labels = {each.get("for"): each.text_content() for each in document.xpath("//label")}
    # Browsers pass over the line break that a field begins with.
    fields = document.xpath("//textarea[@readonly]")
    return {labels[each.get("id")]: each.text_content().removeprefix("\n") for each in fields}


def test_after_the_end_of_a_session(thread: Any, page: Any) -> None:
    """The words stand there, and signing in leads back to the page that they were written on."""
    address = f"/threads/{thread.pk}"
    page.cookies.clear()
    came_from = f"http://acme.localhost:8080{address}?to=all"
    late = page.post(f"{address}/reply", REPLY, headers={"referer": came_from})
    assert late.status_code == 403
    assert kept(late) == {"To": "bob@site.example", "Message": WORDS}
    assert "<b>we</b>" not in late.content.decode()
    assert f"/sign-in?next=%2Fthreads%2F{thread.pk}%3Fto%3Dall" in unescape(late.content.decode())
    elsewhere = page.post(f"{address}/reply", REPLY, headers={"referer": "https://evil.example/x"})
    assert '/sign-in?next=%2F"' in unescape(elsewhere.content.decode())
    # A click has nothing to be kept, and its own address is no page to come back to.
    moved = page.post("/orders/move", {"move": "1.prospect.agreed", "to": "agreed"})
    assert (moved.status_code, moved.url) == (302, "/sign-in?next=/")


def test_of_a_conversation_that_is_gone(thread: Any, page: Any) -> None:
    gone = page.post(f"/threads/{thread.pk + 1}/reply", REPLY)
    assert gone.status_code == 404
    assert kept(gone)["Message"] == WORDS


def test_of_somebody_who_may_only_read_by_now(thread: Any, page: Any, owner: Any) -> None:
    owner.role = "reader"
    owner.save()
    refused = page.post(f"/threads/{thread.pk}/reply", REPLY)
    assert refused.status_code == 403
    assert kept(refused)["Message"] == WORDS


def test_of_a_form_that_was_open_for_too_long(thread: Any, browser: Callable[..., Any], owner: Any) -> None:
    refused = browser(owner, enforce_csrf_checks=True).post(f"/threads/{thread.pk}/reply", REPLY)
    assert refused.status_code == 403
    assert kept(refused)["Message"] == WORDS


def test_of_a_failure_of_ours_and_of_the_database(
    thread: Any, page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import OperationalError
    from guestpost_crm.outreach.services import sites
    from guestpost_crm.web import views

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(sites, "save", broken)
    page.raise_request_exception = False
    typed = {"domain": "site.example", "currency": "USD", "notes": "A long note.\nOf two lines."}
    failed = page.post("/sites/new", typed)
    assert failed.status_code == 500
    assert kept(failed) == {"Domain": "site.example", "Notes": "A long note.\nOf two lines."}

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(views, "told", away)
    failed = page.post("/sites/new", typed)
    assert failed.status_code == 503
    assert kept(failed)["Notes"] == "A long note.\nOf two lines."


def test_while_the_server_is_suspended(thread: Any, page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from guestpost_crm import environment

    monkeypatch.setenv("SUSPEND_REASON", "Payment is late.")
    environment.current.cache_clear()
    answer = page.post(f"/threads/{thread.pk}/reply", REPLY)
    monkeypatch.undo()
    environment.current.cache_clear()
    assert answer.status_code == 503
    assert kept(answer)["Message"] == WORDS


def test_when_a_new_policy_comes_between(thread: Any, page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written under the one before is taken; the next page asks."""
    from guestpost_crm.outreach.models import Site
    from guestpost_crm.privacy import policy

    assert page.get("/sites/new").status_code == 200
    newer = policy.Policy(policy.CURRENT.version + 1, dt.date(2027, 1, 1), "Something is new.")
    monkeypatch.setattr(policy, "POLICIES", (*policy.POLICIES, newer))
    monkeypatch.setattr(policy, "CURRENT", newer)
    saved = page.post("/sites/new", {"domain": "site.example", "currency": "USD"})
    assert saved.url == f"/sites/{Site.objects.get().pk}"
    assert page.get(saved.url).url.startswith("/policy")


def test_a_reply_to_what_was_deleted_meanwhile_goes_out_in_its_conversation(
    make: Any, page: Any, owner: Any
) -> None:
    from guestpost_crm.gmail.models import OutboxMessage
    from guestpost_crm.inbox import services

    thread = make.thread(owner, ("Bob <bob@site.example>", "120 USD?"), ("Bob <bob@site.example>", "Or 100?"))
    first, last = thread.messages.order_by("received_at", "pk")
    address = f"/threads/{thread.pk}"
    [form] = [
        each for each in html.fromstring(page.get(address).content).forms if each.get("id") == "reply-form"
    ]
    typed = {**dict(form.form_values()), "body": "We take it."}
    assert typed["answers"] == str(last.pk)
    services.remove(last)
    assert page.post(f"{address}/reply", typed).status_code == 302
    assert OutboxMessage.objects.get().answers == first


def test_of_somebody_who_is_a_member_already_and_is_invited(page: Any, person: Callable[..., Any]) -> None:
    member = person("member")
    refused = page.post("/team/invitations", {"email": member.email, "role": "reader"})
    text = unescape(refused.content.decode())
    assert refused.status_code == 422
    assert f"{member.email} is a member already." in text
    assert f'value="{member.email}"' in text
