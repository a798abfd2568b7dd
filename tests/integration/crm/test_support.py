"""Support access: asked for in Kubernetes, decided by the customer in the CRM, recorded, and ended."""

from __future__ import annotations

import base64
import datetime as dt
import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google_standin.testing import consent as at_google
from tenant_plane import NAMESPACE, TenantPlane, until

STAFF = "sam@support.example"
KEY = Ed25519PrivateKey.from_private_bytes(b"a" * 32)


@pytest.fixture
def desk(
    in_cluster: Path, plane: TenantPlane, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> TenantPlane:
    """The service's side: SupportGrants, and a web that can sign."""
    from guestpost_crm import environment
    from guestpost_crm.support import access

    path = tmp_path / "approval-key"
    path.write_text(base64.b64encode(KEY.private_bytes_raw()).decode())
    monkeypatch.setenv("APPROVAL_KEY_FILE", str(path))
    environment.current.cache_clear()
    # Pages look for requests beside themselves; here each test says when.
    access._looked[0] = time.monotonic() + 3600
    return plane


def ask(desk: TenantPlane, name: str = "ticket-1", level: str = "Shell", seconds: int = 3600) -> Any:
    """Somebody of the service asks; the customer's page takes note."""
    from guestpost_crm.support import access
    from guestpost_crm.support.models import SupportAccess

    spec = {
        "subject": STAFF,
        "reason": "Ticket 4711: no new mail.",
        "level": level,
        "durationSeconds": seconds,
    }
    body = {
        "apiVersion": "guestpostcrm.com/v1alpha1",
        "kind": "SupportGrant",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }
    desk.act("create", "-f", "-", stdin=json.dumps(body))
    access.refresh()
    return SupportAccess.objects.filter(name=name).latest("pk")


def told(desk: TenantPlane, name: str = "ticket-1") -> dict[str, Any]:
    """What the API server knows of the decision."""
    body = json.loads(desk.act("get", "gps", name, "-n", NAMESPACE, "-o", "json"))
    status: dict[str, Any] = body.get("status", {})
    return status


def browser(person: Any = None) -> Any:
    from django.test import Client

    # Each from an address of its own, for tries are counted by address.
    client = Client(headers={"host": "acme.localhost", "x-forwarded-for": f"test-{uuid.uuid4().hex}"})
    if person is not None:
        client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def sign_in(google: Any, email: str = STAFF) -> tuple[Any, Any]:
    """Through Google's pages; returns the browser and the answer at the end."""
    google.control.account(email, "Sam Support")
    client = browser()
    address = client.post("/sign-in").url
    return client, client.get("/oauth/callback", at_google(address, email))


def member(role: str) -> Any:
    from guestpost_crm.accounts.models import Person
    from guestpost_crm.privacy import policy

    person = Person.objects.create(sub=role, email=f"{role}@acme.example", name=role.title(), role=role)
    policy.accept(person)
    return person


def decide(page: Any, asked: Any, **form: Any) -> str:
    answer = page.post(f"/support/{asked.pk}/decide", {"answer": "approve", **form}, follow=True)
    return str(answer.content.decode())


def approved(page: Any, asked: Any, level: str = "Browse", seconds: int = 900) -> None:
    assert "They may look in now" in decide(page, asked, level=level, seconds=seconds)


@pytest.mark.promise("P6.1")
def test_the_owner_gives_less_than_is_asked_for(desk: TenantPlane, page: Any) -> None:
    from guestpost_crm.support import signing

    asked = ask(desk)
    shown = page.get("/support").content.decode()
    assert "Ticket 4711: no new mail." in shown
    assert STAFF in shown
    assert "Support asks to look in." in page.get("/").content.decode()
    approved(page, asked, "Browse", 900)
    approval = told(desk)["approval"]
    assert (approval["decision"], approval["level"]) == ("Approved", "Browse")
    begins, ends = (dt.datetime.fromisoformat(approval[name]) for name in ("decidedAt", "expiresAt"))
    assert ends - begins == dt.timedelta(seconds=900)
    statement = signing.statement("uid-of-acme", asked.grant, "Browse", approval["expiresAt"])
    KEY.public_key().verify(base64.b64decode(approval["signature"]), statement)
    asked.refresh_from_db()
    assert asked.told


@pytest.mark.promise("P6.1")
@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"level": "Shell", "seconds": 900}, "more than was asked for"),
        ({"level": "Browse", "seconds": 3601}, "longer than was asked for"),
        ({"level": "Browse", "seconds": 299}, "longer than was asked for"),
        ({"level": "Browse", "seconds": "x"}, "longer than was asked for"),
        ({"level": "", "seconds": 900}, "more than was asked for"),
    ],
)
def test_nobody_gets_more_than_was_asked_for(desk: TenantPlane, page: Any, form: Any, says: str) -> None:
    asked = ask(desk, level="Browse")
    assert says in decide(page, asked, **form)
    assert "approval" not in told(desk)


@pytest.mark.promise("P6.1")
def test_only_the_owner_decides_and_others_are_told(desk: TenantPlane, page: Any) -> None:
    from guestpost_crm.support.models import SupportAccess

    asked = ask(desk)
    manager, reader = browser(member("manager")), browser(member("reader"))
    assert "The owner decides about it." in manager.get("/support").content.decode()
    assert "Only the owner decides" in decide(manager, asked, level="Browse", seconds=900)
    assert reader.get("/support").status_code == 403
    assert reader.post(f"/support/{asked.pk}/decide", {"answer": "approve"}).status_code == 403
    assert SupportAccess.objects.get().decision == ""
    approved(page, asked)
    assert "Support looks in: sam@support.example" in reader.get("/").content.decode()
    assert reader.post(f"/support/{asked.pk}/end").status_code == 403
    answer = manager.post(f"/support/{asked.pk}/end", follow=True)
    assert "It is ended." in answer.content.decode()
    assert told(desk)["revokedAt"]


def test_a_no_is_told(desk: TenantPlane, page: Any) -> None:
    asked = ask(desk)
    answer = page.post(f"/support/{asked.pk}/decide", {"answer": "deny"}, follow=True)
    assert "Nobody is let in." in answer.content.decode()
    assert told(desk)["approval"]["decision"] == "Denied"
    assert "This request is not open any more." in decide(page, asked, level="Browse", seconds=900)


@pytest.mark.promise("P6.1")
def test_a_guest_looks_is_recorded_and_changes_nothing(desk: TenantPlane, page: Any, google: Any) -> None:
    from guestpost_crm.audit.models import AuditEvent

    asked = ask(desk)
    approved(page, asked)
    guest, answer = sign_in(google)
    assert answer.url == "/"
    seen = guest.get("/")
    assert seen.status_code == 200
    assert "You look at acme as support" in seen.content.decode()
    assert guest.get("/sites?q=travel").status_code == 200
    for address in ("/data", "/support", f"/support/{asked.pk}"):
        assert guest.get(address).status_code == 403, address
    for address in ("/mailboxes/connect", "/team/invitations", f"/support/{asked.pk}/end", "/account"):
        refused = guest.post(address)
        assert refused.status_code == 403, address
        assert "change nothing" in refused.content.decode()
    events = AuditEvent.objects.filter(action="support.saw").values_list("subject", flat=True)
    assert set(events) >= {"/", "/sites?q=travel", "/data"}
    shown = page.get(f"/support/{asked.pk}").content.decode()
    assert "/sites?q=travel" in shown
    assert "Sam Support" in shown
    assert "support.saw" in page.get("/audit").content.decode()
    assert "Sam Support" not in page.get("/team").content.decode()


@pytest.mark.promise("P6.1")
def test_every_page_is_shown_or_refused_to_a_guest(desk: TenantPlane, page: Any, google: Any) -> None:
    """Whatever a page wants to write when it is opened: no guest makes it, and none breaks."""
    from guestpost_crm.urls import pages

    approved(page, ask(desk))
    guest, _ = sign_in(google)
    plain = [each.pattern._route for each in pages if "<" not in each.pattern._route]
    assert len(plain) > 15
    for route in plain:
        if route in ("sign-in", "oauth/callback", "sign-out"):
            continue
        assert guest.get(f"/{route}").status_code in (200, 302, 403, 404, 405, 422), route
    assert guest.get("/").status_code == 200


@pytest.mark.promise("P6.1")
def test_a_guest_writes_nothing_not_even_by_a_page_that_does(desk: TenantPlane, owner: Any) -> None:
    from django.core.exceptions import PermissionDenied
    from django.db import connection
    from guestpost_crm.accounts.models import Person
    from guestpost_crm.audit.services import record
    from guestpost_crm.support.guests import _refuse_writes

    with connection.execute_wrapper(_refuse_writes):
        assert Person.objects.filter(pk=owner.pk).exists()
        record(owner, "support.saw", "/")
        with pytest.raises(PermissionDenied):
            Person.objects.filter(pk=owner.pk).update(name="Eve")
        with pytest.raises(PermissionDenied):
            Person.objects.create(sub="eve", email="eve@acme.example")


@pytest.mark.promise("P6.1")
def test_ending_it_ends_the_session_at_once(desk: TenantPlane, page: Any, google: Any) -> None:
    asked = ask(desk)
    approved(page, asked)
    guest, _ = sign_in(google)
    assert guest.get("/").status_code == 200
    page.post(f"/support/{asked.pk}/end")
    assert guest.get("/").url.startswith("/sign-in")
    _, answer = sign_in(google)
    assert answer.status_code == 403
    assert "no approved support access" in answer.content.decode()
    assert told(desk)["revokedAt"]


@pytest.mark.promise("P6.1")
def test_time_ends_it_without_anybody(desk: TenantPlane, page: Any, google: Any) -> None:
    from django.utils import timezone
    from guestpost_crm.support.models import SupportAccess

    approved(page, ask(desk))
    guest, _ = sign_in(google)
    assert guest.get("/").status_code == 200
    SupportAccess.objects.update(expires_at=timezone.now())
    ended = guest.get("/")
    assert ended.status_code == 403
    assert "Your support access has ended" in ended.content.decode()
    assert guest.get("/").url.startswith("/sign-in")
    assert "Ended by itself" in page.get("/support").content.decode()


@pytest.mark.promise("P5.2")
def test_nobody_of_the_service_signs_in_without_an_approval(
    desk: TenantPlane, google: Any, page: Any
) -> None:
    ask(desk)
    _, answer = sign_in(google)
    assert answer.status_code == 403
    assert "no member of this CRM" in answer.content.decode()
    # Nor does another person of it by somebody else's approval.
    approved(page, ask(desk, "ticket-2"))
    _, answer = sign_in(google, "eve@support.example")
    assert answer.status_code == 403


def test_what_is_withdrawn_lets_nobody_in(desk: TenantPlane, page: Any, google: Any) -> None:
    asked = ask(desk)
    approved(page, asked)
    guest, _ = sign_in(google)
    desk.act("delete", "gps", "ticket-1", "-n", NAMESPACE)
    assert "Withdrawn" in page.get("/support").content.decode()
    assert guest.get("/").status_code == 403
    # Another one under its name is another request.
    again = ask(desk)
    assert (again.pk != asked.pk, again.state) == (True, "waiting")


def test_a_decision_counts_while_the_api_server_is_away_and_is_told_later(
    desk: TenantPlane, page: Any, google: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guestpost_crm import environment
    from guestpost_crm.support import access

    asked = ask(desk)
    with monkeypatch.context() as away:
        away.setenv("KUBERNETES_API_URL", "https://127.0.0.1:1")
        environment.current.cache_clear()
        approved(page, asked)
        assert "control plane does not answer" in page.get("/support").content.decode()
        guest, _ = sign_in(google)
        assert guest.get("/").status_code == 200
        page.post(f"/support/{asked.pk}/end")
        assert guest.get("/").url.startswith("/sign-in")
    environment.current.cache_clear()
    assert told(desk) == {}
    access.refresh()
    assert told(desk)["approval"]["decision"] == "Approved"
    assert told(desk)["revokedAt"]


def test_a_decision_about_a_request_that_is_gone_lets_nobody_in(desk: TenantPlane, page: Any) -> None:
    from guestpost_crm.support.models import SupportAccess

    asked = ask(desk)
    desk.act("delete", "gps", "ticket-1", "-n", NAMESPACE)
    decide(page, asked, level="Browse", seconds=900)
    assert SupportAccess.objects.get().state == "withdrawn"
    assert not SupportAccess.objects.active().exists()


@pytest.mark.promise("P6.1")
def test_what_came_with_an_archive_lets_nobody_in(desk: TenantPlane, page: Any) -> None:
    from guestpost_crm.support.models import SupportAccess

    approved(page, ask(desk))
    assert SupportAccess.objects.active().exists()
    SupportAccess.objects.update(tenant="another")
    assert not SupportAccess.objects.active().exists()
    assert SupportAccess.objects.get().state == "expired"


def test_requests_are_noticed_beside_a_page(desk: TenantPlane, page: Any) -> None:
    from guestpost_crm.support import access
    from guestpost_crm.support.models import SupportAccess

    ask(desk)
    SupportAccess.objects.all().delete()
    access._looked[0] = float("-inf")
    page.get("/")
    until(lambda: SupportAccess.objects.waiting().exists(), "the request")
    until(lambda: not access._looking.locked(), "the end of the look")
    assert "Support asks to look in." in page.get("/").content.decode()


def test_a_guest_who_is_invited_becomes_a_member(desk: TenantPlane, page: Any, google: Any) -> None:
    asked = ask(desk)
    approved(page, asked)
    sign_in(google)
    page.post(f"/support/{asked.pk}/end")
    page.post("/team/invitations", {"email": STAFF, "role": "member"})
    invited, answer = sign_in(google)
    assert answer.status_code == 302
    assert "You look at" not in invited.get("/", follow=True).content.decode()
