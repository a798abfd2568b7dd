"""The second factor: asked for after Google, each code once, and not to be tried out."""

from __future__ import annotations

import datetime as dt
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import pyotp
import pytest
from google_standin.testing import GoogleStandin
from google_standin.testing import consent as at_google

HOST = "acme.localhost"


@pytest.fixture(autouse=True)
def nothing_counted(clean: None) -> None:
    from django.core.cache import cache

    cache.clear()


@pytest.fixture
def email(google: GoogleStandin, owner: Any) -> str:
    """Somebody invited."""
    from guestpost_crm.accounts import team

    address = f"{uuid.uuid4().hex[:8]}@partner.example"
    google.control.account(address, "Paul Partner")
    team.invite(owner, address, "member")
    return address


def sign_in(email: str, client: Any = None) -> tuple[Any, Any]:
    """Sign in with Google; returns the browser and where it came to."""
    from django.test import Client

    client = client or Client(headers={"host": HOST})
    return client, client.get("/oauth/callback", at_google(client.post("/sign-in").url, email))


def set_up(client: Any) -> tuple[str, list[str]]:
    """Turn it on; returns the secret and the codes for its loss."""
    text = client.get("/account/second-factor").content.decode()
    [secret] = re.findall(r"<code class=\"secret\"[^>]*>(\w+)</code>", text)
    assert "data:image/svg+xml" in text
    answer = client.post("/account/second-factor", {"code": "000000"})
    assert (answer.status_code, secret in answer.content.decode()) == (422, True)
    text = client.post("/account/second-factor", {"code": pyotp.TOTP(secret).now()}).content.decode()
    codes = re.findall(r"<li><code>([0-9a-f]{6}-[0-9a-f]{6})</code></li>", text)
    assert len(codes) == 10
    return secret, codes


def code(secret: str, steps: int = 1) -> str:
    """The code of a later step: that of setting it up is used."""
    return pyotp.TOTP(secret).at(int(dt.datetime.now(dt.UTC).timestamp()) + 30 * steps)


@pytest.mark.promise("P8.1")
def test_google_alone_opens_nothing_once_it_is_on(email: str) -> None:
    client, _answer = sign_in(email)
    client.post("/policy")
    secret, _codes = set_up(client)
    fresh, answer = sign_in(email)
    assert answer.url == "/sign-in/second-factor"
    assert fresh.get("/").url.startswith("/sign-in")
    assert "Paul Partner" in fresh.get("/sign-in/second-factor").content.decode()
    answer = fresh.post("/sign-in/second-factor", {"code": "123456"})
    assert (answer.status_code, "This code is wrong" in answer.content.decode()) == (422, True)
    before = fresh.cookies["session"].value
    answer = fresh.post("/sign-in/second-factor", {"code": f" {code(secret)[:3]} {code(secret)[3:]} "})
    assert answer.url == "/"
    assert fresh.cookies["session"].value != before
    assert fresh.get("/").status_code == 200
    assert fresh.get("/sign-in/second-factor").url == "/sign-in"


@pytest.mark.promise("P8.1")
def test_a_code_holds_once_and_those_for_the_loss_too(email: str) -> None:
    from guestpost_crm.audit.models import AuditEvent

    client, _answer = sign_in(email)
    client.post("/policy")
    secret, codes = set_up(client)
    used = code(secret)
    second, _answer = sign_in(email)
    assert second.post("/sign-in/second-factor", {"code": used}).status_code == 302
    third, _answer = sign_in(email)
    assert third.post("/sign-in/second-factor", {"code": used}).status_code == 422
    assert third.post("/sign-in/second-factor", {"code": codes[0].upper()}).status_code == 302
    fourth, _answer = sign_in(email)
    assert fourth.post("/sign-in/second-factor", {"code": codes[0]}).status_code == 422
    assert "9 codes for the loss of your phone are left" in client.get("/account").content.decode()
    assert AuditEvent.objects.filter(action="second-factor.recovery-code-used").count() == 1


@pytest.mark.promise("P8.1")
def test_codes_are_not_to_be_tried_out(email: str) -> None:
    from guestpost_crm.accounts.models import Authenticator
    from guestpost_crm.audit.models import AuditEvent

    client, _answer = sign_in(email)
    client.post("/policy")
    secret, codes = set_up(client)
    for _ in range(5):
        assert client.post("/account/second-factor/remove", {"code": "000000"}).status_code == 302
    fresh, _answer = sign_in(email)
    for right in (code(secret), codes[0]):
        answer = fresh.post("/sign-in/second-factor", {"code": right})
        assert "Too many wrong codes" in answer.content.decode()
    assert AuditEvent.objects.filter(action="second-factor.locked").count() == 1
    Authenticator.objects.update(locked_until=dt.datetime.now(dt.UTC))
    assert fresh.post("/sign-in/second-factor", {"code": code(secret)}).status_code == 302


def test_a_sign_in_that_waits_too_long_begins_again(email: str) -> None:
    from guestpost_crm.accounts import factors

    client, _answer = sign_in(email)
    client.post("/policy")
    secret, _codes = set_up(client)
    fresh, _answer = sign_in(email)
    session = fresh.session
    pending = session[factors.PENDING]
    pending["at"] = (dt.datetime.now(dt.UTC) - dt.timedelta(minutes=11)).isoformat()
    session[factors.PENDING] = pending
    session.save()
    assert fresh.post("/sign-in/second-factor", {"code": code(secret)}).url == "/sign-in"


def test_it_is_removed_by_a_code_and_reset_by_whoever_may(
    email: str, owner: Any, browser: Callable[[Any], Any], person: Callable[..., Any]
) -> None:
    from guestpost_crm.accounts import secondfactor
    from guestpost_crm.accounts.models import Person

    client, _answer = sign_in(email)
    client.post("/policy")
    secret, _codes = set_up(client)
    member = Person.objects.get(email=email)
    client.post("/account/second-factor/remove", {"code": code(secret)})
    assert not secondfactor.has(member)
    secret, _codes = set_up(client)
    browser(person("member")).post(f"/team/{member.pk}/second-factor/reset")
    browser(member).post(f"/team/{member.pk}/second-factor/reset")
    assert secondfactor.has(member)
    assert "Reset" in browser(owner).get("/team").content.decode()
    browser(owner).post(f"/team/{member.pk}/second-factor/reset")
    assert not secondfactor.has(member)
    assert client.get("/account").url.startswith("/sign-in")
    assert sign_in(email)[1].url == "/"


@pytest.mark.promise("P8.1")
def test_the_secret_is_stored_sealed(email: str) -> None:
    from django.db import connection

    client, _answer = sign_in(email)
    client.post("/policy")
    secret, codes = set_up(client)
    with connection.cursor() as cursor:
        cursor.execute("SELECT encode(secret, 'escape') FROM authenticator")
        assert secret not in cursor.fetchone()[0]
        cursor.execute("SELECT digest FROM recovery_code")
        assert not {row[0] for row in cursor.fetchall()} & set(codes)


@pytest.mark.promise("P8.1")
def test_signing_in_is_not_to_be_tried_without_end(crm: None) -> None:
    from django.test import Client

    client = Client(headers={"host": HOST, "x-forwarded-for": "203.0.113.9, 198.51.100.7"})
    answers = [client.get("/oauth/callback", {"state": "x", "code": "y"}).status_code for _ in range(31)]
    assert answers == [400] * 30 + [429]
    answer = client.get("/oauth/callback", {"state": "x", "code": "y"})
    assert answer.headers["Retry-After"] == "60"
    assert "Wait a minute" in answer.content.decode()
    # What the browser claims to come from changes nothing, another address does.
    claimed = {"x-forwarded-for": "192.0.2.1, 198.51.100.7"}
    assert client.get("/oauth/callback", headers=claimed).status_code == 429
    assert client.get("/oauth/callback", headers={"x-forwarded-for": "198.51.100.8"}).status_code == 400
    assert client.get("/sign-in").status_code == 200


@pytest.mark.promise("P8.1")
def test_beginning_to_sign_in_is_refused_beyond_the_limit_for_a_minute(
    crm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.test import Client
    from guestpost_crm.gmail.broker import Broker

    asked = []
    begin = Broker.begin
    monkeypatch.setattr(Broker, "begin", lambda *given: asked.append(given) or begin(*given))
    client = Client(headers={"host": HOST, "x-forwarded-for": "203.0.113.9, 198.51.100.7"})
    answers = [client.post("/sign-in").status_code for _ in range(21)]
    assert answers == [302] * 20 + [429]
    answer = client.post("/sign-in")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
    assert "Too many attempts" in answer.content.decode()
    assert "Wait a minute, then try again." in answer.content.decode()
    german = client.post("/sign-in", headers={"accept-language": "de"}).content.decode()
    assert "Warte eine Minute" in german
    # What is refused reaches neither the broker nor Google; others get in, and the page can still be read.
    assert len(asked) == 20
    assert client.post("/sign-in", headers={"x-forwarded-for": "198.51.100.8"}).status_code == 302
    claimed = {"x-forwarded-for": "192.0.2.1, 198.51.100.7"}
    assert client.post("/sign-in", headers=claimed).status_code == 429
    assert client.get("/sign-in").status_code == 200
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    assert client.post("/sign-in").status_code == 302


def test_language_and_time_zone_are_a_persons_own(owner: Any, browser: Callable[[Any], Any]) -> None:
    from guestpost_crm.accounts.models import Person

    page = browser(owner)
    answer = page.post("/account", {"name": "Anna", "language": "", "time_zone": "Europe/Berlin"})
    assert answer.status_code == 302
    Person.objects.update(created_at=dt.datetime(2026, 1, 31, 23, 30, tzinfo=dt.UTC))
    assert "1 Feb 2026" in page.get("/account").content.decode()
    answer = page.post("/account", {"name": "Anna", "language": "xx", "time_zone": "Mars/Base"})
    assert answer.status_code == 422
