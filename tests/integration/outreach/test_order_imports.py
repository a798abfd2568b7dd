"""Orders from a spreadsheet: known by number, or by site, target and anchor; all of it or nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from lxml import html


def upload(page: Any, content: str, name: str = "orders.csv") -> Any:
    file = BytesIO(content.encode())
    file.name = name
    return page.post("/orders/import", {"file": file})


def mapping(page: Any, address: str) -> dict[str, str]:
    """The mapping that the page suggests."""
    text = page.get(address).content.decode()
    [form] = [each for each in html.fromstring(text).forms if "column-0" in each.fields]
    return {name: value for name, value in form.form_values() if name.startswith("column-")}


def imported(page: Any, content: str) -> str:
    """What the page says after importing with the mapping that it suggests."""
    address = upload(page, content).url
    answer = page.post(address, {**mapping(page, address), "do": "import"}, follow=True)
    return str(answer.content.decode())


def test_new_orders_come_with_sites_contacts_history_and_links(make: Any, page: Any, member: Any) -> None:
    from guestpost_crm.audit.models import AuditEvent
    from guestpost_crm.outreach.models import Contact, CustomField, Order, Placement, Site

    CustomField.objects.create(target="order", key="client", label="Client")
    known = make.site("known.example", currency="EUR", link_policy="sponsored")
    bob = make.contact("bob@known.example", name="Bob Stone")
    content = (
        "Website;Email;Status;Anchor text;Target URL;Cost;Live URL;Deadline;Assigned to;Client\n"
        "https://www.known.example/;BOB@known.example;Live;best shoes;ours.example/shoes;1.200,50;"
        "known.example/post;31.12.2026;member0@acme.example;Old & Co\n"
        "new.example;Eva Moss <eva@new.example>;;;;£80;;;;\n"
    )
    address = upload(page, content).url
    text = page.get(address).content.decode()
    assert "2 new, 0 changed, 0 as they are." in text
    assert "Import 2 orders" in text
    assert not Order.objects.exists()
    answer = page.post(address, {**mapping(page, address), "do": "import"}, follow=True)
    assert "Imported: 2 new, 0 changed, 0 as before." in answer.content.decode()
    assert "/orders/list?sort=-number" in answer.content.decode()
    first, second = Order.objects.order_by("pk")
    assert (first.site, first.contact, first.stage, first.assigned) == (known, bob, "published", member)
    assert (first.anchor, first.target_url) == ("best shoes", "https://ours.example/shoes")
    assert (first.price, first.currency, first.link_policy) == (Decimal("1200.50"), "EUR", "sponsored")
    assert (first.due_on, first.custom) == (dt.date(2026, 12, 31), {"client": "Old & Co"})
    assert (second.site.domain, second.stage) == ("new.example", "prospect")
    assert (second.price, second.currency) == (Decimal(80), "GBP")
    assert Site.objects.get(domain="new.example").registrable == "new.example"
    eva = Contact.objects.get(name="Eva Moss")
    assert second.contact == eva
    assert [each.address for each in eva.addresses.all()] == ["eva@new.example"]
    assert list(eva.sites.all()) == [second.site]
    assert not bob.sites.exists()
    # The published one is looked after, and the history begins with who brought it.
    placement = Placement.objects.get()
    assert (placement.order, placement.url) == (first, "https://known.example/post")
    assert placement.next_check_at is not None
    assert [(each.field, each.new, each.person) for each in first.changes.all()] == [
        ("stage", "published", member)
    ]
    # When it was published nobody said: it was not today.
    assert first.published_on is None
    assert AuditEvent.objects.get(action="import.done").detail == {"made": 2, "changed": 0}
    assert "There is nothing to import." in page.get(upload(page, content).url).content.decode()


def test_an_order_that_is_here_is_completed_and_its_history_tells(make: Any, page: Any, member: Any) -> None:
    from guestpost_crm.outreach.models import Order, Placement

    site = make.site("one.example")
    order = make.order(
        site, stage="submitted", anchor="shoes", target_url="https://ours.example/", notes="ours",
        price=Decimal(100), custom={"client": "X"},
    )  # fmt: skip
    content = (
        "site,anchor,target,stage,published url,price,notes\n"
        "one.example,shoes,https://ours.example/,Published,https://one.example/post,,\n"
    )
    assert "0 new, 1 changed, 0 as before" in imported(page, content)
    order = Order.objects.get()
    assert (order.stage, order.notes, order.price) == ("published", "ours", Decimal(100))
    assert order.custom == {"client": "X"}
    assert order.published_on == make.day(0)
    assert {(each.field, each.old, each.new, each.person) for each in order.changes.all()} == {
        ("stage", "submitted", "published", member),
        ("published_url", "", "https://one.example/post", member),
    }
    assert Placement.objects.get().url == "https://one.example/post"
    # A page that is corrected is corrected where it is looked after, too.
    Placement.objects.update(state="live", was_live=True)
    imported(page, content.replace("one.example/post", "one.example/moved"))
    placement = Placement.objects.get()
    assert (placement.url, placement.state, placement.was_live) == (
        "https://one.example/moved", "unchecked", False,
    )  # fmt: skip


def test_an_order_is_known_by_its_number_whatever_else_changes(make: Any, page: Any) -> None:
    from guestpost_crm.outreach.models import Order

    site = make.site("one.example")
    first, second = make.order(site, anchor="a"), make.order(site, anchor="b")
    imported(page, f"number,site,anchor\n#{second.pk},one.example,c\n")
    assert [each.anchor for each in Order.objects.order_by("pk")] == ["a", "c"]
    # Another text is another order of that site, as long as no number says otherwise.
    imported(page, "site,anchor\none.example,d\n")
    assert Order.objects.count() == 3
    first.refresh_from_db()
    assert first.anchor == "a"


def test_each_wrong_line_is_told_and_nothing_is_imported(make: Any, page: Any, person: Any) -> None:
    from guestpost_crm.outreach.models import Contact, Order, Site

    site = make.site("one.example")
    make.order(site)
    make.order(site)
    other = make.order(make.site("other.example"))
    make.contact("a@x.example", name="Twin")
    make.contact("b@x.example", name="Twin")
    person("reader", "Only Reads")
    content = (
        "order,site,contact,stage,anchor,target,link policy,price,currency,due date,assigned to,live url\n"
        ",good.example,new@x.example,,,,,,,,,\n"
        ",,,,,,,,,,,\n"
        ",no domain!,,,,,,,,,,\n"
        "99,one.example,,,,,,,,,,\n"
        f"{other.pk},one.example,,,,,,,,,,\n"
        ",one.example,,,,,,,,,,\n"
        f",two.example,Twin,perhaps,{'x' * 301},no page,maybe,cheap,XYZ,31/31/2026,Only Reads,\n"
        ",two.example,Nobody Known,,,,,,,04/03/2026,,\n"
        ",two.example,not@an@address,published,,,,120,,2026-02-30,,\n"
        ",good.example,,,,,,,,,,\n"
        ",three.example,,published,,,,120,,,,\n"
        ",other.example,,,another,,,,,,,\n"
    )
    address = upload(page, content).url
    text = page.get(address).content.decode()
    for line, told in (
        (4, "“no domain!” is not a domain"),
        (5, "There is no order #99: leave its number out"),
        (6, f"Order #{other.pk} is one of other.example."),
        (7, "#1, #2 have this site, target address and anchor text"),
        (8, "Several contacts have this name."),
        (8, "“perhaps” is no stage: Prospect, Contacted,"),
        (8, "Longer than 300 letters."),
        (8, "Enter a valid URL."),
        (8, "“maybe” is not dofollow, nofollow or sponsored."),
        (8, "“cheap” is not an amount"),
        (8, "“XYZ” is no currency"),
        (8, "“31/31/2026” is no day"),
        (8, "Nobody of the team who works here has this name or address: “Only Reads”."),
        (9, "Nobody here has this name: write an address"),
        (9, "“04/03/2026” may be one of two days"),
        (10, "“not@an@address” is not an e-mail address."),
        (10, "“2026-02-30” is no day"),
        (11, "Line 2 is of the same site"),
        (12, "Write down where it was published first."),
    ):
        assert told in text, (line, told)
        place = text.index(told)
        row = text.rfind("<tr", 0, place)
        assert f">{line}</td>" in text[row:place], (line, told)
    answer = page.post(address, {**mapping(page, address), "do": "import"})
    assert answer.status_code == 422
    assert "Some lines are wrong. Nothing was imported." in answer.content.decode()
    assert (Order.objects.count(), Site.objects.count(), Contact.objects.count()) == (3, 2, 2)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-04-03", dt.date(2026, 4, 3)),
        ("2026-04-03 00:00:00", dt.date(2026, 4, 3)),
        ("03.04.26", dt.date(2026, 4, 3)),
        ("3 Apr 2026", dt.date(2026, 4, 3)),
        ("April 3, 2026", dt.date(2026, 4, 3)),
        ("04/04/2026", dt.date(2026, 4, 4)),
        # What one cell of a column says holds for the others.
        ("03/04/2026 30/04/2026", dt.date(2026, 4, 3)),
        ("04/03/2026 04/30/2026", dt.date(2026, 4, 3)),
    ],
)
def test_days_are_read_as_they_are_written(page: Any, written: str, meant: dt.date) -> None:
    from guestpost_crm.outreach.models import Order

    days = written.split(" ") if written.count("/") > 2 else [written]
    lines = "".join(f'x{number}.example,"{day}"\n' for number, day in enumerate(days))
    imported(page, f"site,due\n{lines}")
    assert Order.objects.get(site__domain="x0.example").due_on == meant


def test_stages_are_read_in_the_language_of_the_page(page: Any, member: Any) -> None:
    from guestpost_crm.outreach.models import Order

    member.language = "de"
    member.save()
    assert "1 neu" in imported(page, "site,stage\nx.example,In Verhandlung\n")
    assert Order.objects.get().stage == "negotiating"


def test_a_file_without_a_column_of_sites_asks_for_it_and_keeps_what_was_chosen(page: Any) -> None:
    from guestpost_crm.outreach.models import Order

    address = upload(page, "A,B\nshoes,x.example\n").url
    assert "Choose which column is “Site”" in page.get(address).content.decode()
    text = page.post(address, {"column-0": "anchor", "do": "look"}).content.decode()
    assert '<option value="anchor" selected>' in text
    page.post(address, {"column-0": "anchor", "column-1": "domain", "do": "import"})
    assert not Order.objects.exists()
    page.post(address, {"column-0": "anchor", "column-1": "site", "do": "import"})
    order = Order.objects.get()
    assert (order.anchor, order.site.domain) == ("shoes", "x.example")


def test_what_is_exported_comes_back_as_it_was(make: Any, page: Any, member: Any) -> None:
    from guestpost_crm.outreach.models import CustomField, Order

    CustomField.objects.create(target="order", key="client", label="Client")
    site = make.site("müller.example".encode("idna").decode())
    contact = make.contact("bob@x.example", name="Bob")
    values = {
        "stage": "paid", "contact": contact, "anchor": "=shoes", "target_url": "https://ours.example/",
        "link_policy": "nofollow", "draft_url": "https://docs.example/1",
        "published_url": "https://site.example/post", "price": Decimal("1200.50"), "currency": "EUR",
        "due_on": make.day(3), "assigned": member, "notes": "-a\nb", "custom": {"client": "Old & Co"},
    }  # fmt: skip
    order = make.order(site, **values)
    content = b"".join(page.get("/orders/export").streaming_content).decode("utf-8-sig")
    address = upload(page, content).url
    assert "There is nothing to import." in page.get(address).content.decode()
    order.anchor, order.stage = "other", "prospect"
    order.save()
    assert "0 new, 1 changed" in imported(page, content)
    order.refresh_from_db()
    assert {name: getattr(order, name) for name in values} == values
    Order.objects.all().delete()
    address = upload(page, content).url
    chosen = {name: value for name, value in mapping(page, address).items() if value != "number"}
    page.post(address, {**chosen, "do": "import"})
    again = Order.objects.get()
    assert {name: getattr(again, name) for name in values} == values


def test_an_order_that_somebody_changes_meanwhile_undoes_all_of_it(
    make: Any, page: Any, monkeypatch: Any
) -> None:
    from guestpost_crm.outreach.models import Order
    from guestpost_crm.outreach.services.imports import orders

    order = make.order(make.site("one.example"))
    address = upload(page, "site,notes\none.example,Theirs\nnew.example,\n").url
    chosen = mapping(page, address)
    look = orders._count

    def looked(*said: Any) -> None:
        look(*said)
        # As if it were written between the look and the writing.
        order.notes = "Mine"
        order.save()

    monkeypatch.setattr(orders, "_count", looked)
    text = page.post(address, {**chosen, "do": "import"}).content.decode()
    assert "Nothing was imported: try again." in text
    assert not Order.objects.filter(site__domain="new.example").exists()
    assert not Order.objects.filter(notes="Theirs").exists()


def test_a_large_file_is_imported_in_a_number_of_queries_that_does_not_grow(
    member: Any, django_queries: Callable[..., Any]
) -> None:
    from guestpost_crm.outreach.services import imports

    header = "site,contact,anchor,stage,target,published url,price\n"
    chosen = dict(enumerate(("site", "contact", "anchor", "stage", "target_url", "published_url", "price")))

    def queries(rows: int) -> tuple[int, int]:
        lines = "".join(
            f"s{rows}x{number}.example,p{rows}x{number}@x.example,a,published,o.example,s.example,9\n"
            for number in range(rows)
        )
        found = []
        for content in (lines, lines.replace(",9\n", ",10\n")):
            batch = imports.upload(member, "x.csv", f"{header}{content}".encode(), "order")
            with django_queries() as asked:
                imports.run(member, batch.pk, chosen)
            found.append(len(asked))
        return found[0], found[1]

    assert queries(300) == queries(10)
