"""Offers and counter-offers: who decides about which, until when, and what an acceptance does."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest


def offered(make: Any, by: Any, **values: Any) -> Any:
    from guestpost_crm.outreach.models import Offer
    from guestpost_crm.outreach.services import offers

    values.setdefault("site", make.site())
    return offers.make(by, Offer(**{"price": Decimal(100), "currency": "EUR", **values}))


def test_a_counter_offer_closes_the_one_that_it_answers(make: Any, member: Any) -> None:
    theirs = offered(make, member)
    ours = offered(make, member, site=theirs.site, answers=theirs, direction="ours", price=Decimal(80))
    theirs.refresh_from_db()
    assert (theirs.state, ours.state) == ("superseded", "open")
    assert theirs.decided_at is not None
    assert ours.created_by == member


def test_an_offer_that_is_closed_can_neither_be_answered_nor_decided(make: Any, member: Any) -> None:
    from guestpost_crm.outreach.models import Offer
    from guestpost_crm.outreach.services import offers

    theirs = offered(make, member)
    offers.decline(member, theirs, make.day(0))
    with pytest.raises(offers.OfferClosedError, match="not open any more"):
        offered(make, member, site=theirs.site, answers=theirs)
    for decide in (offers.accept, offers.decline):
        with pytest.raises(offers.OfferClosedError, match="Declined"):
            decide(member, theirs, make.day(0))
    assert Offer.objects.count() == 1


def test_accepting_makes_an_order_at_that_price_and_closes_the_other_offers(make: Any, member: Any) -> None:
    from guestpost_crm.outreach.services import offers

    site, contact = make.site(), make.contact("bob@site0.example")
    first = offered(make, member, site=site, contact=contact)
    second = offered(make, member, site=site, contact=contact, price=Decimal(90))
    elsewhere = offered(make, member)
    order = offers.accept(member, second, make.day(0))
    assert (order.site, order.contact, order.stage) == (site, contact, "agreed")
    assert (order.price, order.currency, order.assigned) == (Decimal(90), "EUR", member)
    assert order.agreed_on == make.day(0)
    for offer, state in ((first, "superseded"), (second, "accepted"), (elsewhere, "open")):
        offer.refresh_from_db()
        assert offer.state == state
    assert second.order == order


def test_accepting_an_offer_of_an_order_changes_that_order(make: Any, member: Any) -> None:
    from guestpost_crm.outreach.models import Order
    from guestpost_crm.outreach.services import offers

    order = make.order(price=Decimal(150), currency="USD")
    offer = offered(make, member, site=order.site, order=order)
    order.refresh_from_db()
    assert order.stage == "negotiating"
    offers.accept(member, offer, make.day(0))
    order.refresh_from_db()
    assert (order.stage, order.price, order.currency) == ("agreed", Decimal(100), "EUR")
    assert Order.objects.count() == 1
    assert {change.field for change in order.changes.all()} == {"stage", "price", "currency"}


@pytest.mark.parametrize(("stage", "after"), [("lost", "agreed"), ("writing", "writing")])
def test_an_acceptance_takes_up_what_was_lost_and_never_goes_back(
    make: Any, member: Any, stage: str, after: str
) -> None:
    from guestpost_crm.outreach.services import offers

    order = make.order(price=Decimal(150), stage=stage)
    offers.accept(member, offered(make, member, site=order.site, order=order), make.day(0))
    order.refresh_from_db()
    assert order.stage == after


def test_an_offer_holds_through_its_last_day_and_is_closed_after_it(make: Any, member: Any) -> None:
    from guestpost_crm.audit.models import AuditEvent
    from guestpost_crm.outreach.services import offers

    offer = offered(make, member, expires_on=make.day(0))
    unlimited = offered(make, member)
    assert offers.expire(make.day(0)) == 0
    with pytest.raises(offers.OfferClosedError, match="was valid until"):
        offers.accept(member, offer, make.day(1))
    assert offers.expire(make.day(1)) == 1
    assert offers.expire(make.day(1)) == 0
    offer.refresh_from_db()
    unlimited.refresh_from_db()
    assert (offer.state, unlimited.state) == ("expired", "open")
    assert AuditEvent.objects.get(action="offer.expired").person is None


def test_the_list_shows_as_expired_what_nobody_has_closed_yet(make: Any, page: Any, member: Any) -> None:
    make.offer(member, make.site("late.example"), expires_on=make.day(-1))
    make.offer(member, make.site("soon.example"), expires_on=make.day(3))
    make.offer(member, make.site("open.example"))

    def listed(show: str) -> set[str]:
        text = page.get(f"/offers?show={show}").content.decode()
        return {name for name in ("late", "soon", "open") if f"{name}.example" in text}

    assert listed("") == {"soon", "open"}
    assert listed("soon") == {"soon"}
    assert listed("expired") == {"late"}
    assert listed("all") == {"late", "soon", "open"}


def test_a_price_from_a_mail_becomes_an_offer_only_when_a_person_sends_the_form(
    make: Any, page: Any, member: Any
) -> None:
    from guestpost_crm.outreach.models import Offer

    site = make.site("site.example")
    make.contact("bob@site.example", sites=[site])
    thread = make.thread(member, ("Bob <bob@site.example>", "Our price is 120 USD per post."))
    text = page.get(f"/threads/{thread.pk}").content.decode()
    assert "Prices in this mail" in text
    assert "$120" in text
    address = (
        f"/offers/new?thread={thread.pk}&amp;price=120.00&amp;currency=USD"
        "&amp;site=site.example&amp;contact=bob%40site.example"
    )
    assert address in text
    form = page.get(address.replace("&amp;", "&"))
    assert 'value="120.00"' in form.content.decode()
    assert not Offer.objects.exists()
    typed = {
        "site": "site.example",
        "contact": "bob@site.example",
        "direction": "theirs",
        "price": "115",
        "currency": "USD",
    }
    assert page.post(address.replace("&amp;", "&"), typed).status_code == 302
    offer = Offer.objects.get()
    assert (offer.price, offer.thread, offer.created_by) == (Decimal(115), thread, member)
    Offer.objects.update(price=Decimal(120))
    assert "recorded" in page.get(f"/threads/{thread.pk}").content.decode()


def test_the_page_of_an_offer_decides_and_tells(
    make: Any, page: Any, member: Any, person: Callable[..., Any], browser: Callable[[Any], Any]
) -> None:
    from guestpost_crm.outreach.models import Order

    offer = make.offer(member, make.site("site.example"))
    reader = browser(person("reader"))
    assert reader.post(f"/offers/{offer.pk}/decide", {"decision": "accept"}).status_code == 403
    assert "accept" not in reader.get(f"/offers/{offer.pk}").content.decode()
    answer = page.post(f"/offers/{offer.pk}/decide", {"decision": "accept"}, follow=True)
    order = Order.objects.get()
    assert answer.request["PATH_INFO"] == f"/orders/{order.pk}"
    answer = page.post(f"/offers/{offer.pk}/decide", {"decision": "decline"}, follow=True)
    assert "This offer is not open any more: Accepted." in answer.content.decode()


@pytest.mark.parametrize("price", ["", "free", "0", "1.2.3", "-5", "9" * 13])
def test_a_price_that_is_none_is_refused_and_kept_as_typed(make: Any, page: Any, price: str) -> None:
    from guestpost_crm.outreach.models import Offer

    make.site("site.example")
    typed = {
        "site": "site.example",
        "direction": "theirs",
        "price": price,
        "currency": "USD",
        "terms": "As said",
    }
    answer = page.post("/offers/new", typed)
    assert answer.status_code == 422
    assert "As said" in answer.content.decode()
    assert f'value="{price}"' in answer.content.decode() or not price
    assert not Offer.objects.exists()
