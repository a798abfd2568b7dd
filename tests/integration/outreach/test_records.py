"""Sites, contacts, custom fields and saved views: what is typed is kept, what is doubled is refused."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest


def test_a_site_is_added_however_its_domain_is_written_and_once(make: Any, page: Any) -> None:
    from guestpost_crm.outreach.models import Site

    answer = page.post(
        "/sites/new", {"domain": "https://www.Müller.example/x", "price": "1.200,50", "currency": "EUR"}
    )
    site = Site.objects.get()
    assert answer.url == f"/sites/{site.pk}"
    assert (site.domain, site.registrable) == ("xn--mller-kva.example", "xn--mller-kva.example")
    assert site.price == Decimal("1200.50")
    Site.objects.update(archived=True)
    answer = page.post("/sites/new", {"domain": "müller.example", "currency": "EUR", "notes": "my long note"})
    text = answer.content.decode()
    assert answer.status_code == 422
    assert "müller.example is here already. It is in the archive." in text
    assert "Nothing was saved yet." in text
    assert "my long note" in text


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("domain", "not a domain", "is not a domain"),
        ("domain", "localhost", "is not a domain"),
        ("domain", "10.0.0.1", "is not a domain"),
        ("dr", "101", "less than or equal to 100"),
        ("dr", "-1", "greater than or equal to 0"),
        ("price", "cheap", "is not an amount"),
        ("currency", "XXX", "Select a valid choice"),
        ("link_policy", "maybe", "Select a valid choice"),
        ("notes", "x" * 20_001, "at most 20000 characters"),
    ],
)
def test_a_wrong_field_is_named_and_everything_else_stays(
    make: Any, page: Any, field: str, value: str, told: str
) -> None:
    from guestpost_crm.outreach.models import Site

    typed = {"domain": "site.example", "currency": "USD", "niche": "typed niche", field: value}
    answer = page.post("/sites/new", typed)
    text = answer.content.decode()
    assert answer.status_code == 422
    assert told in text
    assert "typed niche" in text
    assert f'href="#id_{field}"' in text
    assert not Site.objects.exists()


def test_sites_are_filtered_sorted_and_paged(make: Any, page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from guestpost_crm.outreach.services import listing

    monkeypatch.setattr(listing, "SIZE", 2)
    make.site("a.example", dr=10, niche="Travel", price=Decimal(50))
    make.site("b.example", dr=90, niche="travel", price=Decimal(150))
    make.site("c.example", niche="Food", notes="loves bread")
    make.site("d.example", dr=50, archived=True)

    def listed(query: str) -> str:
        text = page.get(f"/sites?{query}").content.decode()
        rows = text[text.index("<tbody") :] if "<tbody" in text else ""
        places = {name: rows.find(f">{name}.example<") for name in "abcd"}
        return "".join(sorted((name for name in "abcd" if places[name] >= 0), key=lambda name: places[name]))

    assert listed("") == "ab"
    assert listed("page=2") == "c"
    for beyond in ("page=99", "page=0", "page=-1", "page=x", "page=²"):
        assert listed(beyond) in ("ab", "c")
    assert listed("sort=-dr") == "ba"
    assert listed("sort=dr") == "ab"
    assert listed("sort=nonsense") == "ab"
    assert listed("niche=TRAVEL&price_max=100") == "a"
    assert listed("dr_min=20") == "b"
    assert listed("dr_min=x") == "ab"
    assert listed("q=bread") == "c"
    assert listed("q=food+bread") == "c"
    assert listed("show=archived") == "d"
    assert listed("show=no_contact&niche=food") == "c"
    assert "No site" in (text := page.get("/sites?q=nothing-like-this").content.decode()) or "filters" in text


def test_a_contact_has_addresses_that_nobody_else_has_and_sites_that_may_be_new(make: Any, page: Any) -> None:
    from guestpost_crm.outreach.models import Contact, Site

    known = make.site("known.example")
    other = make.contact("taken@site.example", name="Olga")
    typed = {
        "name": "Bob",
        "addresses": "Bob@Site.example\nb@site.example, bob@site.example",
        "site_domains": "known.example\nhttps://www.fresh.example/",
    }
    assert page.post("/contacts/new", typed).status_code == 302
    contact = Contact.objects.get(name="Bob")
    assert [each.address for each in contact.addresses.all()] == ["bob@site.example", "b@site.example"]
    assert set(contact.sites.all()) == {known, Site.objects.get(domain="fresh.example")}
    answer = page.post("/contacts/new", {**typed, "name": "Second", "addresses": "taken@site.example"})
    text = answer.content.decode()
    assert answer.status_code == 422
    assert "taken@site.example" in text
    assert "Olga" in text
    assert f"/contacts/{other.pk}" in text or "Olga" in text
    assert Contact.objects.count() == 2
    answer = page.post(
        f"/contacts/{contact.pk}/edit", {**typed, "addresses": "new@site.example", "site_domains": ""}
    )
    assert answer.status_code == 302
    assert [each.address for each in contact.addresses.all()] == ["new@site.example"]
    assert not contact.sites.exists()


@pytest.mark.parametrize("addresses", ["no address", "a@b@c", "@site.example", "a" * 400 + "@site.example"])
def test_what_is_no_address_is_refused_and_kept(make: Any, page: Any, addresses: str) -> None:
    from guestpost_crm.outreach.models import Contact

    answer = page.post("/contacts/new", {"name": "Bob", "addresses": addresses})
    assert answer.status_code == 422
    assert "is not an e-mail address" in answer.content.decode()
    assert addresses in answer.content.decode()
    assert not Contact.objects.exists()


def test_the_mail_with_a_contact_is_found_by_its_addresses(make: Any, page: Any, member: Any) -> None:
    contact = make.contact("bob@site.example", "b@other.example")
    mine = make.thread(member, ("Bob <BOB@site.example>", "Hello there"))
    also = make.thread(
        member, ("Desk <desk@acme.example>", "We wrote"), ("b@other.example", "And he answered")
    )
    other = make.thread(member, ("Eve <eve@site.example>", "Not his"))
    text = page.get(f"/contacts/{contact.pk}").content.decode()
    for thread, shown in ((mine, True), (also, True), (other, False)):
        assert (f'href="/threads/{thread.pk}"' in text) is shown


def test_the_mail_with_a_site_is_found_by_its_contacts_and_its_domain(
    make: Any, page: Any, member: Any, django_queries: Callable[..., Any]
) -> None:
    site = make.site("site.example")
    make.contact("bob@elsewhere.example", sites=[site])
    with_it = [
        make.thread(member, (sender, "Hello"))
        for sender in ("bob@elsewhere.example", "Eve <Eve@Site.example>", "eve@mail.site.example")
    ]
    others = [
        make.thread(member, (sender, "Hello"))
        for sender in ("eve@other-site.example", "eve@elsewhere.example", "eve@site.example.com")
    ]

    def shown(threads: list[Any], site: Any) -> list[bool]:
        text = page.get(f"/sites/{site.pk}").content.decode()
        return [f'href="/threads/{thread.pk}"' in text for thread in threads]

    assert shown([*with_it, *others], site) == [True, True, True, False, False, False]
    for ours_or_anybodys in ("acme.example", "gmail.com"):
        thread = make.thread(member, ("eve@gmail.com", "Hello"))
        assert shown([thread, *with_it], make.site(ours_or_anybodys)) == [False] * 4

    def queries() -> int:
        with django_queries() as found:
            page.get(f"/sites/{site.pk}")
        return len(found)

    before = queries()
    for number in range(5):
        make.contact(f"p{number}@elsewhere.example", sites=[site])
        make.thread(member, (f"p{number}@elsewhere.example", "Hi"), (f"p{number}@site.example", "Hi"))
    assert queries() == before


FIELDS = {
    "text": ("tier", "Tier", "A & B", "A &amp; B"),
    "number": ("count", "Count", "12.5", "12.5"),
    "date": ("since", "Since", "2026-01-31", "31 Jan 2026"),
    "choice": ("colour", "Colour", "red", "red"),
    "yes_no": ("paid", "Paid before", "yes", "Yes"),
    "url": ("page", "Page", "https://x.example/", "https://x.example/"),
}


def test_fields_of_the_teams_own_hold_each_kind_of_value(make: Any, page: Any) -> None:
    from guestpost_crm.outreach.models import CustomField, Site

    for position, (kind, (key, label, _value, _shown)) in enumerate(FIELDS.items()):
        choices = ["red", "green"] if kind == "choice" else []
        CustomField.objects.create(
            target="site", key=key, label=label, kind=kind, choices=choices, position=position
        )
    typed = {f"custom_{key}": value for key, _label, value, _shown in FIELDS.values()}
    page.post("/sites/new", {"domain": "site.example", "currency": "USD", **typed})
    site = Site.objects.get()
    text = page.get(f"/sites/{site.pk}").content.decode()
    for _key, label, _value, shown in FIELDS.values():
        assert label in text
        assert shown in text
    form = page.get(f"/sites/{site.pk}/edit").content.decode()
    for key, _label, value, _shown in FIELDS.values():
        assert f'name="custom_{key}"' in form
        assert value.replace("&", "&amp;") in form
    wrong = {
        "custom_count": "many",
        "custom_since": "31.31.2026",
        "custom_colour": "blue",
        "custom_page": "x y",
    }
    answer = page.post(f"/sites/{site.pk}/edit", {"domain": "site.example", "currency": "USD", **wrong})
    assert answer.status_code == 422
    for name in wrong:
        assert f'href="#id_{name}"' in answer.content.decode()
    CustomField.objects.filter(key="tier").update(archived=True)
    page.post(f"/sites/{site.pk}/edit", {"domain": "site.example", "currency": "USD"})
    site.refresh_from_db()
    assert site.custom == {"tier": "A & B"}


def test_lists_are_narrowed_by_fields_of_the_teams_own(make: Any, page: Any) -> None:
    from guestpost_crm.outreach.models import CustomField, SavedView

    for target in ("site", "contact", "order"):
        for kind, (key, label, _value, _shown) in FIELDS.items():
            choices = ["red", "green"] if kind == "choice" else []
            CustomField.objects.create(target=target, key=key, label=label, kind=kind, choices=choices)
    first = {"tier": "A & B", "count": "9", "since": "2026-01-31", "colour": "red", "paid": True}
    second = {"tier": "a100%", "count": "12.5", "since": "2025-12-01", "colour": "green", "paid": False}
    own = {"first": {**first, "page": "https://x.example/"}, "second": second, "third": {}}
    for name, values in own.items():
        site = make.site(f"{name}.example", custom=values)
        make.contact(name=f"{name}.example", custom=values)
        make.order(site, custom=values)

    def narrowed(address: str, query: str) -> list[str]:
        text = page.get(f"{address}?{query}").content.decode()
        return [name for name in own if f">{name}.example<" in text]

    for query, expected in (
        ("custom_tier=A", ["first", "second"]),
        ("custom_tier=a100%25", ["second"]),
        ("custom_tier=A%25", []),
        ("custom_count-min=10", ["second"]),
        ("custom_count-min=9&custom_count-max=9.0", ["first"]),
        ("custom_since-min=2026-01-01", ["first"]),
        ("custom_since-max=2026-01-30", ["second"]),
        ("custom_colour=red", ["first"]),
        ("custom_paid=no", ["second"]),
        ("custom_page=X.Example", ["first"]),
        ("custom_paid=yes&custom_colour=green", []),
        ("custom_paid=&custom_colour=&custom_count-min=", ["first", "second", "third"]),
        ("custom_count-min=many&custom_colour=blue", ["first", "second", "third"]),
    ):
        assert narrowed("/sites", query) == expected, query
    assert "Enter a number." in page.get("/sites?custom_count-min=many").content.decode()
    for address in ("/contacts", "/orders", "/orders/list"):
        assert narrowed(address, "custom_count-min=10") == ["second"], address
        assert 'name="custom_since-max"' in page.get(address).content.decode()
    exported = b"".join(page.get("/sites/export?custom_colour=red").streaming_content).decode()
    assert ("first.example" in exported, "second.example" in exported) == (True, False)
    # Every field that a form sends, most of them empty, makes a view.
    sent = "&".join(["q=", "custom_colour=red", *(f"custom_other_{n}=" for n in range(90))])
    page.post("/views/keep", {"page": "sites", "name": "Red", "query": sent})
    assert SavedView.objects.get().query == "custom_colour=red"
    assert 'aria-current="page">Red' in page.get(f"/sites?{sent}").content.decode()
    answer = page.post(
        "/views/keep", {"page": "sites", "name": "Long", "query": "q=" + "x" * 2000}, follow=True
    )
    assert "it has too many filters" in answer.content.decode()
    CustomField.objects.filter(key="colour").update(archived=True)
    assert narrowed("/sites", "custom_colour=red") == ["first", "second", "third"]


def test_custom_fields_are_made_by_managers_and_named_once(
    make: Any, person: Callable[..., Any], browser: Callable[[Any], Any]
) -> None:
    from guestpost_crm.outreach.models import CustomField

    manager = browser(person("manager"))
    typed = {
        "target": "order",
        "label": "Client № 1",
        "kind": "choice",
        "choice_lines": "A\nB\n A ",
        "position": 0,
    }
    assert browser(person("member")).post("/fields/new", typed).status_code == 403
    assert manager.post("/fields/new", typed).status_code == 302
    field = CustomField.objects.get()
    assert (field.key, field.choices) == ("client_1", ["A", "B"])
    answer = manager.post("/fields/new", {**typed, "label": "client № 1"})
    assert "There is a field of this name already." in answer.content.decode()
    answer = manager.post("/fields/new", {**typed, "label": "Other", "choice_lines": "one"})
    assert "Write between 2 and 50 choices" in answer.content.decode()
    changed = {**typed, "target": "site", "kind": "text", "label": "Customer"}
    assert manager.post(f"/fields/{field.pk}", changed).status_code == 302
    field.refresh_from_db()
    assert (field.target, field.kind, field.label, field.key) == ("order", "choice", "Customer", "client_1")


def test_views_are_kept_shown_replaced_and_forgotten(
    make: Any, person: Callable[..., Any], browser: Callable[[Any], Any]
) -> None:
    from guestpost_crm.outreach.models import SavedView

    make.site("site.example", niche="Travel")
    anna, tom = browser(person("manager", "Anna")), browser(person("member", "Tom"))
    kept = {"page": "sites", "name": "  My   travel ", "query": "page=3&niche=Travel&show="}
    assert tom.post("/views/keep", kept).url == "/sites?niche=Travel"
    assert "My travel" in tom.get("/sites").content.decode()
    assert "My travel" not in anna.get("/sites").content.decode()
    tom.post("/views/keep", {**kept, "query": "niche=Food", "shared": "on"})
    view = SavedView.objects.get()
    assert (view.query, view.shared) == ("niche=Food", True)
    assert "My travel" in anna.get("/sites").content.decode()
    assert "My travel" not in anna.get("/contacts").content.decode()
    other = browser(person("member", "Eve"))
    assert other.post(f"/views/{view.pk}/forget").status_code == 403
    assert anna.post(f"/views/{view.pk}/forget").url == "/sites"
    assert not SavedView.objects.exists()
    for wrong in ({**kept, "page": "audit"}, {**kept, "page": ""}):
        assert tom.post("/views/keep", wrong).status_code == 404
    assert "give it a name" in tom.post("/views/keep", {**kept, "name": " "}, follow=True).content.decode()


def test_a_reader_keeps_views_for_themselves_only(
    person: Callable[..., Any], browser: Callable[[Any], Any]
) -> None:
    from guestpost_crm.outreach.models import SavedView

    reader = browser(person("reader"))
    reader.post("/views/keep", {"page": "sites", "name": "Mine", "query": "q=x", "shared": "on"})
    assert SavedView.objects.get().shared is False


def test_exports_of_contacts_and_invoices(make: Any, page: Any) -> None:
    site = make.site("site.example")
    make.contact("bob@site.example", "b@site.example", name="=Bob", sites=[site])
    make.invoice(site, amount=Decimal("10.50"), currency="EUR")

    def rows(address: str) -> list[dict[str, str]]:
        answer = page.get(address)
        assert answer.headers["Content-Disposition"].startswith("attachment")
        content = b"".join(answer.streaming_content).decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(content)))

    [contact] = rows("/contacts/export")
    assert contact["name"] == "'=Bob"
    assert "bob@site.example" in str(contact)
    [invoice] = rows("/invoices/export")
    assert (invoice["amount"], invoice["currency"], invoice["state"]) == ("10.50", "EUR", "open")
