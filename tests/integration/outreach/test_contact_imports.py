"""Contacts from a spreadsheet: known by their addresses, lines with one address are one, all or nothing."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from lxml import html


def upload(page: Any, content: str, name: str = "contacts.csv") -> Any:
    file = BytesIO(content.encode())
    file.name = name
    return page.post("/contacts/import", {"file": file})


def mapping(page: Any, address: str) -> dict[str, str]:
    """The mapping that the page suggests."""
    text = page.get(address).content.decode()
    [form] = [each for each in html.fromstring(text).forms if "column-0" in each.fields]
    return {name: value for name, value in form.form_values() if name.startswith("column-")}


def test_new_contacts_come_with_addresses_sites_and_own_fields(make: Any, page: Any) -> None:
    from guestpost_crm.audit.models import AuditEvent
    from guestpost_crm.outreach.models import Contact, CustomField, Site

    CustomField.objects.create(target="contact", key="role", label="Job")
    make.site("known.example", niche="Travel")
    content = (
        "First name;Last name;E-mail;Website;Notes;Unsubscribed;Job\n"
        "Bob;Stone;BOB@one.example, bob.stone@gmail.com;https://www.one.example/ known.example;nice;no;"
        "Editor\n"
        ";;info@two.example;;;yes;\n"
    )
    address = upload(page, content).url
    text = page.get(address).content.decode()
    assert "2 new, 0 changed, 0 as they are." in text
    assert "Import 2 contacts" in text
    assert not Contact.objects.exists()
    answer = page.post(address, {**mapping(page, address), "do": "import"}, follow=True)
    assert "Imported: 2 new, 0 changed, 0 as before." in answer.content.decode()
    bob = Contact.objects.get(name="Bob Stone")
    assert [each.address for each in bob.addresses.all()] == ["bob@one.example", "bob.stone@gmail.com"]
    assert bob.addresses.last().canonical == "bobstone@gmail.com"
    assert sorted(site.domain for site in bob.sites.all()) == ["known.example", "one.example"]
    assert (bob.notes, bob.do_not_contact, bob.custom) == ("nice", False, {"role": "Editor"})
    # Without a name it is known by what stands before the @.
    info = Contact.objects.get(name="info")
    assert info.do_not_contact
    assert Site.objects.get(domain="known.example").niche == "Travel"
    assert Site.objects.get(domain="one.example").registrable == "one.example"
    assert AuditEvent.objects.get(action="import.done").detail == {"made": 2, "changed": 0}
    again = upload(page, content).url
    assert "There is nothing to import." in page.get(again).content.decode()


def test_a_contact_that_is_here_is_completed_and_keeps_what_it_has(make: Any, page: Any) -> None:
    from guestpost_crm.outreach.models import Contact

    site = make.site("one.example")
    make.contact("bob@one.example", name="Bob", sites=[site], notes="ours")
    content = "Name,Emails,Sites,Notes\nBob Stone,bob@one.example bob@new.example,two.example,\n"
    address = upload(page, content).url
    page.post(address, {**mapping(page, address), "do": "import"})
    bob = Contact.objects.get()
    assert (bob.name, bob.notes) == ("Bob Stone", "ours")
    assert [each.address for each in bob.addresses.all()] == ["bob@one.example", "bob@new.example"]
    assert sorted(each.domain for each in bob.sites.all()) == ["one.example", "two.example"]


def test_lines_with_one_address_are_one_contact_unless_they_disagree(make: Any, page: Any) -> None:
    from guestpost_crm.outreach.models import Contact

    content = "Site,Email,Name\none.example,bob@x.example,Bob\ntwo.example,bob@x.example,\n"
    address = upload(page, content).url
    page.post(address, {**mapping(page, address), "do": "import"})
    bob = Contact.objects.get()
    assert sorted(site.domain for site in bob.sites.all()) == ["one.example", "two.example"]
    wrong = upload(
        page, "Site,Email,Name\none.example,eva@x.example,Eva\ntwo.example,eva@x.example,Evi\n"
    ).url
    text = page.get(wrong).content.decode()
    assert "Line 2 says “Eva” of the same contact." in text
    assert "Import 1 contact" not in text


def test_each_wrong_line_is_told_and_nothing_is_imported(make: Any, page: Any) -> None:
    from guestpost_crm.outreach.models import Contact, Site

    make.contact("a@x.example", name="A")
    make.contact("b@x.example", name="B")
    content = (
        "name,email,site,do not contact\n"
        "Good,good@x.example,x.example,no\n"
        "Nobody,,x.example,no\n"
        "Bob,not an address,x.example,no\n"
        "\n"
        "Both,a@x.example b@x.example,,no\n"
        f"{'x' * 201},c@x.example,no domain!,perhaps\n"
    )
    address = upload(page, content).url
    text = page.get(address).content.decode()
    for line, told in (
        (3, "There is no address: contacts are known by theirs."),
        (4, "“not” is not an e-mail address."),
        (6, "These addresses belong to several contacts: merge them first."),
        (7, "Longer than 200 letters."),
        (7, "“no” is not a domain"),
        (7, "“perhaps” is neither yes nor no."),
    ):
        place = text.index(told)
        row = text.rfind("<tr", 0, place)
        assert f">{line}</td>" in text[row:place], (line, told)
    answer = page.post(address, {**mapping(page, address), "do": "import"})
    assert answer.status_code == 422
    assert "Some lines are wrong. Nothing was imported." in answer.content.decode()
    assert (Contact.objects.count(), Site.objects.count()) == (2, 0)


def test_a_file_without_a_column_of_addresses_asks_for_it_and_keeps_what_was_chosen(page: Any) -> None:
    from guestpost_crm.outreach.models import Contact

    address = upload(page, "A,B\nBob,bob@x.example\n").url
    assert "Choose which column is “E-mail addresses”" in page.get(address).content.decode()
    text = page.post(address, {"column-0": "name", "do": "look"}).content.decode()
    assert '<option value="name" selected>' in text
    # Fields of sites, and nonsense, are no fields of contacts.
    page.post(address, {"column-0": "name", "column-1": "domain", "do": "import"})
    assert not Contact.objects.exists()
    page.post(address, {"column-0": "name", "column-1": "addresses", "do": "import"})
    assert Contact.objects.get().name == "Bob"


def test_what_is_exported_comes_back_as_it_was(make: Any, page: Any) -> None:
    from guestpost_crm.outreach.models import Contact

    site = make.site("müller.example".encode("idna").decode())
    make.contact(
        "bob@x.example", "b.ob@gmail.com", name="=Bob", sites=[site], notes="-a\nb", do_not_contact=True
    )
    content = b"".join(page.get("/contacts/export").streaming_content).decode("utf-8-sig")
    Contact.objects.all().delete()
    address = upload(page, content).url
    page.post(address, {**mapping(page, address), "do": "import"})
    bob = Contact.objects.get()
    assert (bob.name, bob.notes, bob.do_not_contact) == ("=Bob", "-a\nb", True)
    assert [each.address for each in bob.addresses.all()] == ["bob@x.example", "b.ob@gmail.com"]
    assert list(bob.sites.all()) == [site]


def test_an_address_that_somebody_takes_meanwhile_undoes_all_of_it(
    make: Any, page: Any, monkeypatch: Any
) -> None:
    from guestpost_crm.outreach.models import Contact
    from guestpost_crm.outreach.services.imports import contacts

    address = upload(page, "email\nbob@x.example\n").url
    chosen = mapping(page, address)
    make.contact("bob@x.example", name="Theirs")
    # As if it had been written between the look and the writing.
    monkeypatch.setattr(contacts, "owners_of", lambda addresses: {})
    text = page.post(address, {**chosen, "do": "import"}).content.decode()
    assert "Nothing was imported: try again." in text
    assert [each.name for each in Contact.objects.all()] == ["Theirs"]


def test_a_large_file_is_imported_in_a_number_of_queries_that_does_not_grow(
    make: Any, member: Any, django_queries: Callable[..., Any]
) -> None:
    from guestpost_crm.outreach.services import imports

    def queries(rows: int) -> int:
        lines = "".join(f"p{rows}x{number}@x.example,s{rows}x{number}.example\n" for number in range(rows))
        batch = imports.upload(member, "x.csv", f"email,site\n{lines}".encode(), "contact")
        with django_queries() as found:
            imports.run(member, batch.pk, {0: "addresses", 1: "sites"})
        return len(found)

    assert queries(300) == queries(10)
