"""Mail and outreach together: who is in a conversation, what is suggested, and who is not written to."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest


def panel(thread: Any) -> Any:
    from guestpost_crm.outreach.services import mail

    messages = list(thread.messages.order_by("received_at", "pk").prefetch_related("parts"))
    return mail.panel(thread, messages, [(each, each.snippet) for each in messages])


def test_a_contact_is_found_by_any_of_its_addresses(make: Any, member: Any) -> None:
    site = make.site("elsewhere.example")
    contact = make.contact("bob@private.example", "bob@site.example", sites=[site])
    make.contact("eve@site.example", name="Eve")
    found = panel(make.thread(member, ("Robert <Bob@Site.example>", "Hi")))
    assert (found.contacts, found.by_domain, found.sites) == ([contact], False, [site])
    assert found.strangers == []


def test_somebody_unknown_is_linked_by_the_domain_and_offered_as_a_contact(make: Any, member: Any) -> None:
    site = make.site("site.example")
    contact = make.contact("bob@site.example", sites=[site])
    found = panel(make.thread(member, ("Carla Jones <carla@mail.site.example>", "Hi")))
    assert (found.contacts, found.by_domain, found.sites) == ([contact], True, [site])
    [stranger] = found.strangers
    assert (stranger.name, stranger.address, stranger.site) == (
        "Carla Jones",
        "carla@mail.site.example",
        "site.example",
    )


def test_an_address_at_a_mail_provider_says_nothing_about_a_site(make: Any, member: Any) -> None:
    make.site("gmail.com")
    found = panel(make.thread(member, ("bob@gmail.com", "Hi")))
    assert (found.sites, found.contacts) == ([], [])
    assert found.strangers[0].site == ""


def test_our_own_mailboxes_are_nobody_in_a_conversation(make: Any, member: Any) -> None:
    found = panel(make.thread(member, ("Desk <desk@acme.example>", "Our budget is 90 USD.")))
    assert (found.strangers, found.suggestions) == ([], [])


def test_prices_of_theirs_are_suggested_and_those_recorded_are_marked(make: Any, member: Any) -> None:
    site = make.site("site.example")
    contact = make.contact("bob@site.example", sites=[site])
    thread = make.thread(
        member,
        ("bob@site.example", "We ask 150 USD per link."),
        ("Desk <desk@acme.example>", "We'd pay 90 USD."),
        ("bob@site.example", "120 USD, or 200-250 EUR for two."),
    )
    make.offer(member, site, contact=contact, price=Decimal(150), currency="USD")
    found = [
        (each.price.low, each.price.high, each.price.currency, each.known)
        for each in panel(thread).suggestions
    ]
    assert found == [
        (Decimal(120), None, "USD", False),
        (Decimal(200), Decimal(250), "EUR", False),
        (Decimal(150), None, "USD", True),
    ]


def test_what_is_asked_does_not_grow_with_the_conversation(
    make: Any, member: Any, page: Any, django_queries: Any
) -> None:
    def queries(people: int) -> int:
        senders = [(f"p{number}@s{number}.example", f"{100 + number} USD") for number in range(people)]
        for number in range(people):
            make.contact(f"p{number}@s{number}.example", sites=[make.site()]) if not number % 2 else None
        thread = make.thread(member, *senders)
        with django_queries() as found:
            panel(thread)
        from guestpost_crm.outreach.models import Contact

        Contact.objects.all().delete()
        return len([each for each in found if "blob" not in each["sql"]])

    assert queries(2) == queries(12)


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("bob@gmail.com", "Bob"),
        ("B.O.B+guest@googlemail.com", "Bob"),
        ("anybody@site.example", "site.example"),
        ("anybody@mail.site.example", "site.example"),
        ("anybody@other.example", ""),
        ("bobby@gmail.com", ""),
    ],
)
def test_who_is_not_to_be_contacted(make: Any, address: str, refused: str) -> None:
    from guestpost_crm.outreach.services import dnc

    make.contact("bob@gmail.com", name="Bob", do_not_contact=True)
    make.site("blog.site.example", do_not_contact=True)
    make.site("gmail.com", do_not_contact=True)
    if not refused:
        dnc.refuse([address])
        return
    with pytest.raises(dnc.DoNotContactError, match=r"Nothing was sent\.") as told:
        dnc.refuse(["fine@fine.example", address.upper()])
    assert refused in str(told.value)


def test_the_conversation_says_so_before_anybody_writes(make: Any, member: Any, page: Any) -> None:
    make.contact("bob@site.example", do_not_contact=True)
    thread = make.thread(member, ("bob@site.example", "Stop it."))
    assert "a reply is refused" in page.get(f"/threads/{thread.pk}").content.decode()


def test_marking_is_a_matter_of_one_click_and_stands_in_the_audit_log(make: Any, page: Any) -> None:
    from guestpost_crm.audit.models import AuditEvent

    site, contact = make.site("site.example"), make.contact("bob@site.example")
    for record, address in ((site, f"/sites/{site.pk}"), (contact, f"/contacts/{contact.pk}")):
        for mark, on in (("do_not_contact", "yes"), ("archived", "yes"), ("do_not_contact", "no")):
            page.post(f"{address}/mark", {"mark": mark, "on": on})
            record.refresh_from_db()
            assert getattr(record, mark) is (on == "yes")
        assert page.post(f"{address}/mark", {"mark": "password", "on": "yes"}).status_code == 302
    assert AuditEvent.objects.filter(action="contact.do-not-contact").count() == 1
    assert AuditEvent.objects.filter(action="site.may-contact").count() == 1
