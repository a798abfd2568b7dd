"""Every address of the CRM, every role, and everybody who does not belong here.

PAGES says for each address the least role that may GET it and the least that may POST it; None where a method
is refused for everybody, TOLD where the page says why without a 403 (those are tested with their features).
An address that is not in it fails the tests: whoever adds one decides who gets in.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from lxml import html

PUBLIC, READ, WRITE, MANAGE, OWN, TOLD = "public", "reader", "member", "manager", "owner", "told"
ROLES = (READ, WRITE, MANAGE, OWN)

PAGES: dict[str, tuple[str | None, str | None]] = {
    # Mail
    "inbox": (READ, None),
    "new-mail": (READ, None),
    "thread": (READ, None),
    "reply": (None, WRITE),
    "message-body": (READ, None),
    "message-raw": (READ, None),
    "message-part": (READ, None),
    "thread-done": (None, WRITE),
    "thread-follow-up": (None, WRITE),
    "message-text": (READ, None),
    "message-reply": (WRITE, WRITE),
    "message-reply-all": (WRITE, WRITE),
    "message-forward": (WRITE, WRITE),
    "write": (WRITE, WRITE),
    "outbox": (READ, None),
    "outbox-decide": (None, TOLD),
    "outbox-take-back": (None, TOLD),
    "outbox-send-now": (None, TOLD),
    "templates": (READ, None),
    "template-new": (WRITE, WRITE),
    "template": (WRITE, WRITE),
    "template-delete": (None, WRITE),
    "template-text": (WRITE, None),
    "mailbox-look": (None, READ),
    "mailboxes": (READ, None),
    "mailbox-connect": (None, MANAGE),
    "mailbox-disconnect": (None, MANAGE),
    # Outreach
    "sites": (READ, None),
    "site-new": (WRITE, WRITE),
    "sites-known": (READ, None),
    "sites-export": (READ, None),
    "site-import": (WRITE, WRITE),
    "import": (WRITE, WRITE),
    "site": (READ, None),
    "site-edit": (WRITE, WRITE),
    "site-mark": (None, WRITE),
    "contacts": (READ, None),
    "contact-new": (WRITE, WRITE),
    "contacts-export": (READ, None),
    "contact-import": (WRITE, WRITE),
    "contact": (READ, None),
    "contact-edit": (WRITE, WRITE),
    "contact-mark": (None, WRITE),
    "orders": (READ, None),
    "order-list": (READ, None),
    "orders-move": (None, WRITE),
    "order-new": (WRITE, WRITE),
    "order-import": (WRITE, WRITE),
    "orders-export": (READ, None),
    "order": (READ, None),
    "order-edit": (WRITE, WRITE),
    "order-move": (None, WRITE),
    "order-draft": (None, WRITE),
    "order-draft-file": (READ, None),
    "order-draft-remove": (None, WRITE),
    "offers": (READ, None),
    "offer-new": (WRITE, WRITE),
    "offer": (READ, None),
    "offer-decide": (None, WRITE),
    "placements": (READ, None),
    "placement-new": (WRITE, WRITE),
    "placement": (READ, None),
    "placement-edit": (WRITE, WRITE),
    "placement-check": (None, WRITE),
    "invoices": (READ, None),
    "invoice-new": (WRITE, WRITE),
    "invoices-export": (READ, None),
    "invoice": (READ, None),
    "invoice-edit": (WRITE, WRITE),
    "invoice-pay": (None, WRITE),
    "invoice-void": (None, WRITE),
    "payment-remove": (None, WRITE),
    "duplicates": (READ, None),
    "merge-sites": (WRITE, WRITE),
    "merge-contacts": (WRITE, WRITE),
    "reports": (READ, None),
    "custom-fields": (READ, None),
    "custom-field-new": (MANAGE, MANAGE),
    "custom-field": (MANAGE, MANAGE),
    "view-keep": (None, READ),
    "view-forget": (None, TOLD),
    # Other programs
    "integrations": (READ, None),
    "token-make": (None, READ),
    "token-revoke": (None, READ),
    "webhook-new": (MANAGE, MANAGE),
    "webhook": (MANAGE, MANAGE),
    "webhook-act": (None, MANAGE),
    # The team and oneself
    "team": (READ, None),
    "invite": (None, TOLD),
    "invitation-withdraw": (None, TOLD),
    "member-change": (None, TOLD),
    "account": (READ, READ),
    "second-factor-set-up": (READ, READ),
    "second-factor-remove": (None, READ),
    "second-factor-reset": (None, TOLD),
    "session-end": (None, READ),
    "sessions-end": (None, READ),
    "audit": (READ, None),
    "usage": (MANAGE, None),
    "policy": (READ, READ),
    # What the server has
    "data": (OWN, None),
    "export-request": (None, OWN),
    "export-archive": (OWN, None),
    "export-delete": (None, OWN),
    "contact-change": (None, OWN),
    "erasure-request": (None, OWN),
    "erasure-take-back": (None, OWN),
    "support": (MANAGE, None),
    "support-seen": (MANAGE, None),
    "support-shell": (MANAGE, None),
    "support-decide": (None, TOLD),
    "support-end": (None, TOLD),
    # Before anybody has signed in
    "sign-in": (PUBLIC, PUBLIC),
    "second-factor": (TOLD, TOLD),
    "sign-out": (None, READ),
    "oauth-callback": (PUBLIC, None),
    "about": (PUBLIC, None),
    "privacy": (PUBLIC, None),
}

KEYS = {"IntConverter": 1, "UUIDConverter": uuid.UUID(int=1), "SlugConverter": "x", "StringConverter": "x"}


def patterns() -> dict[str, Any]:
    from guestpost_crm.urls import pages

    return {pattern.name: pattern for pattern in pages}


def address(name: str) -> str:
    from django.urls import reverse

    converters = patterns()[name].pattern.converters
    return reverse(name, kwargs={key: KEYS[type(each).__name__] for key, each in converters.items()})


@pytest.fixture(autouse=True)
def clean(clean_crm: None) -> None:
    """Every test begins with empty tables."""


@pytest.fixture
def records(make: Any, person: Callable[..., Any]) -> dict[str, Any]:
    """Somebody of each role, and one record of each kind whose key is 1."""
    people = {role: person(role) for role in ROLES}
    by = people[OWN]
    site = make.site("site.example", price=Decimal(100))
    contact = make.contact("bob@site.example", sites=[site])
    order = make.order(
        site, contact=contact, stage="published", price=Decimal(100), published_url="https://x/"
    )
    make.offer(by, site, contact=contact)
    make.placement(order=order)
    make.invoice(site, orders=[order])
    make.thread(by, ("Bob <bob@site.example>", "120 USD"))
    return people


def test_every_address_is_in_the_table(crm_database: Any) -> None:
    assert set(patterns()) == set(PAGES)


def outcomes(answer: Any) -> str:
    """How a request ended: signed-out, refused, method, or let in."""
    if answer.status_code == 302 and answer.url.startswith("/sign-in"):
        return "signed-out"
    return {403: "refused", 405: "method"}.get(answer.status_code, "let in")


def expected(least: str | None, role: str) -> set[str]:
    if least is None:
        # Whoever may not do it at all may be told that before the method is looked at.
        return {"method", "refused"}
    if least == TOLD:
        return {"let in", "refused"}
    return {"let in"} if least == PUBLIC or ROLES.index(role) >= ROLES.index(least) else {"refused"}


@pytest.mark.promise("P5.2")
@pytest.mark.parametrize("role", ROLES)
def test_every_address_lets_in_whom_it_should(
    records: dict[str, Any], browser: Callable[[Any], Any], role: str
) -> None:
    wrong = []
    for name, (getting, posting) in PAGES.items():
        if name in ("oauth-callback", "second-factor"):
            # They go on with what was begun at Google.
            continue
        for method, least in (("get", getting), ("post", posting)):
            # Signing out and ending sessions end the one that is used.
            client = browser(records[role])
            client.raise_request_exception = True
            found = outcomes(getattr(client, method)(address(name)))
            if name == "sign-out" and method == "post" and found == "signed-out":
                found = "let in"
            if found not in expected(least, role):
                wrong.append(f"{method} {name} as {role}: {found}")
    assert wrong == []


def strangers(records: dict[str, Any]) -> dict[str, Any]:
    """Browsers of people who have no session here."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore
    from django.test import Client, override_settings

    def with_session(key: str) -> Any:
        client = Client(headers={"host": "acme.localhost"})
        client.cookies[settings.SESSION_COOKIE_NAME] = key
        return client

    def session(person: Any, proof: str) -> str:
        store = SessionStore()
        store[SESSION_KEY], store[BACKEND_SESSION_KEY] = (
            str(person.pk),
            "django.contrib.auth.backends.ModelBackend",
        )
        store[HASH_SESSION_KEY] = proof
        store.save()
        return str(store.session_key)

    owner = records[OWN]
    with override_settings(SECRET_KEY="another tenant's key"):
        foreign = session(owner, owner.get_session_auth_hash())
    ended = session(owner, owner.get_session_auth_hash())
    SessionStore(ended).delete()
    gone = records[READ]
    gone_session = session(gone, gone.get_session_auth_hash())
    type(gone).objects.filter(pk=gone.pk).update(is_active=False)
    return {
        "nobody": Client(headers={"host": "acme.localhost"}),
        "a session of another tenant's database": with_session("abcdefghijklmnopqrstuvwxyz012345"),
        "a session that another tenant's key vouches for": with_session(foreign),
        "a session that was ended": with_session(ended),
        "a session of somebody whose access was ended": with_session(gone_session),
        "nonsense": with_session("' OR 1=1 --"),
    }


@pytest.mark.promise("P5.2")
def test_nobody_else_gets_in_anywhere(records: dict[str, Any]) -> None:
    wrong = []
    for who, client in strangers(records).items():
        for name, methods in PAGES.items():
            if PUBLIC in methods:
                continue
            for method in ("get", "post"):
                found = outcomes(getattr(client, method)(address(name)))
                if found not in ("signed-out", "method"):
                    wrong.append(f"{method} {name} with {who}: {found}")
    assert wrong == []


@pytest.mark.promise("P5.2")
def test_another_host_is_answered_nothing(records: dict[str, Any], browser: Callable[[Any], Any]) -> None:
    client = browser(records[OWN])
    for host in ("other.localhost", "acme.localhost.evil.example", "", "acme.localhost:8080@evil.example"):
        assert client.get("/sites", headers={"host": host}).status_code == 400


@pytest.mark.promise("P8.1")
def test_no_form_is_taken_without_its_token(records: dict[str, Any], browser: Callable[..., Any]) -> None:
    client = browser(records[OWN], enforce_csrf_checks=True)
    for name, (_getting, posting) in PAGES.items():
        if posting is None:
            continue
        answer = client.post(address(name))
        assert answer.status_code == 403, name
        assert "This form could not be accepted" in answer.content.decode(), name
    # A sibling tenant is same-site: its origin is what gives it away.
    page = client.get("/account").content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token
    typed = {"csrfmiddlewaretoken": token[1], "name": "Anna"}
    for origin in ("http://other.localhost:8080", "null", "https://evil.example"):
        assert client.post("/account", typed, headers={"origin": origin}).status_code == 403
    assert client.post("/account", typed, headers={"origin": "http://acme.localhost:8080"}).status_code == 302


@pytest.mark.promise("P10.1")
@pytest.mark.promise("P11.1")
def test_every_page_is_strict_has_no_inline_script_and_asks_nobody_else(
    records: dict[str, Any], browser: Callable[[Any], Any]
) -> None:
    client = browser(records[OWN])
    seen = 0
    for name, (getting, _posting) in PAGES.items():
        if getting is None or name == "oauth-callback":
            continue
        answer = client.get(address(name))
        if answer.status_code != 200 or not answer.headers["Content-Type"].startswith("text/html"):
            continue
        seen += 1
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy, name
        assert "script-src 'self';" in policy or "script-src" not in policy, name
        assert "unsafe" not in policy, name
        assert answer.headers["Cache-Control"] == "no-store", name
        text = answer.content.decode()
        assert not re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text), name
        document = html.document_fromstring(text)
        for attribute in ("src", "srcset", "action", "formaction", "poster", "data"):
            for value in document.xpath(f"//@{attribute}"):
                assert not re.match(r"(?:https?:)?//", str(value)), (name, attribute, value)
        assert not document.xpath("//link[starts-with(@href, 'http')]"), name
        assert not document.xpath("//form[not(@method) or @method='get'][.//input[@type='password']]"), name
    assert seen >= 40


def test_words_of_strangers_stay_words_on_every_page(
    make: Any, person: Any, browser: Callable[[Any], Any]
) -> None:
    from guestpost_crm.outreach.models import CustomField

    hostile = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'{{7*7}}{%x%}"
    owner = person("owner", name=hostile)
    CustomField.objects.create(target="site", key="x", label=hostile[:60], kind="url")
    site = make.site("site.example", niche=hostile[:80], notes=hostile, custom={"x": "javascript:alert(1)"})
    contact = make.contact("bob@site.example", name=hostile, notes=hostile, sites=[site])
    order = make.order(site, contact=contact, anchor=hostile, notes=hostile, target_url="javascript:alert(1)")
    make.offer(owner, site, contact=contact, terms=hostile)
    make.placement(order=order, anchor=hostile, url="javascript:alert(1)")
    make.invoice(site, number=hostile[:80], orders=[order])
    make.thread(owner, (f'"{hostile}" <bob@site.example>'.replace("\\", ""), hostile))
    client = browser(owner)
    for name, (getting, _posting) in PAGES.items():
        if getting is None or name in ("message-body", "oauth-callback"):
            continue
        answer = client.get(address(name))
        if answer.status_code != 200 or not answer.headers["Content-Type"].startswith("text/html"):
            continue
        text = answer.content.decode()
        assert "<script>alert" not in text, name
        assert "<img src=x" not in text, name
        assert ">49<" not in text, name
        for link in html.document_fromstring(text).xpath("//@href | //@src | //@action"):
            assert not str(link).strip().lower().startswith("javascript:"), (name, link)
