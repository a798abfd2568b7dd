"""Who gets in, as what, and out again."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from google_standin.testing import GoogleStandin
from google_standin.testing import consent as at_google

HOST = "acme.localhost"
BACKEND = "django.contrib.auth.backends.ModelBackend"
ROLES = ("owner", "manager", "member", "reader")


@pytest.fixture
def member(crm: None) -> Callable[[str], Any]:
    """Makes people of a role who have accepted the policy."""
    from guestpost_crm.accounts.models import Person
    from guestpost_crm.privacy import policy

    def make(role: str) -> Any:
        name = f"{role}-{uuid.uuid4().hex[:6]}"
        person = Person.objects.create(sub=name, email=f"{name}@acme.example", name=name, role=role)
        policy.accept(person)
        return person

    return make


@pytest.fixture
def browser(crm: None) -> Callable[[Any], Any]:
    """A person's browser, signed in."""
    from django.test import Client

    def make(person: Any) -> Any:
        client = Client(headers={"host": HOST})
        client.force_login(person, backend=BACKEND)
        return client

    return make


def sign_in(google: GoogleStandin, email: str) -> Any:
    """Sign in with Google, in a fresh browser; returns it and where it came to."""
    from django.test import Client

    client = Client(headers={"host": HOST, "user-agent": "Firefox of the test"})
    return client, client.get("/oauth/callback", at_google(client.post("/sign-in").url, email))


@pytest.mark.promise("P5.2")
def test_an_invited_person_gets_in_once_and_as_what_they_were_invited(
    google: GoogleStandin, owner: Any, browser: Callable[[Any], Any]
) -> None:
    from guestpost_crm.accounts.models import Invitation, Person

    email = f"{uuid.uuid4().hex[:8]}@partner.example"
    google.control.account(email, "Paul Partner")
    assert sign_in(google, email)[1].status_code == 403
    answer = browser(owner).post("/team/invitations", {"email": email.upper(), "role": "member"}, follow=True)
    assert f"{email} may sign in here with Google until" in answer.content.decode()
    assert sign_in(google, email)[1].url == "/"
    person = Person.objects.get(email=email)
    assert (person.role, person.name) == ("member", "Paul Partner")
    assert not Invitation.objects.exists()


@pytest.mark.promise("P5.2")
def test_an_invitation_that_is_old_withdrawn_or_for_another_address_opens_nothing(
    google: GoogleStandin, owner: Any
) -> None:
    from django.utils import timezone
    from guestpost_crm.accounts import team
    from guestpost_crm.accounts.models import Invitation, Person

    email = f"{uuid.uuid4().hex[:8]}@partner.example"
    google.control.account(email, "Paul Partner")
    invitation = team.invite(owner, email, "reader")
    Invitation.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    assert sign_in(google, email)[1].status_code == 403
    team.invite(owner, email, "reader")
    team.withdraw(owner, invitation)
    assert sign_in(google, email)[1].status_code == 403
    team.invite(owner, f"x{email}", "reader")
    assert sign_in(google, email)[1].status_code == 403
    assert list(Person.objects.all()) == [owner]


@pytest.mark.promise("P5.2")
def test_ended_access_ends_at_once_everywhere(google: GoogleStandin, owner: Any) -> None:
    from guestpost_crm.accounts import team
    from guestpost_crm.accounts.models import Person, SignIn

    email = f"{uuid.uuid4().hex[:8]}@partner.example"
    google.control.account(email, "Paul Partner")
    team.invite(owner, email, "member")
    client, _ = sign_in(google, email)
    client.post("/policy")
    assert client.get("/").status_code == 200
    member = Person.objects.get(email=email)
    team.end_access(owner, member)
    assert client.get("/").url.startswith("/sign-in")
    assert not SignIn.objects.filter(person=member).exists()
    answer = sign_in(google, email)[1]
    assert answer.status_code == 403
    assert b"Your access to this CRM has been ended" in answer.content
    team.invite(owner, email, "reader")
    assert sign_in(google, email)[1].status_code == 302
    member.refresh_from_db()
    assert member.role == "reader"


@pytest.mark.parametrize("actor", ROLES)
@pytest.mark.parametrize("target", ROLES[1:])
@pytest.mark.parametrize("role", [*ROLES, "none"])
def test_nobody_raises_anybody_above_what_they_may_give(
    member: Callable[[str], Any], browser: Callable[[Any], Any], actor: str, target: str, role: str
) -> None:
    from guestpost_crm.accounts.models import Person

    given = {"owner": set(ROLES[1:]), "manager": {"member", "reader"}}.get(actor, set())
    who, whom = member(actor), member(target)
    browser(who).post(f"/team/{whom.pk}", {"role": role})
    after = Person.objects.get(pk=whom.pk)
    if target in given and role in given:
        assert (after.role, after.is_active) == (role, True)
    elif target in given and role == "none":
        assert not after.is_active
    else:
        assert (after.role, after.is_active) == (target, True)


@pytest.mark.parametrize("actor", ROLES)
def test_nobody_changes_themselves_or_the_owner(
    member: Callable[[str], Any], browser: Callable[[Any], Any], actor: str
) -> None:
    from guestpost_crm.accounts.models import Person

    who = member(actor)
    owner = who if actor == "owner" else member("owner")
    for whom in (who, owner):
        for role in ("reader", "manager", "none"):
            browser(who).post(f"/team/{whom.pk}", {"role": role})
    assert Person.objects.get(pk=who.pk).role == actor
    assert Person.objects.get(pk=owner.pk).role == "owner"
    assert Person.objects.filter(is_active=False).count() == 0


@pytest.mark.parametrize("actor", ROLES)
@pytest.mark.parametrize("role", ROLES)
def test_who_may_invite_whom(
    member: Callable[[str], Any], browser: Callable[[Any], Any], actor: str, role: str
) -> None:
    from guestpost_crm.accounts.models import Invitation

    given = {"owner": set(ROLES[1:]), "manager": {"member", "reader"}}.get(actor, set())
    answer = browser(member(actor)).post("/team/invitations", {"email": "x@partner.example", "role": role})
    assert Invitation.objects.exists() == (role in given)
    assert answer.status_code == (302 if role in given else 422)


@pytest.mark.promise("P3.1")
def test_people_see_and_correct_what_is_known_of_them(
    member: Callable[[str], Any], browser: Callable[[Any], Any]
) -> None:
    person = member("reader")
    page = browser(person)
    text = page.get("/account").content.decode()
    for shown in (person.name, person.email, "Read-only"):
        assert shown in text
    assert page.post("/account", {"name": " Rita Röd <b> "}).status_code == 302
    person.refresh_from_db()
    assert person.name == "Rita Röd <b>"
    assert "Rita Röd &lt;b&gt;" in page.get("/account").content.decode()
    assert page.post("/account", {"name": ""}).status_code == 422


@pytest.mark.promise("P5.2")
def test_sessions_are_listed_and_ended(google: GoogleStandin, owner: Any) -> None:
    from guestpost_crm.accounts import team
    from guestpost_crm.privacy import policy

    email = f"{uuid.uuid4().hex[:8]}@partner.example"
    google.control.account(email, "Paul Partner")
    team.invite(owner, email, "member")
    first, _ = sign_in(google, email)
    first.post("/policy")
    second, _ = sign_in(google, email)
    third, _ = sign_in(google, email)
    assert policy.CURRENT
    text = first.get("/account").content.decode()
    assert text.count("Firefox of the test") == 3
    key = re.findall(r"/account/sessions/(\d+)/end", text)[0]
    first.post(f"/account/sessions/{key}/end")
    ended = [client.get("/").status_code == 302 for client in (first, second, third)]
    assert sorted(ended) == [False, False, True]
    first.post("/account/sessions/end")
    assert [client.get("/").status_code for client in (first, second, third)] == [200, 302, 302]


@pytest.mark.promise("P5.2")
def test_a_session_that_nobody_uses_ends(google: GoogleStandin, owner: Any) -> None:
    from django.utils import timezone
    from guestpost_crm.accounts import sessions, team

    email = f"{uuid.uuid4().hex[:8]}@partner.example"
    google.control.account(email, "Paul Partner")
    team.invite(owner, email, "member")
    client, _ = sign_in(google, email)
    client.post("/policy")

    def unused_for(**time: float) -> None:
        session = client.session
        session[sessions.SEEN] = (timezone.now() - dt.timedelta(**time)).isoformat()
        session.save()

    unused_for(minutes=119)
    assert client.get("/new-mail", headers={"X-Background": "1"}).status_code == 200
    assert client.get("/").status_code == 200
    unused_for(minutes=119)
    client.get("/new-mail", headers={"X-Background": "1"})
    session = client.session
    assert timezone.now() - dt.datetime.fromisoformat(session[sessions.SEEN]) > dt.timedelta(minutes=118)
    unused_for(minutes=121)
    assert client.get("/").url.startswith("/sign-in")
