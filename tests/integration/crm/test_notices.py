"""What the CRM writes to people by itself: to whom, in which words, over which wire, what it never says."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from smtp_server import PASSWORD, USER, MailServer, mail_server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., MailServer]]:
    """Starts a mail server and points the CRM at it."""
    from guestpost_crm import environment

    stack = ExitStack()

    def start(security: str = "starttls", *, password: bool = True, **settings: str) -> MailServer:
        running = stack.enter_context(mail_server(tmp_path, security, password=password))
        secret = tmp_path / "smtp-password"
        secret.write_text(PASSWORD)
        values = {
            "HOST": "localhost",
            "PORT": str(running.port),
            "SECURITY": security,
            "USER": USER if password else "",
            "PASSWORD_FILE": str(secret),
            "FROM": "GuestPostCRM <notices@guestpost.example>",
            "CA_FILE": str(running.ca_file),
            **settings,
        }
        for name, value in values.items():
            monkeypatch.setenv(f"SMTP_{name}", value)
        environment.current.cache_clear()
        return running

    yield start
    stack.close()
    monkeypatch.undo()
    environment.current.cache_clear()


@pytest.fixture
def with_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Sets variables of the CRM for one test."""
    from guestpost_crm import environment

    def act(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        environment.current.cache_clear()

    yield act
    monkeypatch.undo()
    environment.current.cache_clear()


def post() -> int:
    """Let the sync process send what is due."""
    from guestpost_crm.notices.postman import Postman

    postman, count = Postman(), 0
    while postman.step():
        count += 1
    return count


def text_of(message: Any) -> str:
    return str(message.get_content())


def test_an_invitation_is_written_to_whom_it_is_for(
    server: Callable[..., MailServer], owner: Any, browser: Callable[[Any], Any]
) -> None:
    mails = server()
    page = browser(owner)
    answer = page.post("/team/invitations", {"email": "Tom@acme.example", "role": "member"}, follow=True)
    assert "A mail tells them how." in answer.content.decode()
    assert "the mail is on its way" in answer.content.decode()
    assert post() == 1
    [message] = mails.received
    assert mails.signed_in == [USER]
    assert (message["To"], message["From"]) == (
        "tom@acme.example",
        "GuestPostCRM <notices@guestpost.example>",
    )
    assert message["Subject"] == "Anna Reyes invites you to acme"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@acme.localhost>")
    assert message.get_content_type() == "text/plain"
    assert "http://acme.localhost:8080/sign-in" in text_of(message)
    assert "told by mail" in page.get("/team").content.decode()
    assert post() == 0


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_the_wire_is_encrypted_and_the_servers_name_checked(
    server: Callable[..., MailServer], owner: Any, security: str, tmp_path: Path
) -> None:
    from guestpost_crm.accounts import team
    from guestpost_crm.notices.models import Notice

    mails = server(security, password=security == "starttls")
    team.invite(owner, "tom@acme.example", "member")
    assert post() == 1
    assert len(mails.received) == 1
    # A server that nobody vouches for gets nothing, neither mail nor password.
    stranger = server(security, password=security == "starttls", CA_FILE="")
    team.invite(owner, "eva@acme.example", "member")
    assert post() == 1
    assert (stranger.received, stranger.signed_in) == ([], [])
    assert Notice.objects.get(address="eva@acme.example").problem == "certificate"


def test_a_server_without_starttls_gets_no_password(server: Callable[..., MailServer], owner: Any) -> None:
    from guestpost_crm.accounts import team
    from guestpost_crm.notices.models import Notice

    plain = server("none", password=False, SECURITY="starttls", USER=USER)
    team.invite(owner, "tom@acme.example", "member")
    post()
    assert (plain.received, plain.signed_in) == ([], [])
    assert Notice.objects.get().problem == "no-tls"


def test_what_is_not_taken_is_tried_again_ever_more_rarely_and_given_up(
    server: Callable[..., MailServer], owner: Any, browser: Callable[[Any], Any]
) -> None:
    from django.utils import timezone
    from guestpost_crm.accounts import team
    from guestpost_crm.notices.models import Notice
    from guestpost_crm.notices.postman import WAITS

    mails = server()
    team.invite(owner, "tom@acme.example", "member")
    mails.data = "451 4.3.0 Try again later, tom@acme.example"
    before = timezone.now()
    assert post() == 1
    notice = Notice.objects.get()
    assert (notice.state, notice.problem, notice.attempts) == ("waiting", "smtp-451", 1)
    assert notice.next_at is not None
    assert notice.next_at - before >= WAITS[0]
    first = notice.pk
    mails.data = "250 OK"
    Notice.objects.update(next_at=timezone.now())
    assert post() == 1
    assert str(first) in mails.received[0]["Message-ID"]
    # An address that is not there stays so.
    mails.rcpt = "550 5.1.1 No such user"
    team.invite(owner, "eva@acme.example", "member")
    assert post() == 1
    assert Notice.objects.get(address="eva@acme.example").state == "failed"
    assert "the mail was refused: tell them yourself" in browser(owner).get("/team").content.decode()
    # After some days of silence it is given up.
    mails.rcpt = mails.data = "421 4.3.2 Not now"
    team.invite(owner, "max@acme.example", "member")
    for _ in range(len(WAITS) + 1):
        Notice.objects.filter(state="waiting").update(next_at=timezone.now())
        assert post() == 1
    assert Notice.objects.get(address="max@acme.example").state == "failed"


def test_a_wrong_password_and_a_silent_server_are_told_in_a_word(
    server: Callable[..., MailServer], owner: Any, tmp_path: Path
) -> None:
    from guestpost_crm.accounts import team
    from guestpost_crm.notices.models import Notice

    server()
    (tmp_path / "smtp-password").write_text("wrong")
    team.invite(owner, "tom@acme.example", "member")
    post()
    assert (Notice.objects.get().state, Notice.objects.get().problem) == ("waiting", "sign-in-refused")
    Notice.objects.all().delete()
    server(PORT="1")
    team.invite(owner, "tom@acme.example", "member")
    post()
    assert Notice.objects.get().problem == "no-answer"


def test_links_that_are_lost_together_are_one_mail_to_whom_they_concern(
    make: Any, server: Callable[..., MailServer], owner: Any, person: Callable[..., Any]
) -> None:
    from django.utils import timezone
    from guestpost_crm.notices.models import Notice
    from guestpost_crm.outreach.services import placements

    mails = server()
    tom, eva = person("member", "Tom"), person("member", "Eva")
    eva.mail_lost_links = False
    eva.save()

    def lose(assigned: Any, domain: str) -> None:
        site = make.site(domain)
        order = make.order(site, assigned=assigned, anchor="a secret anchor")
        placement = make.placement(
            order=order, was_live=True, misses=1, state="missing", url=f"https://{domain}/a-secret-page"
        )
        claimed = placements.claim(timezone.now() + dt.timedelta(minutes=1))
        assert claimed is not None
        assert claimed == placement
        placements.looked(claimed, placements.Look("missing", ("missing",), {}), timezone.now())

    lose(tom, "secret-one.example")
    lose(tom, "secret-two.example")
    lose(eva, "secret-three.example")
    lose(None, "secret-four.example")
    assert post() == 0  # a few minutes are waited for more
    Notice.objects.update(next_at=timezone.now())
    assert post() == 2
    told = {message["To"]: message for message in mails.received}
    assert set(told) == {tom.email, owner.email}
    assert told[tom.email]["Subject"] == "acme: 2 links are lost"
    assert told[owner.email]["Subject"] == "acme: A link is lost"
    for message in mails.received:
        assert "secret" not in str(message)
        assert "/placements" in text_of(message)


@pytest.mark.promise("P9.3")
def test_a_consent_that_is_gone_is_told_to_its_owner_without_naming_the_mailbox(
    make: Any, server: Callable[..., MailServer], owner: Any, person: Callable[..., Any]
) -> None:
    from guestpost_crm.gmail import consent
    from guestpost_crm.gmail.models import Mailbox

    mails = server()
    tom = person("manager", "Tom")
    make.thread(tom, ("Bob <bob@site.example>", "secret words"))
    consent.consent_gone(Mailbox.objects.get())
    assert post() == 2
    assert {message["To"] for message in mails.received} == {tom.email, owner.email}
    for message in mails.received:
        assert "/mailboxes" in text_of(message)
        for word in ("secret", "desk@acme.example", "site.example", "Bob"):
            assert word not in str(message)


def test_what_concerns_the_safety_of_an_account_is_told_to_its_owner_in_their_language(
    server: Callable[..., MailServer], owner: Any, person: Callable[..., Any]
) -> None:
    from guestpost_crm.accounts import secondfactor, team
    from guestpost_crm.audit.services import record

    mails = server()
    tom = person("member", "Tom")
    tom.language = "de"
    tom.save()
    team.change_role(owner, tom, "manager")
    for action in ("set-up", "removed", "locked", "recovery-code-used"):
        record(tom, f"second-factor.{action}", f"person:{tom.pk}")
    record(owner, "second-factor.reset", f"person:{tom.pk}")
    record(tom, "token.made", "token:1", scopes="outreach:read")
    record(owner, "export.downloaded", "export:x")
    record(None, "support.requested", "support:1")
    record(None, "webhook.stopped", "webhook:1")
    team.end_access(owner, tom)
    assert secondfactor.has(tom) is False
    count = post()
    assert count == len(mails.received)
    toms = [message for message in mails.received if message["To"] == tom.email]
    subjects = [str(message["Subject"]) for message in toms]
    assert len(subjects) == len(set(subjects)) == 9
    assert "acme: Deine Rolle wurde geändert" in subjects
    role = next(message for message in toms if "Rolle" in str(message["Subject"]))
    assert "Manager" in text_of(role)
    owners = {str(message["Subject"]) for message in mails.received if message["To"] == owner.email}
    assert owners == {
        "acme: everything was downloaded",
        "acme: support asks to look in",
        "acme: a webhook was stopped",
    }


def test_the_end_is_told_when_it_is_asked_for_and_before_it_comes(
    server: Callable[..., MailServer], owner: Any, with_environment: Callable[..., None]
) -> None:
    from django.utils import timezone
    from guestpost_crm.audit.services import record
    from guestpost_crm.notices.models import Kind, Notice
    from guestpost_crm.notices.queueing import erasure_clock

    mails = server()
    record(owner, "erasure.requested", "tenant", last_export=True)
    assert post() == 1
    now = timezone.now()
    after = (now + dt.timedelta(days=5)).replace(microsecond=0)
    with_environment(ERASE_AFTER=after.isoformat())
    for _ in range(3):  # each web that starts
        erasure_clock(now)
    [near] = Notice.objects.filter(kind=Kind.ERASURE_NEAR)  # less than a week is left
    assert near.next_at == after - dt.timedelta(days=1)
    assert post() == 0
    Notice.objects.filter(pk=near.pk).update(next_at=timezone.now())
    assert post() == 1
    assert "will be erased on" in mails.received[-1]["Subject"]
    # Another moment counts anew; what is taken back reminds nobody.
    later = (now + dt.timedelta(days=30)).replace(microsecond=0)
    with_environment(ERASE_AFTER=later.isoformat())
    erasure_clock(now)
    assert Notice.objects.filter(kind=Kind.ERASURE_NEAR, state="waiting").count() == 2
    record(owner, "erasure.taken-back", "tenant")
    assert not Notice.objects.filter(kind=Kind.ERASURE_NEAR, state="waiting").exists()
    assert post() == 1
    assert mails.received[-1]["Subject"] == "acme: the erasure was taken back"


def test_the_web_queues_the_reminders_when_it_starts(
    server: Callable[..., MailServer], owner: Any, with_environment: Callable[..., None]
) -> None:
    from django.db import connection
    from django.utils import timezone
    from guestpost_crm.notices.models import Kind, Notice
    from guestpost_crm.web.server import _remind_of_the_end

    server()
    after = (timezone.now() + dt.timedelta(days=30)).replace(microsecond=0)
    with_environment(ERASE_AFTER=after.isoformat())
    _remind_of_the_end()
    connection.ensure_connection()
    assert Notice.objects.filter(kind=Kind.ERASURE_NEAR, person=owner).count() == 2


def test_without_a_mail_server_nothing_is_written_and_pages_say_what_to_do(
    owner: Any, browser: Callable[[Any], Any]
) -> None:
    from guestpost_crm.notices.models import Notice

    page = browser(owner)
    answer = page.post("/team/invitations", {"email": "tom@acme.example", "role": "member"}, follow=True)
    assert "Send them the address of this CRM." in answer.content.decode()
    assert "mail_lost_links" not in page.get("/account").content.decode()
    assert not Notice.objects.exists()
    assert post() == 0


def test_who_does_not_want_them_turns_mails_of_lost_links_off(
    server: Callable[..., MailServer], owner: Any, browser: Callable[[Any], Any]
) -> None:
    server()
    page = browser(owner)
    assert 'name="mail_lost_links"' in page.get("/account").content.decode()
    page.post("/account", {"name": "Anna Reyes", "language": "", "time_zone": ""})
    owner.refresh_from_db()
    assert owner.mail_lost_links is False


def test_a_name_is_no_way_into_the_headers(server: Callable[..., MailServer], owner: Any) -> None:
    from guestpost_crm.accounts import team

    mails = server()
    owner.name = "Anna\r\nBcc: everybody@site.example\r\n\r\nText"
    owner.save()
    team.invite(owner, "tom@acme.example", "member")
    assert post() == 1
    [message] = mails.received
    assert message["Bcc"] is None
    assert "Anna Bcc: everybody@site.example Text invites you" in message["Subject"]


def test_two_processes_never_send_the_same_notice(server: Callable[..., MailServer], owner: Any) -> None:
    import threading

    from django.db import connection
    from guestpost_crm.accounts import team

    mails = server()
    for number in range(6):
        team.invite(owner, f"p{number}@acme.example", "member")

    def work() -> None:
        post()
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(message["To"] for message in mails.received) == [f"p{n}@acme.example" for n in range(6)]
