"""The API: the same rules as the pages, for programs with tokens, as its description says."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

JSON = "application/json"


def send(client: Any, method: str, path: str, **values: Any) -> Any:
    return getattr(client, method)(f"/api/v1{path}", values, content_type=JSON)


def test_sites_are_added_read_changed_and_listed(program: Callable[..., Any]) -> None:
    from guestpost_crm.audit.models import AuditEvent

    client = program()
    answer = send(
        client, "post", "/sites", domain="https://www.Site.example/", dr=40, price="120.50", currency="EUR"
    )
    assert answer.status_code == 201, answer.content
    site = answer.json()
    assert (site["domain"], site["dr"], site["price"], site["currency"]) == (
        "site.example",
        40,
        "120.50",
        "EUR",
    )
    changed = send(
        client, "patch", f"/sites/{site['id']}", niche="Travel", do_not_contact=True, dr=None
    ).json()
    assert (changed["niche"], changed["price"], changed["dr"]) == ("Travel", "120.50", None)
    assert changed["do_not_contact"] is True
    assert send(client, "patch", f"/sites/{site['id']}", notes="x").json()["do_not_contact"] is True
    assert (
        send(client, "patch", f"/sites/{site['id']}", do_not_contact=False).json()["do_not_contact"] is False
    )
    assert client.get(f"/api/v1/sites/{site['id']}").json()["notes"] == "x"
    assert AuditEvent.objects.filter(action="site.changed").count() == 3


def test_lists_come_in_pages_by_key(make: Any, program: Callable[..., Any]) -> None:
    for number in range(5):
        make.site(f"s{number}.example")
    client = program()
    seen, after = [], 0
    while True:
        page = client.get(f"/api/v1/sites?limit=2&after={after}").json()
        seen += [each["domain"] for each in page["items"]]
        if page["next"] is None:
            break
        after = page["next"]
    assert seen == [f"s{number}.example" for number in range(5)]
    assert client.get("/api/v1/sites?limit=0").status_code == 422
    assert client.get("/api/v1/sites?limit=101").status_code == 422
    later = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)
    assert client.get("/api/v1/sites", {"updated_since": later.isoformat()}).json()["items"] == []


def test_what_the_pages_refuse_the_api_refuses_by_field(make: Any, program: Callable[..., Any]) -> None:
    from guestpost_crm.outreach.models import Order, Site

    client, site = program(), make.site("site.example")
    for values, field in (
        ({"domain": "no domain"}, "domain"),
        ({"domain": "site.example"}, "domain"),
        ({}, "domain"),
        ({"domain": "x.example", "dr": 101}, "dr"),
        ({"domain": "x.example", "price": "-1"}, "price"),
        ({"domain": "x.example", "currency": "XXX"}, "currency"),
        ({"domain": "x.example", "custom": {"no_such": "1"}}, "custom.no_such"),
    ):
        answer = send(client, "post", "/sites", **values)
        assert answer.status_code == 422, values
        assert list(answer.json()["errors"]) == [field], values
    answer = send(client, "post", "/orders", site="site.example", stage="published", price="5")
    assert answer.json()["errors"] == {"stage": ["Write down where it was published first."]}
    assert (Site.objects.get(), Order.objects.count()) == (site, 0)
    answer = client.post("/api/v1/sites", b"{broken", content_type=JSON)
    assert answer.status_code in (400, 422)


def test_contacts_orders_and_offers(make: Any, program: Callable[..., Any]) -> None:
    from guestpost_crm.outreach.models import CustomField

    CustomField.objects.create(target="order", key="client", label="Client")
    client = program()
    contact = send(
        client, "post", "/contacts", name="Bob", addresses=["Bob@site.example"], sites=["site.example"]
    ).json()
    assert (contact["addresses"], contact["sites"]) == (["bob@site.example"], ["site.example"])
    answer = send(client, "post", "/contacts", name="Other", addresses=["bob@site.example"])
    assert "belongs to Bob" in answer.json()["errors"]["addresses"][0]
    kept = send(client, "patch", f"/contacts/{contact['id']}", notes="kept").json()
    assert (kept["addresses"], kept["sites"], kept["notes"]) == (
        ["bob@site.example"],
        ["site.example"],
        "kept",
    )
    offer = send(
        client, "post", "/offers", site="site.example", contact="bob@site.example", direction="theirs",
        price="120", currency="USD",
    ).json()  # fmt: skip
    assert (offer["state"], offer["contact_id"]) == ("open", contact["id"])
    order = send(
        client, "post", "/orders", site="site.example", contact="bob@site.example", price="120",
        currency="EUR", custom={"client": "A & B"},
    ).json()  # fmt: skip
    assert (order["stage"], order["custom"]) == ("prospect", {"client": "A & B"})
    moved = send(client, "patch", f"/orders/{order['id']}", stage="agreed").json()
    assert (moved["stage"], moved["price"], moved["currency"]) == ("agreed", "120.00", "EUR")
    assert (moved["contact_id"], moved["custom"]) == (contact["id"], {"client": "A & B"})
    assert [each["id"] for each in client.get("/api/v1/orders?stage=agreed").json()["items"]] == [order["id"]]
    assert client.get("/api/v1/orders?stage=nonsense").status_code == 422


def test_what_is_read_only(make: Any, program: Callable[..., Any], person: Callable[..., Any]) -> None:
    site = make.site("site.example")
    make.placement(site=site)
    make.invoice(site)
    make.thread(person("member"), ("Bob <bob@site.example>", "A secret text"))
    client = program()
    assert client.get("/api/v1/placements").json()["items"][0]["state"] == "unchecked"
    assert client.get("/api/v1/invoices/1").json()["paid"] == "0"
    threads = client.get("/api/v1/threads")
    assert threads.json()["items"][0]["subject"] == "Guest post"
    assert b"secret" not in threads.content
    for path in ("/placements", "/invoices", "/threads"):
        assert send(client, "post", path).status_code == 405


@pytest.mark.promise("P5.2")
def test_a_token_opens_what_its_scopes_say_and_nothing_else(make: Any, program: Callable[..., Any]) -> None:
    make.site("site.example")
    reading, writing, mail = program("outreach:read"), program("outreach:write"), program("mail:read")
    allowed = {
        ("get", "/sites"): reading, ("get", "/orders/1"): reading, ("post", "/sites"): writing,
        ("patch", "/sites/1"): writing, ("get", "/threads"): mail,
    }  # fmt: skip
    for (method, path), whose in allowed.items():
        for client in (reading, writing, mail):
            assert (send(client, method, path).status_code == 403) is (client is not whose), (method, path)
    for page in ("/", "/sites", "/account", "/data"):
        assert reading.get(page).url.startswith("/sign-in")


@pytest.mark.promise("P5.2")
def test_every_address_of_the_api_wants_a_token_and_one_scope(
    make: Any, program: Callable[..., Any], person: Callable[..., Any], browser: Callable[[Any], Any]
) -> None:
    """Whoever adds an address gets it checked here; a session and a token of another tenant open none."""
    clients = {scope: program(scope) for scope in ("outreach:read", "outreach:write", "mail:read")}
    strangers = {
        "a session": browser(person("owner")),
        "another tenant's token": browser(person("member")),
    }
    foreign = {"authorization": f"Bearer gpc_{'x' * 43}"}
    described = browser(person("reader")).get("/api/v1/openapi.json").json()
    wrong, seen = [], 0
    for path, methods in described["paths"].items():
        address = path.removeprefix("/api/v1").replace("{key}", "1")
        for method, operation in methods.items():
            seen += 1
            reads = "mail:read" if operation["tags"] == ["mail"] else "outreach:read"
            wanted = reads if method == "get" else "outreach:write"
            for scope, client in clients.items():
                status = send(client, method, address).status_code
                if (status == 403) is (scope == wanted) or status == 401:
                    wrong.append(f"{method} {address} with {scope}: {status}")
            for who, client in strangers.items():
                headers = foreign if "token" in who else {}
                status = getattr(client, method)(
                    f"/api/v1{address}", {}, content_type=JSON, headers=headers
                ).status_code
                if status != 401:
                    wrong.append(f"{method} {address} with {who}: {status}")
    assert wrong == []
    assert seen >= 18


@pytest.mark.promise("P5.2")
def test_a_token_ends_with_its_time_its_person_and_its_revocation(
    make: Any, program: Callable[..., Any], person: Callable[..., Any], browser: Callable[[Any], Any]
) -> None:
    from django.utils import timezone
    from guestpost_crm.integrations import tokens
    from guestpost_crm.integrations.models import ApiToken

    member = person("member")
    client = program(whose=member)
    assert client.get("/api/v1/sites").status_code == 200
    member.role = "reader"
    member.save()
    assert send(client, "post", "/sites", domain="x.example").status_code == 403
    assert client.get("/api/v1/sites").status_code == 200
    ApiToken.objects.update(expires_at=timezone.now())
    assert client.get("/api/v1/sites").status_code == 401
    other = program("outreach:read", whose=member)
    member.is_active = False
    member.save()
    assert other.get("/api/v1/sites").status_code == 401
    member.is_active = True
    member.save()
    assert other.get("/api/v1/sites").status_code == 200
    tokens.revoke(member, ApiToken.objects.first().pk)
    assert other.get("/api/v1/sites").status_code == 401


def test_a_session_opens_nothing_of_the_api(
    person: Callable[..., Any], browser: Callable[[Any], Any]
) -> None:
    client = browser(person("owner"))
    assert client.get("/api/v1/sites").status_code == 401
    assert send(client, "post", "/sites", domain="x.example").status_code == 401
    for proof in ("", "Bearer", "Bearer gpc_wrong", "Basic YTpi", "bearer x y"):
        assert client.get("/api/v1/sites", headers={"authorization": proof}).status_code == 401


def test_a_token_that_asks_too_much_is_told_to_wait(
    program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from guestpost_crm.integrations.api import endpoints

    [throttle] = endpoints.api.throttle
    monkeypatch.setattr(throttle, "num_requests", 3)
    client, other = program(), program()
    answers = [client.get("/api/v1/sites") for _ in range(4)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    assert other.get("/api/v1/sites").status_code == 200


def test_a_suspended_server_says_so(program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from guestpost_crm import environment

    client = program()
    monkeypatch.setenv("SUSPEND_REASON", "Payment is late.")
    environment.current.cache_clear()
    answer = client.get("/api/v1/sites")
    monkeypatch.undo()
    environment.current.cache_clear()
    assert answer.status_code == 503
    assert "Payment is late." in answer.json()["detail"]


@pytest.mark.promise("P8.1")
def test_tokens_are_shown_once_and_stored_nowhere(
    person: Callable[..., Any], browser: Callable[[Any], Any], crm_database: Any
) -> None:
    import re

    from django.db import connection
    from guestpost_crm.integrations.models import ApiToken

    page = browser(person("member"))
    made = page.post("/integrations/tokens", {"name": "Sheet", "scopes": ["outreach:read"], "days": "30"})
    [text] = set(re.findall(r"gpc_[\w-]{43}", made.content.decode()))
    assert text not in page.get("/integrations").content.decode()
    assert "Sheet" in page.get("/integrations").content.decode()
    with connection.cursor() as cursor:
        cursor.execute("SELECT t::text FROM api_token t UNION ALL SELECT a::text FROM audit_event a")
        assert all(text not in row[0] for row in cursor.fetchall())
    answer = page.post("/integrations/tokens", {"name": "", "scopes": ["everything"], "days": "999"})
    assert answer.status_code == 422
    assert ApiToken.objects.count() == 1


def test_nobody_gives_more_than_they_have_and_revokes_only_their_own(
    person: Callable[..., Any], browser: Callable[[Any], Any]
) -> None:
    from guestpost_crm.integrations.models import ApiToken

    reader, member, manager = (browser(person(role)) for role in ("reader", "member", "manager"))
    asked = {"name": "x", "scopes": ["outreach:write"], "days": "30"}
    assert reader.post("/integrations/tokens", asked).status_code == 422
    assert member.post("/integrations/tokens", asked).status_code == 200
    token = ApiToken.objects.get()
    assert reader.post(f"/integrations/tokens/{token.pk}/revoke").status_code == 403
    assert f"{token.hint}…" not in reader.get("/integrations").content.decode()
    assert f"{token.hint}…" in manager.get("/integrations").content.decode()
    assert manager.post(f"/integrations/tokens/{token.pk}/revoke").status_code == 302
    assert not ApiToken.objects.exists()


def test_the_description_is_whole_and_what_answers_fits_it(
    make: Any, person: Callable[..., Any], program: Callable[..., Any]
) -> None:
    """Schemathesis: whatever is sent, the answer is one that the description names."""
    from django.test import Client
    from guestpost_crm.wsgi import application

    described = Client(headers={"host": "acme.localhost"}).get("/api/v1/openapi.json").json()
    assert described["info"]["title"] == "GuestPostCRM"
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert operation["security"] == [{"Token": []}], (path, method)
            assert {"401", "403", "422", "429"} <= set(operation["responses"]), (path, method)
    site = make.site("site.example")
    contact = make.contact("bob@site.example", sites=[site])
    make.order(site, contact=contact)
    make.offer(person("owner"), site)
    make.placement(site=site)
    make.invoice(site)
    proof = program().defaults["HTTP_AUTHORIZATION"]
    schema = schemathesis.openapi.from_dict(described)
    schema.app = application

    from guestpost_crm.integrations.api import endpoints

    [throttle] = endpoints.api.throttle
    throttle.num_requests, kept = 10**9, throttle.num_requests
    try:
        for operation in schema.get_all_operations():
            run(operation.ok(), proof)
    finally:
        throttle.num_requests = kept


def run(operation: Any, proof: str) -> None:
    """Send made-up requests of one operation."""
    from hypothesis import given

    @given(case=operation.as_strategy())
    @settings(
        max_examples=12, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def send_it(case: Any) -> None:
        case.call_and_validate(
            headers={"Authorization": proof, "Host": "acme.localhost", "Accept-Encoding": "identity"},
            base_url="http://acme.localhost",
            # Rules between fields and records are no part of a description: 422 says which.
            excluded_checks=[positive_data_acceptance],
        )

    send_it()
