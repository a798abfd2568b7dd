"""Duplicates are found, and two records become one without losing what refers to either."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest


def test_sites_under_one_registered_domain_are_shown_as_one_perhaps(make: Any) -> None:
    from guestpost_crm.outreach.services import merging

    for domain in ("site.example", "blog.site.example", "other.example", "a.co.uk", "b.co.uk"):
        make.site(domain)
    [group] = merging.similar_sites()
    assert group.why == "site.example"
    assert [str(site) for site in group.records] == ["site.example", "blog.site.example"]


def test_addresses_that_deliver_to_one_mailbox_show_contacts_as_one_perhaps(make: Any) -> None:
    from guestpost_crm.outreach.services import merging

    first = make.contact("bob.stone@gmail.com")
    second = make.contact("bobstone+guest@googlemail.com")
    make.contact("bob.stone@site.example")
    make.contact("bobstone@site.example")
    [group] = merging.similar_contacts()
    assert group.records == [first, second]


def test_merging_sites_keeps_everything_of_both(make: Any, member: Any) -> None:
    from guestpost_crm.outreach.models import Invoice, Order, Site
    from guestpost_crm.outreach.services import merging

    keep = make.site("site.example", niche="Travel", notes="kept", custom={"a": "1"})
    drop = make.site(
        "www2.site.example",
        niche="Food",
        dr=40,
        price=Decimal(80),
        currency="EUR",
        notes="dropped",
        do_not_contact=True,
        custom={"a": "2", "b": "3"},
    )
    contact = make.contact("bob@site.example", sites=[drop])
    order = make.order(drop)
    make.order(keep)
    offer = make.offer(member, drop)
    placement = make.placement(site=drop)
    make.invoice(keep, number="7")
    invoice = make.invoice(drop, number="7")
    merged = merging.merge_sites(member, keep.pk, drop.pk)
    assert list(Site.objects.all()) == [merged]
    assert (merged.niche, merged.dr, merged.price, merged.currency) == ("Travel", 40, Decimal(80), "EUR")
    # What the kept one says otherwise is not lost either.
    assert merged.notes == "kept\n\ndropped\n\nMerged into this: www2.site.example, niche: Food, a: 2"
    assert merged.do_not_contact is True
    assert merged.custom == {"a": "1", "b": "3"}
    assert list(merged.contacts.all()) == [contact]
    for record in (order, offer, placement, invoice):
        record.refresh_from_db()
        assert record.site == merged
    assert Order.objects.filter(site=merged).count() == 2
    assert invoice.number == f"7 ({drop.pk})"
    assert Invoice.objects.count() == 2
    change = order.changes.get()
    assert (change.field, change.old, change.new) == ("site_id", str(drop.pk), str(keep.pk))


def test_merging_contacts_keeps_everything_of_both(make: Any, member: Any) -> None:
    from guestpost_crm.outreach.models import Contact
    from guestpost_crm.outreach.services import merging

    first, second = make.site(), make.site()
    keep = make.contact("bob@one.example", name="Bob", sites=[first])
    drop = make.contact("bob@two.example", "b@two.example", sites=[first, second], archived=True)
    order, offer = make.order(contact=drop), make.offer(member, contact=drop)
    merged = merging.merge_contacts(member, keep.pk, drop.pk)
    assert list(Contact.objects.all()) == [merged]
    assert merged.archived is False
    assert (merged.name, merged.notes) == ("Bob", "Merged into this: Bob Stone")
    assert set(merged.sites.all()) == {first, second}
    addresses = set(merged.addresses.values_list("address", flat=True))
    assert addresses == {"bob@one.example", "bob@two.example", "b@two.example"}
    for record in (order, offer):
        record.refresh_from_db()
        assert record.contact == merged


def test_two_that_are_one_or_gone_are_not_merged(make: Any, member: Any, page: Any) -> None:
    from guestpost_crm.outreach.models import Site
    from guestpost_crm.outreach.services import merging

    site = make.site()
    for keep, drop in ((site.pk, site.pk), (site.pk, 999_999)):
        with pytest.raises(merging.MergeError):
            merging.merge_sites(member, keep, drop)
    for keep, drop in ((site.pk, site.pk), (site.pk, "x"), (0, site.pk), (site.pk, 2**63)):
        assert page.post("/duplicates/sites", {"keep": keep, "drop": drop}).status_code == 404
    answer = page.post("/duplicates/sites", {"keep": site.pk, "drop": 999_999}, follow=True)
    assert "one of them is gone" in answer.content.decode()
    assert Site.objects.count() == 1


def test_the_pages_compare_first_and_merge_by_a_form(make: Any, page: Any) -> None:
    from guestpost_crm.outreach.models import Contact, Site

    one, two = make.site("site.example", dr=12), make.site("blog.site.example", dr=77)
    bob, bobby = make.contact("bob@gmail.com", name="Bob"), make.contact("b.ob@gmail.com", name="Bobby")
    text = page.get("/duplicates").content.decode()
    assert f"keep={one.pk}" in text
    text = page.get(f"/duplicates/sites?keep={one.pk}&drop={two.pk}").content.decode()
    for shown in ("site.example", "blog.site.example", "12", "77"):
        assert shown in text
    assert page.post("/duplicates/sites", {"keep": one.pk, "drop": two.pk}).url == f"/sites/{one.pk}"
    text = page.get(f"/duplicates/contacts?keep={bobby.pk}&drop={bob.pk}").content.decode()
    assert "Bobby" in text
    answer = page.post("/duplicates/contacts", {"keep": bobby.pk, "drop": bob.pk})
    assert answer.url == f"/contacts/{bobby.pk}"
    assert (Site.objects.count(), Contact.objects.count()) == (1, 1)


def test_contacts_of_one_name_at_one_site_are_shown_as_one_perhaps(make: Any, page: Any) -> None:
    from guestpost_crm.outreach.services import merging

    site, blog = make.site("site.example"), make.site("blog.site.example")
    first = make.contact("bob@site.example", name="Bob Stone", sites=[site])
    second = make.contact("b.stone@gmail.com", name="bob stone", sites=[blog])
    make.contact("bob@other.example", name="Bob Stone", sites=[make.site("other.example")])
    make.contact("eva@site.example", name="Eva", sites=[site])
    [group] = merging.namesakes()
    assert group.why == "Bob Stone · site.example"
    assert group.records == [first, second]
    text = page.get("/duplicates").content.decode()
    assert f"/duplicates/contacts?keep={first.pk}&amp;drop={second.pk}" in text


def test_two_prices_are_both_kept(make: Any, member: Any) -> None:
    from guestpost_crm.outreach.services import merging

    keep = make.site("site.example", price=Decimal(120), currency="USD")
    drop = make.site("blog.site.example", price=Decimal(80), currency="EUR")
    merged = merging.merge_sites(member, keep.pk, drop.pk)
    assert (merged.price, merged.currency) == (Decimal(120), "USD")
    assert merged.notes == "Merged into this: blog.site.example, price: €80"


def test_whatever_refers_to_sites_and_contacts_is_merged(crm_database: Any) -> None:
    """Whoever adds a table that refers to one of them decides here what becomes of it when two are merged."""
    from guestpost_crm.outreach.models import Contact, Site

    def references(model: Any) -> set[str]:
        return {f"{each.related_model.__name__}.{each.field.name}" for each in model._meta.related_objects}

    assert references(Site) == {
        "Contact.sites", "Order.site", "Offer.site", "Placement.site", "Invoice.site",
    }  # fmt: skip
    assert references(Contact) == {
        "ContactAddress.contact", "Order.contact", "Offer.contact", "Invoice.contact",
    }  # fmt: skip
