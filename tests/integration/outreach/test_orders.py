"""Orders on their way: what each stage needs, who moved what, and what the history says."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

READY = {
    "price": Decimal(120),
    "published_url": "https://site.example/post",
    "target_url": "https://ours.example/",
}


@pytest.mark.parametrize(
    ("to", "missing"),
    [
        ("contacted", None),
        ("negotiating", None),
        ("agreed", "price"),
        ("writing", "price"),
        ("submitted", "price"),
        ("published", "published_url"),
        ("paid", "target_url"),
        ("lost", None),
    ],
)
def test_a_stage_that_needs_something_says_what(make: Any, member: Any, to: str, missing: str | None) -> None:
    from guestpost_crm.outreach.services import orders

    lacking = {name: value for name, value in READY.items() if name != missing}
    order = make.order(**lacking) if missing else make.order()
    if missing is None:
        assert orders.move(member, order.pk, "prospect", to).stage == to
        return
    words = {"price": "price", "published_url": "where it was published", "target_url": "target address"}
    with pytest.raises(orders.MoveError, match=words[missing]):
        orders.move(member, order.pk, "prospect", to)
    order.refresh_from_db()
    assert order.stage == "prospect"
    assert not order.changes.exists()


def test_who_moves_a_card_that_somebody_else_moved_is_told(make: Any, person: Callable[..., Any]) -> None:
    from guestpost_crm.outreach.services import orders

    order = make.order()
    orders.move(person(), order.pk, "prospect", "contacted")
    with pytest.raises(orders.MoveError, match="moved to “Contacted” by somebody else"):
        orders.move(person(), order.pk, "prospect", "negotiating")
    order.refresh_from_db()
    assert order.stage == "contacted"


def test_every_change_stands_in_the_history_by_whom_and_from_what_to_what(make: Any, member: Any) -> None:
    from guestpost_crm.audit.models import AuditEvent
    from guestpost_crm.outreach.models import CustomField
    from guestpost_crm.outreach.services import history, orders

    CustomField.objects.create(target="order", key="client", label="Client")
    first, second = make.site("first.example"), make.site("second.example")
    order = make.order(first, price=Decimal(100), custom={"client": "Old & Co"})
    order.site, order.price, order.anchor = second, Decimal("120.5"), "best shoes"
    order.custom["client"] = "New & Co"
    orders.save(member, order)
    [entry] = history.of(order)
    assert entry.person == member
    assert set(entry.lines) == {
        ("Site", "first.example", "second.example"),
        ("Anchor text", "", "best shoes"),
        ("Price", "100.00", "120.50"),
        ("Client", "Old & Co", "New & Co"),
    }
    event = AuditEvent.objects.get(action="order.changed")
    assert set(event.detail["fields"].split(",")) == {"site_id", "anchor", "price", "custom.client"}
    assert "shoes" not in str(event.detail)


def test_saving_without_a_change_writes_no_history(make: Any, member: Any) -> None:
    from guestpost_crm.audit.models import AuditEvent
    from guestpost_crm.outreach.services import orders

    order = make.order(price=Decimal(100))
    orders.save(member, order)
    assert not order.changes.exists()
    assert not AuditEvent.objects.exists()


def test_a_published_order_has_its_link_looked_after_from_then_on(make: Any, member: Any) -> None:
    from guestpost_crm.outreach.models import Placement
    from guestpost_crm.outreach.services import orders

    order = make.order(stage="submitted", anchor="shoes", link_policy="sponsored", **READY)
    orders.move(member, order.pk, "submitted", "published")
    placement = Placement.objects.get()
    assert (placement.order, placement.url, placement.target_url) == (
        order,
        READY["published_url"],
        READY["target_url"],
    )
    assert (placement.anchor, placement.rel, placement.state) == ("shoes", "sponsored", "unchecked")
    assert placement.next_check_at is not None
    order.refresh_from_db()
    assert order.published_on is not None
    Placement.objects.update(state="live", was_live=True)
    order.published_url = "https://site.example/corrected"
    orders.save(member, order)
    placement.refresh_from_db()
    assert placement.url == "https://site.example/corrected"
    assert (placement.state, placement.was_live) == ("unchecked", False)
    assert Placement.objects.count() == 1


def test_the_board_shows_the_urgent_first_and_how_many_are_left(
    make: Any, page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guestpost_crm.outreach.services import orders

    monkeypatch.setattr(orders, "SHOWN_IN_A_COLUMN", 2)
    make.order(make.site("later.example"), due_on=make.day(9))
    make.order(make.site("urgent.example"), due_on=make.day(-1))
    make.order(make.site("whenever.example"))
    make.order(make.site("xn--mller-kva.example"), stage="agreed", anchor='<b>"bold"</b>', price="80")
    text = page.get("/orders").content.decode()
    assert text.index("urgent.example") < text.index("later.example")
    assert "whenever.example" not in text
    assert "1 more" in text
    assert text.count("(overdue)") == 1
    assert '<span class="tile-anchor" dir="auto">&lt;b&gt;&quot;bold&quot;&lt;/b&gt;</span>' in text
    assert 'aria-label="Move to “Writing” müller.example">→</button>' in text
    assert "$80" in text


def move(page: Any, value: str, **more: str) -> Any:
    return page.post("/orders/move", {"move": value, "next": "/orders?q=x", **more}, follow=True)


def test_a_card_is_moved_by_the_boards_form(make: Any, page: Any) -> None:
    order = make.order(make.site("moving.example"))
    answer = move(page, f"{order.pk}.prospect.contacted")
    assert answer.request["PATH_INFO"] == "/orders"
    assert answer.request["QUERY_STRING"] == "q=x"
    assert "moving.example is at “Contacted” now." in answer.content.decode()
    answer = move(page, f"{order.pk}.prospect.negotiating")
    assert "Nothing was changed." in answer.content.decode()
    order.refresh_from_db()
    assert order.stage == "contacted"


@pytest.mark.parametrize(
    "value", ["", "x.prospect.contacted", "1", "1.prospect", "²", f"{10**30}.a.b", "-1.a.b", "1.2.3.4"]
)
def test_nonsense_moves_nothing(make: Any, page: Any, value: str) -> None:
    order = make.order()
    answer = page.post("/orders/move", {"move": value})
    assert answer.status_code in (302, 404)
    order.refresh_from_db()
    assert order.stage == "prospect"


@pytest.mark.parametrize("following", ["//evil.example", "https://evil.example/orders", "/orders//x\\", "/x"])
def test_the_board_leads_nowhere_else(make: Any, page: Any, following: str) -> None:
    order = make.order()
    answer = page.post("/orders/move", {"move": f"{order.pk}.prospect.contacted", "next": following})
    assert answer.url.startswith("/orders")


def test_a_reader_sees_the_board_without_anything_to_move(
    make: Any, person: Callable[..., Any], browser: Callable[[Any], Any]
) -> None:
    order = make.order()
    reader = browser(person("reader"))
    text = reader.get("/orders").content.decode()
    assert str(order.site) in text
    assert 'name="move"' not in text
    assert reader.post("/orders/move", {"move": f"{order.pk}.prospect.contacted"}).status_code == 403


def test_an_order_form_keeps_what_was_typed_and_says_what_its_stage_needs(make: Any, page: Any) -> None:
    from guestpost_crm.outreach.models import Order

    make.site("site.example")
    typed = {
        "site": "https://www.Site.example/x",
        "stage": "published",
        "price": "1.200,50",
        "currency": "EUR",
        "anchor": "typed anchor",
        "link_policy": "dofollow",
        "target_url": "ours.example/page",
    }
    answer = page.post("/orders/new", typed)
    text = answer.content.decode()
    assert answer.status_code == 422
    assert "Write down where it was published first." in text
    assert "typed anchor" in text
    assert "1.200,50" in text
    assert not Order.objects.exists()
    assert page.post("/orders/new", {**typed, "published_url": "site.example/p"}).status_code == 302
    order = Order.objects.get()
    assert (order.price, order.currency) == (Decimal("1200.50"), "EUR")
    assert (order.target_url, order.published_url) == ("https://ours.example/page", "https://site.example/p")


def test_the_list_and_its_export_say_the_same(make: Any, page: Any, member: Any) -> None:
    import csv
    import io

    make.order(make.site("one.example"), anchor="=HYPERLINK(1)", assigned=member, price=Decimal(5))
    make.order(make.site("two.example"), stage="lost")
    text = page.get("/orders/list?stage=prospect").content.decode()
    assert "one.example" in text
    assert "two.example" not in text
    answer = page.get("/orders/export?stage=prospect")
    content = b"".join(answer.streaming_content).decode("utf-8-sig")
    [row] = csv.DictReader(io.StringIO(content))
    assert (row["site"], row["price"], row["assigned to"]) == ("one.example", "5.00", str(member))
    assert row["anchor"] == "'=HYPERLINK(1)"


def test_the_boards_filters_are_kept_as_a_view(make: Any, page: Any, member: Any) -> None:
    make.order(make.site("travel.example", niche="Travel"))
    kept = {"page": "orders", "name": "Mine", "query": f"niche=Travel&assigned={member.pk}"}
    address = page.post("/views/keep", kept).url
    assert address == f"/orders?assigned={member.pk}&niche=Travel"
    text = page.get("/orders").content.decode()
    assert f'<a href="/orders?assigned={member.pk}&amp;niche=Travel">Mine</a>' in text
    assert 'aria-current="page">Mine' in page.get(address).content.decode()
